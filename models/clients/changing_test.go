package clients_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/clients"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

const chosen = models.Secret("Red-Kite-43!")

// change is a CHANGEPWD as a client plays it.
type change struct {
	*client
	in         *models.Inform
	old, fresh models.Secret
	purpose    models.ProofPurpose
	// spoil changes what answers the challenge; reply answers a request instead of the client if it returns something.
	spoil func(answer map[string]string)
	reply func(r *models.Request) *models.Reply

	asked []*models.Request
}

func (c *client) change(old, fresh models.Secret) *change {
	in := c.inform(models.EventChangePassword, map[string]string{
		"ui.userName": c.number.E164(), "ui.requestId": c.hex32(), "auth.mode": "challenge", "auth.algorithm": models.ProofAlgorithm,
		"auth.purpose": "changepwd", "auth.clientNonce": c.hex32(), "softClient.clientType": "PC",
	})
	return &change{client: c, in: in, old: old, fresh: fresh, purpose: models.ToChangePassword}
}

// again is the same user action with a new nonce (i4.md A.6).
func (x *change) again() *change {
	in := *x.in
	in.Values = map[string]models.Value{}
	for name, value := range x.in.Values {
		in.Values[name] = value
	}
	in.Values["auth.clientNonce"] = models.Value{Name: "auth.clientNonce", Value: x.hex32()}
	return &change{client: x.client, in: &in, old: x.old, fresh: x.fresh, purpose: x.purpose}
}

// run plays the whole session.
func (x *change) run() models.Outcome {
	x.Helper()
	return x.finish(x.arrive(x.Context(), x.in, models.L1))
}

func (x *change) finish(v *clients.Visit) (last models.Outcome) {
	x.Helper()
	for x.step(v, &last) {
	}
	v.End(x.Context(), nil)
	return last
}

// step answers one request; false when there is none.
func (x *change) step(v *clients.Visit, last *models.Outcome) bool {
	x.Helper()
	r, err := v.Next(x.Context())
	if err != nil {
		x.Fatal(err)
	}
	if r == nil {
		return false
	}
	x.asked = append(x.asked, r)
	if r.Outcome != nil {
		*last = *r.Outcome
	}
	if err := v.Answer(x.Context(), x.respond(r)); err != nil {
		x.Fatal(err)
	}
	return true
}

func (x *change) respond(r *models.Request) (reply models.Reply) {
	x.Helper()
	if x.reply != nil {
		if answer := x.reply(r); answer != nil {
			return *answer
		}
	}
	if r.Method == models.SetParameterValues {
		for _, value := range r.Values {
			x.held[value.Name] = value.Value
		}
		return models.Reply{}
	}
	answer := x.compute()
	if x.spoil != nil {
		x.spoil(answer)
	}
	for _, name := range r.Names {
		reply.Values = append(reply.Values, models.Value{Name: name, Value: answer[name]})
	}
	return reply
}

// compute is what the client answers to the challenge (i4.md C.2.2, C.2.3).
func (x *change) compute() map[string]string {
	x.Helper()
	salt, err1 := hex.DecodeString(x.held["auth.salt"])
	rounds, err2 := strconv.Atoi(x.held["auth.iterations"])
	old, err3 := models.DeriveProofKeys(x.old, salt, rounds)
	newSalt := []byte("0123456789abcdef")
	fresh, err4 := models.DeriveProofKeys(x.fresh, newSalt, 10_000)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			x.Fatal(err)
		}
	}
	m := models.AuthMessage{
		Purpose: x.purpose, Number: x.number, DeviceKey: x.key(), ClientType: models.PC, ClientNonce: x.in.Get("auth.clientNonce"),
		ServerNonce: x.held["auth.serverNonce"], Timestamp: "2026-01-05T02:00:00Z",
	}
	x.held["expected"] = old.ServerProof(m)
	return map[string]string{
		"auth.proof": old.Proof(m), "auth.timestamp": m.Timestamp, "auth.clientNonce": m.ClientNonce, "auth.newSalt": hex.EncodeToString(newSalt),
		"auth.newIterations": "10000", "auth.newStoredKey": hex.EncodeToString(fresh.StoredKey[:]), "auth.newServerKey": hex.EncodeToString(fresh.ServerKey[:]),
		"auth.newVerifierMac": models.VerifierMAC(old.ClientKey, m, newSalt, 10_000, fresh.Verifier), "ui.newPassword": x.fresh.Reveal(),
	}
}

func (x *change) want(status models.Result) {
	x.Helper()
	if o := x.run(); o.Result != status {
		x.Errorf("the outcome is %+v, not %s", o, status)
	}
}

// registered is a client that is bound to the account, by its long-term password, and has reported once.
func (h *house) registered(a *models.Account) *client {
	h.Helper()
	c := h.client(a)
	if o := c.register(); o.Result != models.ResultOK {
		h.Fatalf("%+v", o)
	}
	c.play(h.Context(), c.arrive(h.Context(), c.heartbeat(), models.L1), nil)
	return c
}

// log lists code and state of the account's events from the n-th on.
func (h *house) log(a *models.Account, from int) (list []string) {
	h.Helper()
	var events []models.Event
	err := h.store.View(h.Context(), func(tx *store.Tx) error {
		return tx.DB.Where("account_id = ?", a.ID).Order("n").Offset(from).Limit(100).Find(&events).Error
	})
	if err != nil {
		h.Fatal(err)
	}
	for _, e := range events {
		list = append(list, strings.TrimSpace(fmt.Sprint(e.Payload.V["code"], " ", e.Payload.V["state"])))
	}
	return list
}

func (h *house) audited() (list []string) {
	h.Helper()
	var rows []models.AuditEntry
	err := h.store.View(h.Context(), func(tx *store.Tx) error {
		return tx.DB.Where("action = ?", "changePassword").Order("n").Find(&rows).Error
	})
	if err != nil {
		h.Fatal(err)
	}
	for _, e := range rows {
		list = append(list, fmt.Sprint(e.Outcome, " ", e.ErrorCode))
	}
	return list
}

func (c *client) row() *models.Device {
	c.Helper()
	d, err := c.Devices.Lookup(c.Context(), c.key())
	if err != nil {
		c.Fatal(err)
	}
	return d
}

func equal(h *house, what string, got, want []string) {
	h.Helper()
	if !slices.Equal(got, want) {
		h.Errorf("%s: %q, want %q", what, got, want)
	}
}

func (h *house) exec(statement string, arguments ...any) {
	h.Helper()
	err := h.store.InTx(h.Context(), func(tx *store.Tx) error { return tx.DB.Exec(statement, arguments...).Error })
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) issueReset(a *models.Account, p passwords.Prepared) {
	h.Helper()
	if err := h.store.InTx(h.Context(), func(tx *store.Tx) error { return passwords.IssueReset(tx, a, p) }); err != nil {
		h.Fatal(err)
	}
}

// registerWith takes the client through 6.1.2 with another password than the usual one.
func (c *client) registerWith(password models.Secret) models.Outcome {
	c.Helper()
	in := c.inform(models.EventRegister, map[string]string{
		"ui.userName": c.number.E164(), "auth.mode": "challenge", "auth.algorithm": models.ProofAlgorithm, "auth.purpose": "register",
		"auth.clientNonce": c.hex32(), "softClient.loginSessionId": c.held["softClient.loginSessionId"], "softClient.clientType": "PC",
	})
	x := &change{client: c, in: in, old: password, fresh: password, purpose: models.ToRegister}
	return x.finish(c.arrive(c.Context(), in, models.L0))
}
