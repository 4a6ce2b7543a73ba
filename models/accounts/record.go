package accounts

import (
	"encoding/hex"
	"maps"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// fingerprint is what the idempotency record hashes: the input without its key, and of each secret an HMAC, since secrets print as redacted.
func (in ProvisionInput) fingerprint(tx *store.Tx) any {
	secrets := []string{mac(tx, in.SipPassword), mac(tx, in.InitialPassword)}
	in.IdempotencyKey = ""
	return []any{in, secrets}
}

func (in ModifyInput) fingerprint(tx *store.Tx) any {
	in.IdempotencyKey = ""
	return []any{in, mac(tx, in.SipPassword.Value)}
}

func (in ActionInput) fingerprint() any {
	in.IdempotencyKey = ""
	return in
}

func (in ResetInput) fingerprint() any {
	in.IdempotencyKey = ""
	return in
}

func (in NoticeInput) fingerprint() any {
	in.IdempotencyKey = ""
	return in
}

func mac(tx *store.Tx, secret models.Secret) string {
	sum := tx.HMAC("idempotency", secret.Reveal())
	return hex.EncodeToString(sum[:])
}

// change is one field that a mutation changed. Values of a hidden one, a secret or personal data, go nowhere.
type change struct {
	field    string
	old, new any
	hidden   bool
}

// diff lists the visible differences of two states of an account, in the order of the schema; SIP secret and IMSI are not among them.
func diff(before, after *models.Account) (list []change) {
	add := func(differ bool, field string, old, new any, hidden bool) {
		if differ {
			list = append(list, change{field, old, new, hidden})
		}
	}
	add(before.ExternalID != after.ExternalID, "externalId", before.ExternalID, after.ExternalID, false)
	add(before.State != after.State, "state", before.State, after.State, false)
	add(before.Msisdn != after.Msisdn, "msisdn", nil, nil, true)
	add(before.IMPI != after.IMPI, "impi", nil, nil, true)
	add(!slices.Equal(before.IMPU.V, after.IMPU.V), "impu", nil, nil, true)
	add(before.DisplayName != after.DisplayName, "displayName", nil, nil, true)
	add(before.Region != after.Region, "region", before.Region, after.Region, false)
	add(before.SipSecretSource != after.SipSecretSource, "sipSecretSource", before.SipSecretSource, after.SipSecretSource, false)
	add(before.BoundMobile != after.BoundMobile, "boundMobile", nil, nil, true)
	add(before.BroadbandAccount != after.BroadbandAccount, "broadbandAccount", nil, nil, true)
	add(before.ScreenSerial != after.ScreenSerial, "screenSerial", before.ScreenSerial, after.ScreenSerial, false)
	add(!slices.Equal(before.ClientTypes.V, after.ClientTypes.V), "clientTypes", before.ClientTypes.V, after.ClientTypes.V, false)
	add(!sameServices(before.Services.V, after.Services.V), "services", withoutValues(before.Services.V), withoutValues(after.Services.V), false)
	add(before.MaxDevices != after.MaxDevices, "maxDevices", before.MaxDevices, after.MaxDevices, false)
	return list
}

func sameServices(a, b []models.ServiceFeature) bool {
	return slices.EqualFunc(a, b, func(a, b models.ServiceFeature) bool {
		return a.Code == b.Code && a.Enabled == b.Enabled && maps.Equal(a.Parameters, b.Parameters)
	})
}

// withoutValues are the services with the names of their parameters only: a value may be a number that calls go to.
func withoutValues(services []models.ServiceFeature) []map[string]any {
	shown := make([]map[string]any, len(services))
	for i, s := range services {
		shown[i] = map[string]any{"code": s.Code, "enabled": s.Enabled, "parameters": slices.Sorted(maps.Keys(s.Parameters))}
	}
	return shown
}

func fields(changes []change) []string {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.field
	}
	return names
}

func audit(tx *store.Tx, action string, a *models.Account, changes []change) error {
	diff := make(map[string]any, len(changes))
	for _, c := range changes {
		diff[c.field] = []any{c.old, c.new}
		if c.hidden {
			diff[c.field] = "[redacted]"
		}
	}
	return events.Audit(tx, models.AuditEntry{
		Action: action, Subject: models.Subject{Kind: models.KindAccount, ID: a.ID}, Changes: models.DocOf(diff),
	})
}

func emit(tx *store.Tx, a *models.Account, t models.EventType, code, workOrder string, details map[string]any) error {
	payload := map[string]any{"code": code, "account": a.ID, "state": a.State}
	maps.Copy(payload, details)
	if workOrder != "" {
		payload["workOrderExternalId"] = workOrder
	}
	return events.Append(tx, models.Event{
		Type: t, Subject: models.Subject{Kind: models.KindAccount, ID: a.ID}, SubjectVersion: a.Version, Payload: models.DocOf(payload),
		AccountID: a.ID, AccountExternalID: a.ExternalID, Region: a.Region,
	})
}

// created records a new account; the event says where its SIP secret came from, so that a BSS reads a generated one (resolutions 26).
func created(tx *store.Tx, a *models.Account, workOrder string) error {
	changes := diff(&models.Account{}, a)
	for i := range changes {
		changes[i].old = nil
	}
	if a.SipPassword != nil {
		changes = append(changes, change{field: "sipPassword", hidden: true})
	}
	if a.IMSI != nil {
		changes = append(changes, change{field: "imsi", hidden: true})
	}
	if err := audit(tx, provisionAccount, a, changes); err != nil {
		return err
	}
	return emit(tx, a, models.AccountCreated, "account.created", workOrder, map[string]any{"sipSecretSource": a.SipSecretSource, "clientTypes": a.ClientTypes.V})
}
