package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/softacs/softacs/models"
)

// disclosures collects whose sensitive data an operation has shown.
type disclosures struct {
	mu       sync.Mutex
	subjects []models.Subject
	fields   []string
	seen     map[any]bool
}

func (d *disclosures) add(subject models.Subject, field string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[any]bool{}
	}
	if !d.seen[subject] {
		d.seen[subject] = true
		d.subjects = append(d.subjects, subject)
	}
	if !d.seen[field] {
		d.seen[field] = true
		d.fields = append(d.fields, field)
	}
}

// owner tells whose data a row holds and in which region.
func owner(row any) (subject models.Subject, region string) {
	switch row := row.(type) {
	case *models.Account:
		return models.Subject{Kind: models.KindAccount, ID: row.ID}, row.Region
	case *models.SmsMessage:
		return models.Subject{Kind: models.KindSms, ID: row.ID}, row.Region
	case *models.LineRegistration:
		return models.Subject{Kind: models.KindDevice, ID: row.DeviceID}, row.Region
	case *models.Device:
		return models.Subject{Kind: models.KindDevice, ID: row.ID}, row.Region
	}
	return subject, ""
}

// pii implements @pii: whoever does not hold PII_READ in the row's region sees a mask, whoever does leaves a trace.
func pii(ctx context.Context, row any, next graphql.Resolver, _ string) (any, error) {
	value, err := next(ctx)
	if err != nil {
		return nil, err
	}
	subject, region := owner(row)
	field := graphql.GetFieldContext(ctx).Field.Name
	disclose := models.ActorFrom(ctx).Scope(models.PIIRead).Covers(region)
	switch v := value.(type) {
	case models.Number:
		if !disclose {
			return models.Number(strings.TrimPrefix(v.Masked(), "+")), nil
		}
		if v != "" {
			requestFrom(ctx).disclosures.add(subject, field)
		}
	case *string:
		if v == nil {
			return v, nil
		}
		text := masked(*v)
		if !disclose {
			return &text, nil
		}
		if *v != text {
			requestFrom(ctx).disclosures.add(subject, field)
		}
	case string:
		if !disclose {
			return masked(v), nil
		}
		if v != masked(v) {
			requestFrom(ctx).disclosures.add(subject, field)
		}
	case []string:
		if disclose {
			if len(v) > 0 {
				requestFrom(ctx).disclosures.add(subject, field)
			}
			return v, nil
		}
		hidden := make([]string, len(v))
		for i, text := range v {
			hidden[i] = masked(text)
		}
		return hidden, nil
	default:
		return nil, fmt.Errorf("@pii on a %T", value)
	}
	return value, nil
}

// hidden returns the value of a device's parameter as the caller may see it: personal data of its user like a field with @pii.
func (s *server) hidden(ctx context.Context, d *models.Device, path, value string) string {
	if value == "" || s.IsPersonal == nil || !s.IsPersonal(path) {
		return value
	}
	subject, region := owner(d)
	if !models.ActorFrom(ctx).Scope(models.PIIRead).Covers(region) {
		return masked(value)
	}
	requestFrom(ctx).disclosures.add(subject, "parameters")
	return value
}

// hiddenResult is the result of a task with its values as the caller may see them.
func (s *server) hiddenResult(ctx context.Context, d *models.Device, result map[string]any) map[string]any {
	values, ok := result["values"].([]any)
	if !ok {
		return result
	}
	shown := make([]any, len(values))
	for i, v := range values {
		shown[i] = v
		entry, _ := v.(map[string]any)
		path, _ := entry["path"].(string)
		if value, ok := entry["value"].(string); ok {
			copied := maps.Clone(entry)
			copied["value"] = s.hidden(ctx, d, path, value)
			shown[i] = copied
		}
	}
	result = maps.Clone(result)
	result["values"] = shown
	return result
}

// masked is KEEP_3_4: the first three and the last four characters; of a short text, such as a name, the first one. What a
// room has masked already stays as it is.
func masked(s string) string {
	runes := []rune(s)
	switch {
	case len(runes) == 0, strings.Contains(s, "***"):
		return s
	case len(runes) < 11:
		return string(runes[:1]) + "***"
	}
	return string(runes[:3]) + "****" + string(runes[len(runes)-4:])
}

// disclose writes the audit row of what was disclosed before the caller gets it: without the row there is no answer.
func (s *server) disclose(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response, r := next(ctx), requestFrom(ctx)
	d := r.disclosures
	if response == nil || len(d.subjects) == 0 {
		return response
	}
	slices.Sort(d.fields)
	if err := s.Events.Disclosed(ctx, strings.Join(r.roots, ","), d.subjects, d.fields); err != nil {
		return &graphql.Response{Errors: gqlerror.List{present(ctx, err)}, Data: []byte("null")}
	}
	return response
}
