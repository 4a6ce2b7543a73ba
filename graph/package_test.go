package graph_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

const startUpload = `mutation($i: StartPackageUploadInput!) { startPackageUpload(input: $i) {
	package { id state } upload { url maxBytes headers { name value } } replayed userErrors { code field } } }`

func TestPackages(t *testing.T) {
	onBoth(t, func(h *house) {
		content := "a package"
		sum := sha256.Sum256([]byte(content))
		input := map[string]any{
			"idempotencyKey": "k", "name": "a.exe", "softwareVersion": "2.1", "clientType": "PC", "models": []string{"X"}, "size": len(content),
			"sha256": hex.EncodeToString(sum[:]), "minFromVersion": "1.0",
		}
		first := h.must(h.bss, startUpload, map[string]any{"i": input})
		again := h.must(h.bss, startUpload, map[string]any{"i": input})
		if again.at("startPackageUpload.replayed") != true || again.at("startPackageUpload.upload.headers.1.value") != first.at("startPackageUpload.upload.headers.1.value") {
			h.Errorf("replayed as %v", again)
		}
		url, _ := first.at("startPackageUpload.upload.url").(string)
		put := func(body string) int {
			r := httptest.NewRequestWithContext(h.Context(), http.MethodPut, url, strings.NewReader(body))
			for _, i := range []string{"0", "1"} {
				name, _ := first.at("startPackageUpload.upload.headers." + i + ".name").(string)
				value, _ := first.at("startPackageUpload.upload.headers." + i + ".value").(string)
				r.Header.Set(name, value)
			}
			return h.serve(r).status
		}
		if a, b := put("other"), put(content); a != http.StatusUnprocessableEntity || b != http.StatusCreated {
			h.Errorf("PUT: %d, %d", a, b)
		}
		id := first.at("startPackageUpload.package.id")
		act := func(name string, more map[string]any) any {
			in := map[string]any{"id": id}
			for k, v := range more {
				in[k] = v
			}
			done := h.ask(h.bss, `mutation($i: TargetActionInput!) { done: `+name+`(input: $i) { package { state version signatureValid } userErrors { code field } } }`, map[string]any{"i": in})
			if code := done.at("done.userErrors.0.code"); code != nil {
				return code
			}
			return done.at("done.package.state")
		}
		if state := act("completePackageUpload", nil); state != "READY" {
			h.Errorf("complete: %v", state)
		}
		if code := act("retirePackage", map[string]any{"expectedVersion": 1}); code != string(models.VersionConflict) {
			h.Errorf("a stale version: %v", code)
		}
		if code := act("retirePackage", map[string]any{"id": models.Subject{Kind: models.KindDevice, ID: models.NewID()}.GlobalID()}); code != string(models.NotFound) {
			h.Errorf("another kind: %v", code)
		}
		read := h.must(h.bss, `query($id: ID!) { node(id: $id) { ... on Package { name models size sha256 minFromVersion releaseNotes signature signatureValid
			uploadedBy { ... on ApiClient { clientId } } } } package(id: $id) { state } packages(states: [READY]) { nodes { id } } }`, map[string]any{"id": id})
		for path, want := range map[string]any{
			"node.name": "a.exe", "node.models.0": "X", "node.sha256": input["sha256"], "node.minFromVersion": "1.0", "node.releaseNotes": nil,
			"node.signatureValid": nil, "node.uploadedBy.clientId": "bss", "package.state": "READY", "packages.nodes.0.id": id,
		} {
			if got := read.at(path); got != want {
				h.Errorf("%s is %v, not %v", path, got, want)
			}
		}
		if state := act("retirePackage", map[string]any{"note": "withdrawn"}); state != "RETIRED" {
			h.Errorf("retire: %v", state)
		}
		input["size"], input["idempotencyKey"] = 0, "l"
		if refused := h.ask(h.bss, startUpload, map[string]any{"i": input}); refused.at("startPackageUpload.userErrors.0.code") != "INVALID" || refused.at("startPackageUpload.upload") != nil {
			h.Errorf("%v", refused)
		}
	})
}
