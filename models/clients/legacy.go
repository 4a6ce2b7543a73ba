package clients

import (
	"context"
	"time"

	"github.com/softacs/softacs/models"
)

// The ways that are closed unless somebody opens them: the proof that needs no challenge (i4.md C.2.4), and the password in clear (C.2.5).

// stampLayout is that of AU.Timestamp, in UTC (i4.md C.2.1).
const stampLayout = "2006-01-02T15:04:05Z"

func (f *registration) parseStamped() (wrong string) {
	if wrong := f.parseProof(); wrong != "" {
		return wrong
	}
	f.message.ServerNonce, f.message.Timestamp = models.NoServerNonce, f.in.Get(timestamp)
	f.given = f.in.Get(proof)
	if _, err := time.Parse(stampLayout, f.message.Timestamp); err != nil || len(f.message.Timestamp) != len(stampLayout) {
		return timestamp
	}
	if !isHex(f.given, 64) {
		return proof
	}
	return ""
}

// stamped judges a proof that came with the Inform. A clock that is too far off is told so before anything is judged: it is no failure, and the
// nonce stays good.
func (f *registration) stamped(ctx context.Context) (*models.Request, error) {
	_, refusal, err := f.locked(ctx)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, f.deny(ctx, *refusal)
	}
	at, err := time.Parse(stampLayout, f.message.Timestamp)
	if err != nil {
		return nil, err
	}
	if off := f.room.clock.Now().Std().Sub(at); off.Abs() > f.room.config.Ways.Window {
		return nil, f.deny(ctx, denied(models.ResultClockSkew))
	}
	return nil, f.authenticate(ctx)
}

// maxPassword bounds UI.Password, string(64), in bytes.
const maxPassword = 256

func (f *registration) parsePlain() (wrong string) {
	nonce := f.message.ClientNonce
	switch given := f.in.Get(password); {
	case !f.parseNumber(f.in.Get(userName)):
		return userName
	case given == "", len(given) > maxPassword:
		return password
	case nonce != "" && !isHex(nonce, 32):
		return clientNonce
	}
	return ""
}

// derived judges a password in clear. It is derived for unknown numbers too, so that the time tells nothing.
func (f *registration) derived(ctx context.Context) (*models.Request, error) {
	account, refusal, err := f.locked(ctx)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, f.deny(ctx, *refusal)
	}
	plain, err := f.room.Passwords.DerivePlain(ctx, f.message.Number, account, models.Secret(f.in.Get(password)))
	if err != nil {
		return nil, err
	}
	f.plain = &plain
	return nil, f.authenticate(ctx)
}
