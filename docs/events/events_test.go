package events_test

import (
	"strings"
	"testing"

	"github.com/softacs/softacs/docs/events/eventstest"
	"github.com/softacs/softacs/models"
)

// Each type that the platform emits has a schema, and a payload that is not as it says is found.
func TestSchemas(t *testing.T) {
	t.Parallel()
	known := eventstest.Types(t)
	for _, name := range []models.EventType{
		models.AccountCreated, models.AccountChanged, models.AccountStateChanged, models.BindingChanged, models.DeviceRegistered, models.DeviceInform,
		models.DeviceBootstrap, models.DeviceReachabilityChanged, models.DeviceParameterChanged, models.TaskStateChanged, models.SmsStateChanged,
		models.PasswordChanged, models.ConfigurationChanged, models.DiagnosticCompleted, models.StatisticsReceived, models.Security, models.AlarmRaised, models.AlarmCleared,
	} {
		if !known[name] {
			t.Errorf("%s has no schema", name)
		}
	}
	good := map[string]any{"code": "account.changed", "account": models.NewID().String(), "state": "ACTIVE", "fields": []string{"region"}}
	event := func(change string, value any) models.Event {
		payload := map[string]any{}
		for name, v := range good {
			payload[name] = v
		}
		if payload[change] = value; value == nil {
			delete(payload, change)
		}
		return models.Event{Type: models.AccountChanged, Payload: models.DocOf(payload)}
	}
	if err := eventstest.Valid(event("code", "account.changed")); err != nil {
		t.Error(err)
	}
	for name, e := range map[string]models.Event{
		"unknown code": event("code", "account.moved"), "missing": event("state", nil), "of another type": event("fields", "region"),
		"unknown member": event("msisdn", "+8621"), "unknown type": {Type: "NEW", Payload: models.DocOf(map[string]any{"code": "new"})},
	} {
		if err := eventstest.Valid(e); err == nil || !strings.Contains(err.Error(), string(e.Type)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
