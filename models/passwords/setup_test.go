package passwords_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

const (
	number = models.Number("862162345678")
	mobile = models.Number("8613800138000")
	pc     = models.DeviceKey("00005E-IMSPC-one")
	other  = models.DeviceKey("00005E-IMSPC-two")
)

// house is the room on one engine, with an account.
type house struct {
	*passwords.Room
	*testing.T
	store   *store.Store
	clock   *storetest.Clock
	account *models.Account
	nonces  atomic.Int64
}

// config is the default one with a cheap derivation.
func config() passwords.Config {
	c := passwords.Defaults()
	c.Iterations = 1000
	return c
}

func each(t *testing.T, c passwords.Config, f func(h *house)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		h := &house{Room: passwords.New(s, clock, c), T: t, store: s, clock: clock}
		h.account = h.provision(number)
		f(h)
	})
}

func (h *house) provision(n models.Number) *models.Account {
	h.Helper()
	a := &models.Account{ID: models.NewID(), Version: 1, ExternalID: "sub-" + string(n), State: models.AccountActive, Msisdn: n, LiveMsisdn: &n, BoundMobile: mobile, Region: "sh"}
	h.tx(func(tx *store.Tx) error { return gorm.G[models.Account](tx.DB).Create(tx.Context(), a) })
	return a
}

func (h *house) tx(f func(tx *store.Tx) error) {
	h.Helper()
	if err := h.store.InTx(h.Context(), f); err != nil {
		h.Fatal(err)
	}
}

// issue sends the account a one-time password that device asked for.
func (h *house) issue(device models.DeviceKey) models.Secret {
	h.Helper()
	p, err := h.PrepareOTP(h.Context(), h.account.Msisdn, h.account.ID)
	if err != nil {
		h.Fatal(err)
	}
	h.tx(func(tx *store.Tx) error { return passwords.IssueOTP(tx, h.account, device, p) })
	return p.Code
}

// set gives the account a long-term password.
func (h *house) set(password models.Secret) {
	h.Helper()
	p, err := h.PreparePassword(h.Context(), h.account.Msisdn, h.account.ID, password)
	if err != nil {
		h.Fatal(err)
	}
	h.tx(func(tx *store.Tx) error { return passwords.SetPassword(tx, h.account, p) })
}

// attempt is a proof of password by device under a fresh nonce; a nil account is an unknown number.
func (h *house) attempt(account *models.Account, n models.Number, device models.DeviceKey, password models.Secret) passwords.Attempt {
	h.Helper()
	var id models.ID
	if account != nil {
		id = account.ID
	}
	salt, iterations, err := h.Salt(h.Context(), n, id)
	if err != nil {
		h.Fatal(err)
	}
	keys, err := models.DeriveProofKeys(password, salt, iterations)
	if err != nil {
		h.Fatal(err)
	}
	m := models.AuthMessage{
		Purpose: models.ToRegister, Number: n, DeviceKey: device, ClientType: models.PC,
		ClientNonce: fmt.Sprintf("%032x", 0xabc000+h.nonces.Add(1)), ServerNonce: "c0ffee00d15ea5e0a11ce0b0b0cafe42", Timestamp: "2026-01-05T02:00:00Z",
	}
	return passwords.Attempt{Number: n, Account: account, Device: device, Message: m, Proof: keys.Proof(m)}
}

// judge judges an attempt and, if it is right, uses the password for binding.
func (h *house) judge(a passwords.Attempt, binding models.ID) (v passwords.Verdict) {
	h.Helper()
	v, err := h.judgeIn(h.Context(), a, binding)
	if err != nil {
		h.Fatal(err)
	}
	return v
}

func (h *house) judgeIn(ctx context.Context, a passwords.Attempt, binding models.ID) (v passwords.Verdict, err error) {
	err = h.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if v, err = h.Judge(tx, a); err != nil {
			return err
		}
		return passwords.Use(tx, v, a.Device, binding)
	})
	return v, err
}

// register judges a proof of the account's password.
func (h *house) register(device models.DeviceKey, password models.Secret) passwords.Verdict {
	h.Helper()
	return h.judge(h.attempt(h.account, h.account.Msisdn, device, password), models.ID{})
}

func (h *house) state() passwords.State {
	h.Helper()
	states, err := h.States(storetest.As(h.T), []models.ID{h.account.ID})
	if err != nil {
		h.Fatal(err)
	}
	return states[h.account.ID]
}

// binding stores a binding of the account in that state, confirmed at that time.
func (h *house) binding(state models.BindingState, confirmedAt models.Time) models.ID {
	h.Helper()
	b := models.Binding{ID: models.NewID(), Version: 1, AccountID: h.account.ID, DeviceID: models.NewID(), State: state, ConfirmedAt: confirmedAt}
	h.tx(func(tx *store.Tx) error { return gorm.G[models.Binding](tx.DB).Create(tx.Context(), &b) })
	return b.ID
}

func (h *house) want(what string, got, want any) {
	h.Helper()
	if got != want {
		h.Errorf("%s: got %v, want %v", what, got, want)
	}
}
