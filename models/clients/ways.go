package clients

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// Ways are the ways to authenticate that are open, beside those that belong to mobile clients alone.
type Ways struct {
	// Challenge and Timestamp are the modes in which a password may be proved (i4.auth.modes); Window is how far the timestamp of the second
	// may be off.
	Challenge, Timestamp bool
	Window               time.Duration
	// Plain lets legacy clients send their password in clear (i4.auth.legacyPlaintext, i4.md C.2.5).
	Plain bool
	// MustChangeInitial withholds service from a PC that proved a one-time password until it has changed it (Status 15).
	MustChangeInitial bool
}

// way is how a client proves whose it is: one AU.Mode with one AU.Purpose.
type way struct {
	mode    string
	purpose models.ProofPurpose
	// mobile: the client is known by its mobile number (i4.md B.3), and its account by that (resolutions 9).
	mobile bool
	// parse reads what belongs to the way; wrong names the first parameter that is missing or malformed.
	parse func(*registration) (wrong string)
	// claim finds the account; nil if it is known by its number.
	claim func(f *registration, tx *store.Tx, locked bool) (a *models.Account, several bool, err error)
	// begin is the first step: a challenge, or everything at once.
	begin func(*registration, context.Context) (*models.Request, error)
	// judge judges the claim in the transaction that acts on it, for whatever account it is about; nil if there is none.
	judge func(f *registration, tx *store.Tx, a *models.Account, several bool) (judged, error)
}

// judged is what a claim came to: a refusal, or what stands for it.
type judged struct {
	refusal *refusal

	// by is what proved it, method the same for the binding. owner: whoever proved it has the account's mobile, so it may take the place of
	// another device.
	by      string
	method  models.BindingMethod
	owner   bool
	verdict passwords.Verdict // of a password or code
	own     []models.Value    // for the client alone
	warning string            // code of a SECURITY event about what was let pass
}

// refusal is what a client hears of a claim that does not hold, and the code of the SECURITY event about it.
type refusal struct {
	models.Outcome
	code string
	// counts: it is a failure of the address that it came from (i4.md C.3).
	counts bool
}

// Values of AU.Mode (i4.md D.3.2).
const (
	modeChallenge = "challenge"
	modeTimestamp = "timestamp"
	modePlain     = "plain"
	modeNetwork   = "network"
	modeSMS       = "sms"
	modeMOSMS     = "mo-sms"
)

var (
	byChallenge = way{
		mode: modeChallenge, purpose: models.ToRegister,
		parse: (*registration).parseProof, begin: (*registration).sendChallenge, judge: (*registration).judgeProof,
	}
	byCode = way{
		mode: modeChallenge, purpose: models.ToRegisterMobile, mobile: true,
		parse: (*registration).parseProof, begin: (*registration).sendChallenge, judge: (*registration).judgeProof,
	}
	byTimestamp = way{
		mode: modeTimestamp, purpose: models.ToRegister,
		parse: (*registration).parseStamped, begin: (*registration).stamped, judge: (*registration).judgeProof,
	}
	byPlain = way{
		mode: modePlain, purpose: models.ToRegister,
		parse: (*registration).parsePlain, begin: (*registration).derived, judge: (*registration).judgeProof,
	}
	byNetwork = way{
		mode: modeNetwork, mobile: true,
		parse: (*registration).parseMobile, begin: (*registration).vouched, judge: (*registration).judgeToken,
	}
	byMOSMS = way{
		mode: modeMOSMS, mobile: true,
		parse: (*registration).parseMobile, begin: (*registration).vouched, judge: (*registration).judgeAsserted,
	}
	// bySMS only asks for the code that byCode proves.
	bySMS = way{mode: modeSMS, purpose: models.ToRegisterMobile, mobile: true, parse: (*registration).parseMobile, begin: (*registration).sendCode}
)

// choose finds the way that the Inform asks for; false if it is none that is open to this type of client.
func (f *registration) choose() (way, bool) {
	c, mobile := f.room.config, f.clientType() == models.Mobile
	given := f.in.Get(mode)
	if given == "" && f.in.Get(password) != "" {
		given = modePlain // a client from before there were modes
	}
	toMobile := mobile && f.in.Get(purpose) == string(models.ToRegisterMobile)
	for _, x := range []struct {
		way
		open bool
	}{
		{byCode, toMobile && slices.Contains(c.Mobile.Modes, modeSMS)},
		{byChallenge, !toMobile && c.Ways.Challenge},
		{byTimestamp, c.Ways.Timestamp},
		{byPlain, c.Ways.Plain},
		{byNetwork, mobile && slices.Contains(c.Mobile.Modes, modeNetwork)},
		{byMOSMS, mobile && slices.Contains(c.Mobile.Modes, modeMOSMS)},
		{bySMS, mobile && slices.Contains(c.Mobile.Modes, modeSMS)},
	} {
		if x.open && x.mode == given {
			return x.way, true
		}
	}
	return way{}, false
}

// parse reads the Inform; it names the first parameter that is missing, malformed or of a kind that this platform does not play.
func (f *registration) parse() (wrong string) {
	t := f.clientType()
	if t == models.MagicScreen {
		return f.parseScreen()
	}
	claimed, known := models.ClientTypeOf(f.in.Claimed)
	var open bool
	f.way, open = f.choose()
	legacy := f.way.mode == modePlain // which has no parameters but number and password
	session := f.in.Get(loginSessionID)
	switch {
	case t != models.PC && t != models.Mobile, !known && (f.in.Claimed != "" || !legacy), known && claimed != t:
		return clientTypeName
	case !open:
		return mode
	}
	f.message = models.AuthMessage{Purpose: f.way.purpose, DeviceKey: f.in.Key, ClientType: t, ClientNonce: strings.ToLower(f.in.Get(clientNonce))}
	wrong = f.way.parse(f)
	if wrong == "" && (session == "" && !legacy || len(session) > maxLoginSessionID) {
		wrong = loginSessionID
	}
	return wrong
}

// parseNumber reads whose the client claims to be.
func (f *registration) parseNumber(given string) (ok bool) {
	f.message.Number, ok = f.room.config.Plan.Normalise(given)
	return ok
}

func (f *registration) parseProof() (wrong string) {
	given := f.in.Get(userName)
	if f.way.mobile {
		given = cmp.Or(given, f.in.Get(mdn))
	}
	switch {
	case !f.parseNumber(given):
		return userName
	case f.in.Get(algorithm) != models.ProofAlgorithm:
		return algorithm
	case f.in.Get(purpose) != string(f.way.purpose):
		return purpose
	case !isHex(f.message.ClientNonce, 32):
		return clientNonce
	case f.way.mobile && !isIMSI(f.in.Get(imsi)):
		return imsi
	}
	return ""
}

// sendChallenge sends the challenge; unknown numbers get one too, so that nobody learns which numbers exist.
func (f *registration) sendChallenge(ctx context.Context) (*models.Request, error) {
	account, refusal, err := f.locked(ctx)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, f.deny(ctx, *refusal)
	}
	var random []byte
	var rounds int
	if f.way.mobile {
		random, rounds, err = f.room.Passwords.CodeSalt(ctx, f.message.Number)
	} else {
		random, rounds, err = f.room.Passwords.Salt(ctx, f.message.Number, account)
	}
	if err != nil {
		return nil, err
	}
	return f.request(random, rounds), nil
}

// proved takes the answer to the challenge.
func (f *registration) proved(ctx context.Context, given map[string]string) error {
	f.given = given[proof]
	if err := f.authenticate(ctx); err != nil {
		return f.failed(ctx, err)
	}
	return nil
}

func (f *registration) judgeProof(tx *store.Tx, a *models.Account, several bool) (judged, error) {
	v, err := f.room.Passwords.Judge(tx, passwords.Attempt{
		Number: f.message.Number, Account: a, Device: f.in.Key, Message: f.message, Proof: f.given, Plain: f.plain,
	})
	if err != nil {
		return judged{}, err
	}
	if !v.OK {
		return judged{refusal: f.wrong(a, several, v)}, nil
	}
	j := judged{by: string(v.Kind), method: models.ByPassword, verdict: v}
	switch v.Kind {
	case models.OneTimePassword:
		j.method, j.owner = models.ByOneTimePassword, true
	case models.LoginCode:
		j.method, j.owner = models.BySMS, true
	}
	if f.plain == nil {
		j.own = []models.Value{{Name: serverProof, Value: v.Verifier.ServerProof(f.message)}}
	}
	return j, nil
}

// wrong is what a client hears of a proof that does not hold.
func (f *registration) wrong(a *models.Account, several bool, v passwords.Verdict) *refusal {
	r := &refusal{code: "security.auth_failed", counts: true}
	r.Outcome = models.Outcome{Result: v.Result, Delivery: models.DeliveryFailed, RetryAfter: v.RetryAfter, Limit: v.Limit, Times: v.Times}
	switch v.Result {
	case models.ResultAuthFailed:
		r.Result = f.unknown(a, several)
	case models.ResultLocked:
		r.code = "security.locked"
	case models.ResultChallengeInvalid:
		r.code, r.counts = "security.challenge_invalid", false
	}
	return r
}

// unknown is the result of a wrong proof: that there is no such account is told only where anti-enumeration is off.
func (f *registration) unknown(a *models.Account, several bool) models.Result {
	if a == nil && !several && !f.room.config.AntiEnumeration {
		return models.ResultUnknownAccount
	}
	return models.ResultAuthFailed
}
