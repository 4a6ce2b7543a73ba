package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// withKeys serves the platform of c with the named keys, the first first, until stop.
func withKeys(t *testing.T, c *Config, kids ...string) (p *platform, stop func()) {
	t.Helper()
	var lines bytes.Buffer
	for _, kid := range kids {
		fmt.Fprintf(&lines, "%s: %s\n", kid, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(kid[:1]), 32)))
	}
	put(t, c.SecretKeys, lines.Bytes())
	a, err := start(t.Context(), *c, models.SystemClock{})
	if err != nil {
		t.Fatal(err)
	}
	// The next one listens where clients expect this one.
	c.North.Addr, c.South.Addr = a.northAddr.Addr().String(), a.southAddr.Addr().String()
	p = &platform{t: t, app: a, north: "http://" + c.North.Addr, south: "http://" + c.South.Addr + "/acs", sms: strings.TrimPrefix(c.SMS.Reveal(), "file:"), tap: newWiretap(t)}
	p.token = p.accessToken("bss", "a-secret-for-the-tests")
	return p, func() {
		t.Helper()
		if err := a.stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// The whole life of a key: it is added, becomes the first while servers run, everything is sealed anew, the old one goes. Clients, the BSS and
// whoever repeats a request notice nothing.
func TestRotationOfTheSecretKeys(t *testing.T) {
	t.Parallel()
	for engine, database := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := labConfig(t, database(t), nil)
			command := func(arguments ...string) (string, error) {
				cmd := process(t.Context(), t, append(arguments, "--database", c.Database.Reveal(), "--secretKeys", c.SecretKeys)...)
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			p, stop := withKeys(t, &c, "old", "new")
			_, msisdn, mobile := p.provision(object{"sipPassword": "a-sip-secret", "initialPassword": longTerm, "imsi": "460001234509876"})
			client := p.client(msisdn, nil)
			p.login(client, mobile)
			p.want(0)(client.Register(t.Context(), longTerm))
			registration := object{"idempotencyKey": "d", "identity": object{"oui": "00005E", "productClass": "IMSPC", "serialNumber": "stock-1"}, "clientType": "PC"}
			registered := func(p *platform) string {
				return p.mutate("registerDevice", "acsPassword", registration).text("acsPassword")
			}
			password := registered(p)
			p.mutate("createDeviceTask", "task { id }", object{"idempotencyKey": "t", "device": object{"id": p.deviceOf(client).text("id")}, "kind": "SET_VALUES",
				"values": []object{{"path": "Device.X_EXAMPLE.Password", "value": "a-task-secret"}}})
			salt := func(p *platform) string {
				salt, _, err := p.app.passwords.Salt(t.Context(), "862199999999", models.ID{})
				if err != nil {
					t.Fatal(err)
				}
				return string(salt)
			}
			before, token := salt(p), p.token
			page := `query($after: String) { accounts(first: 1, after: $after) { pageInfo { endCursor } nodes { id } } }`
			cursor := p.query(page, nil).text("accounts.pageInfo.endCursor")
			p.want(1)(client.Register(t.Context(), "Wrong-Horse-1!"))
			stop()

			p, stop = withKeys(t, &c, "new", "old")
			if out, err := command("keys", "list"); err != nil || !strings.Contains(out, `"new" seals and opens; values sealed with it: 0`) ||
				!strings.Contains(out, "accounts.sip_password") || !strings.Contains(out, "root_keys.secret") {
				t.Errorf("%v\n%s", err, out)
			}
			p.done(client.Heartbeat(t.Context())) // with what the old key sealed
			p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "m", "account": object{"msisdn": msisdn}, "imsi": "460001234509877"})
			if out, err := command("keys", "reseal"); err != nil || !strings.Contains(out, `"old" opens only; values sealed with it: 0`) {
				t.Errorf("%v\n%s", err, out)
			}
			stop()

			p, stop = withKeys(t, &c, "new")
			defer stop()
			p.everythingOpens()
			if out, err := command("keys", "list"); err != nil || strings.Contains(out, "old") {
				t.Errorf("%v\n%s", err, out)
			}
			p.done(client.Heartbeat(t.Context()))
			p.want(0)(client.Register(t.Context(), longTerm))
			if registered(p) != password || salt(p) != before {
				t.Error("a repeated request, or the challenge of an unknown number, changed with the key")
			}
			p.query(page, object{"after": cursor})
			p.token = token // signed with a key that is no more
			if answer := p.raw(`{ accounts(first: 1) { nodes { id } } }`, nil); !strings.Contains(answer, "UNAUTHENTICATED") {
				t.Error(answer)
			}
			if out, err := command("keys", "reseal", "--help"); err != nil || !strings.Contains(out, "first key") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// everythingOpens reads every sealed value of the database with the keys that there are.
func (p *platform) everythingOpens() {
	p.t.Helper()
	counts, err := p.app.store.CountSealed(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	seen := 0
	for _, c := range counts {
		if c.Key != p.app.store.KeyIDs()[0] {
			p.t.Errorf("%d values of %s.%s are sealed with %q", c.Values, c.Table, c.Column, c.Key)
		}
		key := "id"
		if c.Table == "configurations" || c.Table == "mobile_identities" {
			key = "device_id"
		}
		err := p.app.store.View(p.t.Context(), func(tx *store.Tx) error {
			var rows []struct {
				ID    models.ID
				Value models.Sealed
			}
			if err := tx.DB.Table(c.Table).Select(key + " AS id, " + c.Column + " AS value").Where(c.Column + " IS NOT NULL").Find(&rows).Error; err != nil {
				return err
			}
			for _, row := range rows {
				seen++
				if plain, err := tx.Unseal(c.Table, c.Column, row.ID, row.Value); err != nil || len(plain) == 0 {
					p.t.Errorf("%s.%s: %v", c.Table, c.Column, err)
				}
			}
			return nil
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	if seen < 10 {
		p.t.Errorf("only %d sealed values were there", seen)
	}
}

// A server that was not restarted seals with the old key while values are resealed: the command says so, and its next run finishes.
func TestResealTellsOfAServerWithTheOldKey(t *testing.T) {
	t.Parallel()
	database := storetest.SQLite(t)
	older, newer := store.Key{ID: "old", Secret: [32]byte{1}}, store.Key{ID: "new", Secret: [32]byte{2}}
	open := func(keys ...store.Key) *store.Store {
		s, err := store.Open(t.Context(), store.Config{URL: database, Keys: keys}, models.SystemClock{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	server, command := open(older, newer), open(newer, older)
	write := func() {
		err := server.InTx(t.Context(), func(tx *store.Tx) error {
			row := models.DeedSecret{ID: models.NewID()}
			row.Secret, _ = tx.Seal("deed_secrets", "secret", row.ID, []byte("x"))
			return tx.DB.Create(&row).Error
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write()
	var out bytes.Buffer
	done, err := command.Reseal(t.Context())
	if err != nil || done.Values != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	write() // between the walk and its report
	if err := reportReseal(t.Context(), command, done, &out); err == nil || !strings.Contains(err.Error(), "1 values") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := resealKeys(t.Context(), command, &out); err != nil {
		t.Error(err)
	}
}

// The audit log is checked from outside: the command prints the head, fails with status 1 at the first entry that does not hold, and finds a cut
// end by the head that an earlier run printed.
func TestAuditVerify(t *testing.T) {
	t.Parallel()
	c := labConfig(t, storetest.SQLite(t), nil)
	p := startPlatform(t, c)
	for range 3 {
		p.provision(nil)
	}
	verify := func(more ...string) (string, error) {
		cmd := process(t.Context(), t, append([]string{"audit", "verify", "--database", c.Database.Reveal(), "--secretKeys", c.SecretKeys}, more...)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	var entries int64
	storetest.Eventually(t, "the log is sequenced", func() bool {
		var left int64
		p.read("SELECT COUNT(*) FROM audit_entries WHERE sequence IS NULL", &left)
		p.read("SELECT COUNT(*) FROM audit_entries", &entries)
		return left == 0 && entries >= 3
	})
	out, err := verify()
	if err != nil || !strings.Contains(out, fmt.Sprintf("entries that hold: %d\nhead: %d:", entries, entries)) {
		t.Fatalf("%v\n%s", err, out)
	}
	_, head, _ := strings.Cut(strings.TrimSpace(out), "head: ")
	if out, err := verify("--head", head); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := verify("--head", "nonsense"); err == nil || !strings.Contains(out, "softacs: --head: ") {
		t.Errorf("%v\n%s", err, out)
	}
	p.exec("DELETE FROM audit_entries WHERE sequence = ?", entries)
	p.exec("UPDATE log_head SET audit_sequence = ?, audit_hash = (SELECT hash FROM audit_entries WHERE sequence = ?)", entries-1, entries-1)
	if out, err := verify(); err != nil {
		t.Errorf("whoever mends the head as well is not found without a copy of it: %v\n%s", err, out)
	}
	if out, err := verify("--head", head); exitStatus(err) != 1 || !strings.Contains(out, fmt.Sprintf("audit entry %d is missing", entries)) {
		t.Errorf("%v\n%s", err, out)
	}
	p.exec("UPDATE audit_entries SET actor_name = 'somebody else' WHERE sequence = 2")
	if out, err := verify(); exitStatus(err) != 1 || !strings.Contains(out, "entries that hold: 1\n") || !strings.Contains(out, "audit entry 2 was changed") {
		t.Errorf("%v\n%s", err, out)
	}
}

// exitStatus is that of a process; 0 if it ended well, -1 if it did not end by itself.
func exitStatus(err error) int {
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}
