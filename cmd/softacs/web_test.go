package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models/store/storetest"
	webclient "github.com/softacs/softacs/web-client"
)

// What people do in a browser, in Debian's Chromium: sign in, provision, watch a client come online without a reload, run a task, meet somebody
// else's change, follow events, change the language, sign out. No fault of the page and no breach of its policy is forgiven.
func TestWebClient(t *testing.T) {
	t.Parallel()
	if !webclient.Built() {
		t.Fatal("the web client is not built: run make web, which needs npm")
	}
	p := startPlatform(t, labConfig(t, storetest.SQLite(t), nil))
	journey := exec.CommandContext(t.Context(), "node", filepath.Join("..", "..", "web-client", "e2e", "journey.mjs"), p.north, p.app.config.Bootstrap.AdminPassword.Reveal(), t.ArtifactDir())
	journey.Stderr = os.Stderr
	answers, err := journey.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	questions, err := journey.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := journey.Start(); err != nil {
		t.Fatal(err)
	}
	outside := &outside{platform: p}
	for lines := bufio.NewScanner(questions); lines.Scan(); {
		var q question
		answer := "done"
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			answer = fmt.Sprintf("%q: %v", lines.Text(), err)
		} else if err := outside.happen(q); err != nil {
			answer = err.Error()
		}
		if _, err := fmt.Fprintln(answers, answer); err != nil {
			t.Error(err)
			break
		}
	}
	if err := journey.Wait(); err != nil {
		t.Error(err)
	}
}

// question is what the journey wants to happen outside the browser.
type question struct{ Do, Msisdn, Mobile, Region string }

// outside is the world of the journey: a customer's client and the BSS.
type outside struct {
	*platform
	client *sim.Client
}

func (o *outside) happen(q question) error {
	switch q.Do {
	case "login":
		o.client = o.platform.client(q.Msisdn, nil)
		o.login(o.client, q.Mobile)
	case "heartbeat":
		_, err := o.client.Heartbeat(o.t.Context())
		return err
	case "modify":
		o.mutate("modifyAccount", "account { version }", object{"idempotencyKey": q.Region, "account": object{"msisdn": q.Msisdn}, "region": q.Region})
	default:
		return fmt.Errorf("nobody knows how to %s", q.Do)
	}
	return nil
}
