package clients_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/clients"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

var tokenKey = [32]byte{1, 2, 3}

func mobiles(c *clients.Config) {
	c.Mobile = clients.Mobile{Modes: []string{"network", "sms", "mo-sms"}, TokenKeys: [][32]byte{{9}, tokenKey}, AssertedTTL: 2 * time.Minute}
}

// phone is a mobile client of an account of its own, with the MDN of that.
func (h *house) phone() (*client, models.Number) {
	h.Helper()
	mdn := models.Number(fmt.Sprintf("8613900%06d", h.count.Add(1)))
	a := h.provision()
	if _, err := h.accounts.Modify(storetest.As(h.T), accounts.ModifyInput{
		IdempotencyKey: string(mdn), Account: accounts.Ref{ID: a.ID}, BoundMobile: accounts.Some(mdn),
		ClientTypes: accounts.Some([]models.ClientType{models.PC, models.Mobile}),
	}); err != nil {
		h.Fatal(err)
	}
	return h.client(a), mdn
}

// mobileRegister plays a REGISTER of a mobile client with these parameters.
func (c *client) mobileRegister(mode string, mdn models.Number, more map[string]string) models.Outcome {
	c.Helper()
	in := c.mobileInform(mode, mdn, more)
	return c.play(c.Context(), c.arrive(c.Context(), in, models.L0), in)
}

func (c *client) mobileInform(mode string, mdn models.Number, more map[string]string) *models.Inform {
	values := map[string]string{
		"auth.mode": mode, "auth.purpose": "mobile", "auth.algorithm": models.ProofAlgorithm, "auth.clientNonce": c.hex32(), "ui.requestId": c.hex32(),
		"ui.mdn": string(mdn), "softClient.loginSessionId": c.hex32(), "softClient.clientType": "Mobile",
	}
	for name, value := range more {
		values[name] = value
	}
	in := c.inform(models.EventRegister, values)
	in.ClientType, in.Claimed = models.Mobile, "Mobile"
	return in
}

// The answer to a REGISTER that asks for a code takes its pad, whether the mobile is known or not.
func TestLoginCodeIsPadded(t *testing.T) {
	const pad = 300 * time.Millisecond
	each(t, func(c *clients.Config) { mobiles(c); c.Pad = pad }, func(h *house) {
		known, mdn := h.phone()
		for name, x := range map[string]struct {
			c   *client
			mdn models.Number
		}{"known": {known, mdn}, "unknown": {h.client(nil), "8613700000000"}} {
			v := x.c.arrive(h.Context(), x.c.mobileInform("sms", x.mdn, nil), models.L0)
			began := h.clock.Now()
			answered := make(chan models.Time, 1)
			go func() {
				r, err := v.Next(h.Context())
				if err != nil || r == nil || r.Outcome.Result != models.ResultCodeSent || r.Outcome.Delivery != models.DeliveryRunning {
					h.Errorf("%s: asked %+v, %v", name, r, err)
				}
				answered <- h.clock.Now()
			}()
			storetest.Eventually(h.T, "the answer waits", func() bool { return h.clock.Waiting() == 1 })
			h.clock.Advance(pad + pad/10 + 2*time.Millisecond)
			if took := (<-answered).Sub(began); took < pad {
				h.Errorf("%s: answered after %s", name, took)
			}
		}
		if to := h.sent(); len(to) != 1 || to[0] != mdn {
			h.Errorf("codes went to %v", to)
		}
	})
}

// What vouches for a number does so for its time, by whatever key of the list it was signed, and once.
func TestWhatVouchesForANumberExpires(t *testing.T) {
	each(t, mobiles, func(h *house) {
		c, mdn := h.phone()
		nonce := strings.Repeat("a", 32)
		token := func(left time.Duration) map[string]string {
			claims := models.NetworkToken{MDN: mdn, ExpiresAt: h.clock.Now().Add(left) / 1000 * 1000, ClientNonce: nonce}
			return map[string]string{"auth.clientNonce": strings.ToUpper(nonce), "auth.networkToken": claims.Sign(tokenKey)}
		}
		old, fresh := token(time.Minute), token(2*time.Minute)
		h.clock.Advance(time.Minute)
		if o := c.mobileRegister("network", mdn, old); o.Result != models.ResultNetworkIDFailed {
			h.Errorf("an expired token: %+v", o)
		}
		for i, want := range []models.Result{models.ResultOK, models.ResultNetworkIDFailed} {
			if o := c.mobileRegister("network", mdn, fresh); o.Result != want {
				h.Errorf("use %d: %+v", i+1, o)
			}
		}
		say := func(text string) {
			if err := h.Asserted(h.Context(), mdn, text); err != nil {
				h.Error(err)
			}
		}
		mo := map[string]string{"auth.clientNonce": nonce}
		say("IMS " + strings.ToUpper(nonce) + " please")
		h.clock.Advance(2 * time.Minute)
		if o := c.mobileRegister("mo-sms", mdn, mo); o.Result != models.ResultNetworkIDFailed {
			h.Errorf("an old SMS: %+v", o)
		}
		say(nonce)
		h.clock.Advance(2*time.Minute - time.Second)
		if o := c.mobileRegister("mo-sms", mdn, mo); o.Result != models.ResultOK {
			h.Errorf("an SMS in time: %+v", o)
		}
		for _, text := range []string{"", nonce[1:], nonce + "b", "hello"} {
			say(text)
			if o := c.mobileRegister("mo-sms", mdn, mo); o.Result != models.ResultNetworkIDFailed {
				h.Errorf("an SMS %q: %+v", text, o)
			}
		}
	})
}

// Whoever asks for challenges learned from their salts which mobile belongs to which number, and that there is such a number at all.
func TestSaltsOfCodesTellNothing(t *testing.T) {
	each(t, mobiles, func(h *house) {
		c, mdn := h.phone()
		salt := func(mode string, values map[string]string) string {
			in := c.mobileInform(mode, mdn, values)
			r, err := c.arrive(h.Context(), in, models.L0).Next(h.Context())
			if err != nil || r == nil || r.Outcome.Result != models.ResultPending {
				h.Fatalf("asked %+v, %v", r, err)
			}
			for _, v := range r.Values {
				if v.Name == "auth.salt" {
					return v.Value
				}
			}
			return ""
		}
		register := func(n models.Number) string {
			return salt("challenge", map[string]string{"auth.purpose": "register", "ui.userName": n.E164()})
		}
		code := func(n models.Number) string { return salt("challenge", map[string]string{"ui.userName": n.E164()}) }
		const nobody = "8613700000001"
		seen := map[string]string{}
		for name, s := range map[string]string{
			"the number": register(c.number), "its mobile": code(mdn), "the mobile as a number": register(mdn), "the number as a mobile": code(c.number),
			"nobody": register(nobody), "nobody's mobile": code(nobody),
		} {
			if other, twice := seen[s]; twice || len(s) != 32 {
				h.Errorf("%s has the salt of %q", name, other)
			}
			seen[s] = name
		}
		before := code(mdn)
		if o := c.mobileRegister("sms", mdn, nil); o.Result != models.ResultCodeSent {
			h.Fatalf("%+v", o)
		}
		if code(mdn) != before {
			h.Error("the salt tells that a code is on its way")
		}
	})
}

// A stranger that claims to be a device cannot take its service away by claiming another SIM card.
func TestABootWithoutCredentialsChangesNoSIM(t *testing.T) {
	each(t, mobiles, func(h *house) {
		c, mdn := h.phone()
		if err := h.Asserted(h.Context(), mdn, strings.Repeat("c", 32)); err != nil {
			h.Fatal(err)
		}
		if o := c.mobileRegister("mo-sms", mdn, map[string]string{"auth.clientNonce": strings.Repeat("c", 32), "ui.imsi": "460030000000001"}); o.Result != models.ResultOK {
			h.Fatalf("%+v", o)
		}
		in := c.inform(models.EventBoot, map[string]string{"ui.imsi": "460030000000002"})
		in.ClientType, in.Claimed = models.Mobile, "Mobile"
		c.play(h.Context(), c.arrive(h.Context(), in, models.L0), in)
		d, err := h.Devices.Lookup(h.Context(), c.key())
		if err != nil || d.ReauthRequired {
			h.Errorf("%+v, %v", d, err)
		}
		// The credentials come with the heartbeat that follows, so that it is the first that can be believed.
		for _, event := range []models.EventName{models.EventPeriodic, models.EventPeriodic, models.EventBoot} {
			in.Events[0].Name = event
			if o := c.play(h.Context(), c.arrive(h.Context(), in, models.L1), in); o.Result != models.ResultReauthRequired {
				h.Errorf("%s with credentials: %+v", event, o)
			}
		}
		var told int64
		if err := h.store.View(h.Context(), func(tx *store.Tx) error {
			return tx.DB.Model(&models.Event{}).Where("payload LIKE ?", "%security.sim_changed%").Count(&told).Error
		}); err != nil || told != 1 {
			h.Errorf("told %d times, %v", told, err)
		}
		var b models.Binding
		if err := h.store.View(h.Context(), func(tx *store.Tx) error { return tx.DB.Take(&b).Error }); err != nil || b.State != models.BindingSuspended {
			h.Errorf("%+v, %v", b, err)
		}
	})
}
