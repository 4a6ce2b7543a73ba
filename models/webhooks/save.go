package webhooks

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	maxWebhooks = 100
	maxURL      = 2048
	maxListed   = 100 // in each list of a filter
	minSecret   = 16
	maxSecret   = 256
	// overlap is how long the former secret signs beside the new one.
	overlap = 24 * time.Hour
)

// SaveInput is the input of saveWebhook; a zero ID makes a webhook.
type SaveInput struct {
	ID              models.ID
	ExpectedVersion *int64
	URL             string
	Types           []models.EventType // none: all
	Enabled         bool
	// Secret is 16 to 256 bytes; empty leaves it as it is.
	Secret models.Secret
	// Filter replaces the filter; nil leaves it as it is.
	Filter *models.WebhookFilter
	// From is the cursor of the first event to deliver, empty the start of what is kept; nil leaves the place as it is, for a new one now.
	From *string
}

// Save makes or changes a webhook. It needs WEBHOOK_ADMIN and EVENT_READ; one that somebody else made needs both in all regions, since whoever
// changes it can make it tell what its maker may read. Making one that exists with the same content changes nothing. A new secret signs at once, the
// former one beside it for a day. Any change lets deliveries begin again without delay.
func (r *Room) Save(ctx context.Context, in SaveInput) (w *models.Webhook, err error) {
	if err := need(ctx); err != nil {
		return nil, err
	}
	if err := r.check(&in); err != nil {
		return nil, err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		actor := models.ActorFrom(ctx)
		now, err := current(tx, in, urlKey(actor.ID, in.URL))
		if err != nil {
			return err
		}
		w = &models.Webhook{
			ID: models.NewID(), CreatedAt: tx.Now, CreatedByKind: actor.Kind, CreatedByID: actor.ID, CreatedByName: actor.Name,
		}
		if now != nil {
			*w = *now
		}
		secret, err := r.apply(tx, w, in)
		if err != nil {
			return err
		}
		changes := diff(now, w)
		if secret {
			changes["secret"] = "[redacted]"
		}
		switch {
		case now != nil && len(changes) == 0:
			w = now
			return nil
		case now != nil && in.ID.IsZero():
			return taken(now.ID)
		case now == nil:
			err = insert(tx, w)
		default:
			err = update(tx, w)
		}
		if err != nil {
			return err
		}
		if now != nil && now.GivenUp && !w.GivenUp {
			if err := alarm(tx, w, false, ""); err != nil {
				return err
			}
		}
		tx.Wake(topicSaved)
		tx.Wake(topicDue)
		return events.Audit(tx, models.AuditEntry{Action: "saveWebhook", Subject: models.Subject{Kind: models.KindWebhook, ID: w.ID}, Changes: models.DocOf(changes)})
	})
	if err != nil {
		return nil, fmt.Errorf("save a webhook: %w", err)
	}
	return w, nil
}

func need(ctx context.Context) error {
	if err := models.Need(ctx, models.WebhookAdmin); err != nil {
		return err
	}
	return models.Need(ctx, models.EventRead)
}

func urlKey(maker models.ID, text string) []byte {
	sum := sha256.Sum256(append(maker[:], text...))
	return sum[:]
}

// held reads and holds a webhook that the actor may change.
func held(tx *store.Tx, id models.ID) (*models.Webhook, error) {
	where, args := visible(tx)
	var w models.Webhook
	err := tx.Locked().Where("id = ?", id).Where(where, args...).Take(&w).Error
	if store.IsMissing(err) {
		return nil, models.E(models.NotFound, "there is no such webhook", "input", "id")
	}
	if err != nil {
		return nil, err
	}
	if actor := models.ActorFrom(tx.Context()); actor.ID != w.CreatedByID && !actor.Scope(models.EventRead).All {
		return nil, models.E(models.PolicyDenied, "only who may read events in all regions changes a webhook of somebody else", "input", "id")
	}
	return &w, nil
}

// current reads and holds the webhook to change, by its id or as one of the actor's by its URL; nil if that is free.
func current(tx *store.Tx, in SaveInput, key []byte) (w *models.Webhook, err error) {
	if in.ID.IsZero() {
		var row models.Webhook
		if err := tx.Locked().Where("url_key = ?", key).Take(&row).Error; err != nil {
			if store.IsMissing(err) {
				err = nil
			}
			return nil, err
		}
		return &row, nil
	}
	if w, err = held(tx, in.ID); err != nil {
		return nil, err
	}
	if in.ExpectedVersion != nil && *in.ExpectedVersion != w.Version {
		conflict := models.E(models.VersionConflict, "somebody changed it since you read it", "input", "expectedVersion")
		conflict.CurrentVersion = w.Version
		return nil, conflict
	}
	return w, nil
}

// apply puts the input into w and tells whether the secret is another one.
func (r *Room) apply(tx *store.Tx, w *models.Webhook, in SaveInput) (secret bool, err error) {
	fresh := w.Version == 0
	w.URL, w.URLKey, w.Types, w.Enabled = in.URL, urlKey(w.CreatedByID, in.URL), models.DocOf(in.Types), in.Enabled
	if in.Filter != nil {
		w.Filter = models.DocOf(*in.Filter)
	}
	if w.Enabled {
		w.GivenUp = false
	}
	switch {
	case in.From != nil && (fresh || !in.ID.IsZero()): // to make it once more is no wish to hear everything again
		if w.AckedCursor, err = events.After(tx, *in.From, *in.From != ""); err != nil {
			return false, about(err, "from")
		}
	case fresh:
		if w.AckedCursor, err = events.Now(tx); err != nil {
			return false, err
		}
	}
	if in.Secret.IsZero() {
		if fresh {
			return false, models.E(models.SecretRequired, fmt.Sprintf("a secret of %d to %d characters is needed", minSecret, maxSecret), "input", "secret")
		}
		return false, nil
	}
	before, err := tx.Unseal("webhooks", "secret", w.ID, w.Secret)
	if err != nil || string(before) == in.Secret.Reveal() {
		return false, err
	}
	if len(before) > 0 {
		if w.PreviousSecret, err = tx.Seal("webhooks", "previous_secret", w.ID, before); err != nil {
			return false, err
		}
		w.PreviousUntil = tx.Now.Add(overlap)
	}
	w.Secret, err = tx.Seal("webhooks", "secret", w.ID, []byte(in.Secret.Reveal()))
	return true, err
}

// about names the field of the input that a cursor came by.
func about(err error, field string) error {
	if coded, ok := err.(*models.Error); ok {
		coded.Field = []string{"input", field}
	}
	return err
}

func insert(tx *store.Tx, w *models.Webhook) error {
	var n int64
	if err := tx.DB.Model(&models.Webhook{}).Count(&n).Error; err != nil {
		return err
	}
	if n >= maxWebhooks {
		return models.E(models.QuotaExceeded, fmt.Sprintf("there are %d webhooks already: change one of them", maxWebhooks), "input")
	}
	w.Version, w.UpdatedAt = 1, tx.Now
	err := gorm.G[models.Webhook](tx.DB).Create(tx.Context(), w)
	if store.IsDuplicate(err) {
		return owner(tx, w.URLKey)
	}
	return err
}

// update writes what was changed, and takes the deliveries out of the hands of whoever holds them.
func update(tx *store.Tx, w *models.Webhook) error {
	w.Version, w.UpdatedAt, w.Fence = w.Version+1, tx.Now, w.Fence+1
	w.ConsecutiveFailures, w.FailingSince, w.NextAttemptAt, w.LastError, w.LeaseUntil = 0, 0, 0, "", 0
	err := tx.DB.Model(w).Select("*").Updates(w).Error
	if store.IsDuplicate(err) {
		return owner(tx, w.URLKey)
	}
	return err
}

// owner is the refusal of a URL that another webhook has.
func owner(tx *store.Tx, key []byte) error {
	w, err := gorm.G[models.Webhook](tx.DB).Where("url_key = ?", key).Take(tx.Context())
	if err != nil {
		return err
	}
	return taken(w.ID)
}

func taken(id models.ID) error {
	err := models.E(models.AlreadyExists, "there is a webhook with this URL", "input", "url")
	err.Existing = models.Subject{Kind: models.KindWebhook, ID: id}
	return err
}

// diff is what changed, for the audit log: field → [old, new]; old is null for a new webhook. What stands after the path of a URL may be a secret.
func diff(before, after *models.Webhook) map[string]any {
	fields := func(w *models.Webhook) map[string]any {
		target, query, asked := strings.Cut(w.URL, "?")
		if asked {
			sum := sha256.Sum256([]byte(query))
			target += fmt.Sprintf("?[%x]", sum[:4])
		}
		return map[string]any{"url": target, "types": w.Types.V, "enabled": w.Enabled, "filter": w.Filter.V, "from": w.AckedCursor}
	}
	old := map[string]any{}
	if before != nil {
		old = fields(before)
	}
	changes := map[string]any{}
	for name, value := range fields(after) {
		if !reflect.DeepEqual(old[name], value) {
			changes[name] = []any{old[name], value}
		}
	}
	return changes
}

func (r *Room) check(in *SaveInput) error {
	if err := r.checkURL(in.URL); err != nil {
		return err
	}
	in.Types = slices.Compact(slices.Sorted(slices.Values(in.Types)))
	if in.Types == nil {
		in.Types = []models.EventType{}
	}
	if secret := in.Secret.Reveal(); secret != "" && (len(secret) < minSecret || len(secret) > maxSecret || !utf8.ValidString(secret)) {
		return models.E(models.Invalid, fmt.Sprintf("a secret has %d to %d characters", minSecret, maxSecret), "input", "secret")
	}
	if in.Filter == nil {
		return nil
	}
	f := in.Filter
	f.Subjects, f.ClientTypes, f.Accounts, f.Devices, f.Regions = // as they are read from a row
		some(f.Subjects), some(f.ClientTypes), some(f.Accounts), some(f.Devices), some(f.Regions)
	for name, ids := range map[string][]models.ID{"accountIds": f.Accounts, "deviceIds": f.Devices, "subjectIds": subjectIDs(f.Subjects)} {
		if i := slices.Index(ids, models.ID{}); i >= 0 {
			return models.E(models.NotFound, "there is no such row", "input", "filter", name, strconv.Itoa(i))
		}
		if len(ids) > maxListed {
			return tooLong(name)
		}
	}
	if len(f.ClientTypes) > maxListed {
		return tooLong("clientTypes")
	}
	if len(f.Regions) > maxListed {
		return tooLong("regions")
	}
	for i, region := range f.Regions {
		if region == "" || utf8.RuneCountInString(region) > 64 {
			return models.E(models.Invalid, "a region has 1 to 64 characters", "input", "filter", "regions", strconv.Itoa(i))
		}
	}
	return nil
}

// some is a list, nil if it is empty.
func some[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func tooLong(list string) error {
	return models.E(models.TooLong, fmt.Sprintf("at most %d are allowed", maxListed), "input", "filter", list)
}

func subjectIDs(list []models.Subject) []models.ID {
	ids := make([]models.ID, len(list))
	for i, s := range list {
		ids[i] = s.ID
	}
	return ids
}

// checkURL refuses what is no target. Names are looked up when a delivery leaves, and looked at again then.
func (r *Room) checkURL(text string) error {
	field := []string{"input", "url"}
	if len(text) > maxURL {
		return models.E(models.TooLong, fmt.Sprintf("a URL has at most %d characters", maxURL), field...)
	}
	invalid := models.E(models.Invalid, "an https URL with a host is allowed, without user, password and fragment, such as https://bss.example.net/events", field...)
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return invalid
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.User != nil || strings.Contains(text, "#") {
		return invalid
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return invalid
		}
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !r.config.Lab) {
		return invalid
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !r.config.Lab && !Public(addr) {
		return models.E(models.PolicyDenied, "this is not a public address", field...)
	}
	return nil
}

// RewindInput is the input of rewindWebhook: the last cursor that the receiver has kept, empty for the start of what is kept, or instead the time
// since which it wants everything.
type RewindInput struct {
	ID     models.ID
	Cursor string
	Since  models.Time
}

// Rewind lets deliveries go on after another place of the log. It needs what Save needs, and switches nothing on.
func (r *Room) Rewind(ctx context.Context, in RewindInput) (w *models.Webhook, err error) {
	if err := need(ctx); err != nil {
		return nil, err
	}
	if in.Cursor != "" && !in.Since.IsZero() {
		return nil, models.E(models.Invalid, "a cursor or a time is allowed, not both", "input", "since")
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		if w, err = held(tx, in.ID); err != nil {
			return err
		}
		place := ""
		if in.Since.IsZero() {
			place, err = events.After(tx, in.Cursor, false)
		} else {
			place, err = events.Since(tx, in.Since)
		}
		if err != nil {
			return about(err, "cursor")
		}
		before := w.AckedCursor
		w.AckedCursor, w.Fence = place, w.Fence+1
		w.ConsecutiveFailures, w.FailingSince, w.NextAttemptAt, w.LastError, w.LeaseUntil = 0, 0, 0, "", 0
		err = tx.DB.Model(w).Select("acked_cursor", "fence", "consecutive_failures", "failing_since", "next_attempt_at", "last_error", "lease_until").Updates(w).Error
		if err != nil {
			return err
		}
		tx.Wake(topicSaved)
		tx.Wake(topicDue)
		return events.Audit(tx, models.AuditEntry{Action: "rewindWebhook", Subject: models.Subject{Kind: models.KindWebhook, ID: w.ID},
			Changes: models.DocOf(map[string]any{"ackedCursor": []string{before, place}})})
	})
	if err != nil {
		return nil, fmt.Errorf("rewind a webhook: %w", err)
	}
	return w, nil
}
