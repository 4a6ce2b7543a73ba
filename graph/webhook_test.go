package graph_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

const saveWebhook = `mutation($i: SaveWebhookInput!) { saveWebhook(input: $i) { webhook { id version url types enabled state ackedCursor lagSeconds
	filter { subjectIds clientTypes accountIds deviceIds regions } createdBy { ... on ApiClient { clientId } } } replayed
	userErrors { code field ... on AlreadyExists { existingId } ... on VersionConflict { currentVersion } } } }`

// What saveWebhook and rewindWebhook refuse, outside lab mode, and what they do not.
func TestSaveWebhook(t *testing.T) {
	onBoth(t, func(h *house) {
		input := func(more map[string]any) map[string]any {
			in := map[string]any{"url": "https://bss.example.net/events", "types": []any{"SECURITY", "ACCOUNT_CREATED", "SECURITY"}, "secret": strings.Repeat("s", 16)}
			maps.Copy(in, more)
			return map[string]any{"i": in}
		}
		device := models.Subject{Kind: models.KindDevice, ID: models.NewID()}.GlobalID()
		for _, x := range []struct {
			more  map[string]any
			code  models.Code
			field string
		}{
			{map[string]any{"url": ""}, models.Invalid, "url"},
			{map[string]any{"url": "bss.example.net"}, models.Invalid, "url"},
			{map[string]any{"url": "http://bss.example.net/"}, models.Invalid, "url"},
			{map[string]any{"url": "ftp://bss.example.net/"}, models.Invalid, "url"},
			{map[string]any{"url": "https://user:password@bss.example.net/"}, models.Invalid, "url"},
			{map[string]any{"url": "https://bss.example.net/#a"}, models.Invalid, "url"},
			{map[string]any{"url": "https://bss.example.net:0/"}, models.Invalid, "url"},
			{map[string]any{"url": "https://bss.example.net:65536/"}, models.Invalid, "url"},
			{map[string]any{"url": "https://bss.example.net:/"}, models.Invalid, "url"},
			{map[string]any{"url": "https:///events"}, models.Invalid, "url"},
			{map[string]any{"url": "https://bss.example.net/\u202eevents"}, models.Invalid, "url"},
			{map[string]any{"url": "https://bss.example.net/\x00"}, models.Invalid, "url"},
			{map[string]any{"url": " https://bss.example.net/"}, models.Invalid, "url"},
			{map[string]any{"url": "https://bss.example.net/" + strings.Repeat("x", 2048)}, models.TooLong, "url"},
			{map[string]any{"url": "https://10.0.0.1/"}, models.PolicyDenied, "url"},
			{map[string]any{"url": "https://[::1]:8080/"}, models.PolicyDenied, "url"},
			{map[string]any{"url": "https://169.254.169.254/latest"}, models.PolicyDenied, "url"},
			{map[string]any{"secret": strings.Repeat("s", 15)}, models.Invalid, "secret"},
			{map[string]any{"secret": strings.Repeat("s", 257)}, models.Invalid, "secret"},
			{map[string]any{"secret": nil}, models.SecretRequired, "secret"},
			{map[string]any{"filter": map[string]any{"types": []any{"SECURITY"}}}, models.Invalid, "filter types"},
			{map[string]any{"filter": map[string]any{"accountIds": []any{device}}}, models.NotFound, "filter accountIds 0"},
			{map[string]any{"filter": map[string]any{"subjectIds": []any{device, "x"}}}, models.NotFound, "filter subjectIds 1"},
			{map[string]any{"filter": map[string]any{"regions": []any{""}}}, models.Invalid, "filter regions 0"},
			{map[string]any{"id": device}, models.NotFound, "id"},
			{map[string]any{"id": models.Subject{Kind: models.KindWebhook, ID: models.NewID()}.GlobalID()}, models.NotFound, "id"},
		} {
			a := h.ask(h.bss, saveWebhook, input(x.more))
			if got := fmt.Sprintf("%v %v", a.at("saveWebhook.userErrors.0.code"), a.at("saveWebhook.userErrors.0.field")); got != fmt.Sprintf("%s [input %s]", x.code, x.field) {
				t.Errorf("%v: %s %s", x.more, got, a.text)
			}
		}
		for _, cursor := range []string{"x", "MS45OQ"} {
			if a := h.ask(h.bss, saveWebhook, input(map[string]any{"from": cursor})); a.code() != string(models.BadUserInput) {
				t.Errorf("from %s: %s", cursor, a.text)
			}
		}
		h.must(h.bss, `{ webhooks { id } }`, nil).want("webhooks", "[]")

		made := h.must(h.bss, saveWebhook, input(map[string]any{"filter": map[string]any{"deviceIds": []any{device}, "subjectIds": []any{device}, "regions": []any{"east"}}}))
		id := made.at("saveWebhook.webhook.id")
		made.want("saveWebhook.webhook.types", "[ACCOUNT_CREATED SECURITY]")
		made.want("saveWebhook.webhook.filter.deviceIds.0", device)
		made.want("saveWebhook.webhook.filter.subjectIds.0", device)
		made.want("saveWebhook.webhook.filter.accountIds", "[]")
		made.want("saveWebhook.webhook.state", "ACTIVE")
		made.want("saveWebhook.webhook.lagSeconds", 0)
		made.want("saveWebhook.webhook.createdBy.clientId", "bss")
		repeat := h.must(h.bss, saveWebhook, input(map[string]any{"filter": map[string]any{"deviceIds": []any{device}, "subjectIds": []any{device}, "regions": []any{"east"}}}))
		repeat.want("saveWebhook.webhook.version", 1)   // its answer was lost
		again := h.must(h.bss, saveWebhook, input(nil)) // the filter is as it was
		again.want("saveWebhook.webhook.id", id)
		again.want("saveWebhook.webhook.version", 1)
		taken := h.ask(h.bss, saveWebhook, input(map[string]any{"types": []any{}}))
		taken.want("saveWebhook.userErrors.0.code", models.AlreadyExists)
		taken.want("saveWebhook.userErrors.0.existingId", id)
		other := h.must(h.bss, saveWebhook, input(map[string]any{"url": "https://bss.example.net/other", "enabled": false}))
		other.want("saveWebhook.webhook.state", "DISABLED")
		h.ask(h.bss, saveWebhook, input(map[string]any{"id": other.at("saveWebhook.webhook.id")})).want("saveWebhook.userErrors.0.code", models.AlreadyExists)
		changed := h.must(h.bss, saveWebhook, input(map[string]any{"id": id, "expectedVersion": 1, "filter": nil, "types": []any{}}))
		changed.want("saveWebhook.webhook.version", 2)
		changed.want("saveWebhook.webhook.filter.regions", "[]")
		stale := h.ask(h.bss, saveWebhook, input(map[string]any{"id": id, "expectedVersion": 1}))
		stale.want("saveWebhook.userErrors.0.currentVersion", 2)

		const rewind = `mutation($i: RewindWebhookInput!) { rewindWebhook(input: $i) { webhook { ackedCursor } userErrors { code field } } }`
		h.ask(h.bss, rewind, map[string]any{"i": map[string]any{"id": device, "cursor": ""}}).want("rewindWebhook.userErrors.0.code", models.NotFound)
		h.ask(h.bss, rewind, map[string]any{"i": map[string]any{"id": id, "cursor": "MS4w", "since": "2026-01-01T00:00:00Z"}}).want("rewindWebhook.userErrors.0.field", "[input since]")
		if a := h.ask(h.bss, rewind, map[string]any{"i": map[string]any{"id": id, "cursor": "forged"}}); a.code() != string(models.BadUserInput) {
			t.Error(a.text)
		}
		h.must(h.bss, rewind, map[string]any{"i": map[string]any{"id": id, "cursor": "", "since": "2026-01-01T00:00:00Z"}}).want("rewindWebhook.webhook.ackedCursor", "MS4w")

		// Whoever may not read events makes no webhook; whoever administers webhooks everywhere and reads events somewhere changes none of others.
		if a := h.ask(h.client("blind", nil, models.WebhookAdmin), saveWebhook, input(nil)); a.code() != string(models.Forbidden) {
			t.Error(a.text)
		}
		half := h.with("half", h.role("hooks", nil, models.WebhookAdmin), h.role("reads", []string{"east"}, models.EventRead))
		h.ask(half, saveWebhook, input(map[string]any{"id": id})).want("saveWebhook.userErrors.0.code", models.PolicyDenied)
		for n := range 98 {
			h.must(h.bss, saveWebhook, input(map[string]any{"url": fmt.Sprint("https://bss.example.net/", n), "enabled": false}))
		}
		h.ask(h.bss, saveWebhook, input(map[string]any{"url": "https://bss.example.net/more"})).want("saveWebhook.userErrors.0.code", models.QuotaExceeded)
	})
}
