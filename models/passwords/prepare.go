package passwords

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Prepared is a verifier that waits for its transaction.
type Prepared struct {
	// Code is the one-time password or code in clear; empty for a password that somebody chose.
	Code models.Secret

	kind       models.CredentialKind
	keys       models.Verifier
	salt       []byte
	iterations int
	// resalts: the account had another salt, which this one takes the place of.
	resalts    bool
	ttl        time.Duration
	bindDevice bool
}

// Salt returns the 16-byte salt and the iterations of an account; the zero account is an unknown one, whose salt follows from the number by
// the same formula as a new account's, so that a challenge tells nothing (resolutions 64).
func (r *Room) Salt(ctx context.Context, number models.Number, account models.ID) (salt []byte, iterations int, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		stored, err := storedSalt(tx, account)
		if err != nil {
			return err
		}
		if stored == nil {
			stored = r.firstSalt(tx, number)
		}
		salt, iterations = stored.Salt, stored.Iterations
		return nil
	})
	return salt, iterations, err
}

// firstSalt is the salt of an account that has had no verifier; where timestamp mode is on a client can compute it (i4.md C.2.4).
func (r *Room) firstSalt(tx *store.Tx, number models.Number) *models.PasswordSalt {
	if r.config.Realm != "" {
		return &models.PasswordSalt{Salt: models.TimestampSalt(number, r.config.Realm), Iterations: r.config.Iterations}
	}
	sum := tx.HMAC("password salt", string(number))
	return &models.PasswordSalt{Salt: sum[:16], Iterations: r.config.Iterations}
}

// CodeSalt returns the 16-byte salt and the iterations of login codes sent to a mobile. They follow from its number alone: the salt of the
// account would tell which mobile belongs to which number, and that there is such an account at all.
func (r *Room) CodeSalt(ctx context.Context, mdn models.Number) (salt []byte, iterations int, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		s := r.codeSalt(tx, mdn)
		salt, iterations = s.Salt, s.Iterations
		return nil
	})
	return salt, iterations, err
}

func (r *Room) codeSalt(tx *store.Tx, mdn models.Number) *models.PasswordSalt {
	if r.config.Realm != "" {
		return r.firstSalt(tx, mdn) // every verifier has the salt that a client can compute
	}
	sum := tx.HMAC("code salt", string(mdn))
	return &models.PasswordSalt{Salt: sum[:16], Iterations: r.config.Iterations}
}

// nextSalt is that of the account's next verifier. All but login codes share one, which stays, except that where timestamp mode is on the computable
// one takes its place as soon as no long-term password needs the old one.
func (r *Room) nextSalt(tx *store.Tx, number models.Number, account models.ID, kind models.CredentialKind) (s *models.PasswordSalt, resalts bool, err error) {
	if kind == models.LoginCode {
		return r.codeSalt(tx, number), false, nil
	}
	stored, err := storedSalt(tx, account)
	if err != nil {
		return nil, false, err
	}
	first := r.firstSalt(tx, number)
	switch {
	case stored == nil:
		return first, false, nil
	case r.config.Realm == "" || sameSalt(stored, first.Salt, first.Iterations):
		return stored, false, nil
	}
	needed, err := needsSalt(tx, account, kind)
	if err != nil || needed {
		return stored, false, err
	}
	return first, true, nil
}

// needsSalt tells whether the account has a long-term password that a verifier of that kind leaves alone.
func needsSalt(tx *store.Tx, account models.ID, kind models.CredentialKind) (bool, error) {
	if kind == models.LongTermPassword || kind == models.ResetCode {
		return false, nil
	}
	n, err := gorm.G[models.Credential](tx.DB).Where("account_id = ? AND kind = ?", account, models.LongTermPassword).Count(tx.Context(), "*")
	if err != nil {
		return false, fmt.Errorf("look for the password of account %s: %w", account, err)
	}
	return n > 0, nil
}

func sameSalt(s *models.PasswordSalt, salt []byte, iterations int) bool {
	return bytes.Equal(s.Salt, salt) && s.Iterations == iterations
}

// storedSalt is the salt of an account that has had a verifier; nil if it has not.
func storedSalt(tx *store.Tx, account models.ID) (*models.PasswordSalt, error) {
	rows, err := gorm.G[models.PasswordSalt](tx.DB).Where("account_id = ?", account).Limit(1).Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read the salt of account %s: %w", account, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// PrepareOTP makes a one-time password and its verifier, outside any transaction. Derivations run in a bounded pool; when it is full the
// error is UNAVAILABLE.
func (r *Room) PrepareOTP(ctx context.Context, number models.Number, account models.ID) (Prepared, error) {
	p, err := r.prepareCode(ctx, number, account, models.OneTimePassword, r.config.OTPLength)
	p.ttl, p.bindDevice = r.config.OTPTTL, r.config.BindDevice
	return p, err
}

// CodeLength is that of a mobile's login code (i4.md B.3).
const CodeLength = 8

// PrepareCode makes a mobile's login code, as PrepareOTP makes a one-time password; the zero account is an unknown one.
func (r *Room) PrepareCode(ctx context.Context, mdn models.Number, account models.ID) (Prepared, error) {
	p, err := r.prepareCode(ctx, mdn, account, models.LoginCode, CodeLength)
	p.ttl, p.bindDevice = r.config.CodeTTL, true
	return p, err
}

// PrepareReset makes the code of an operator's reset, as PrepareOTP makes a one-time password.
func (r *Room) PrepareReset(ctx context.Context, number models.Number, account models.ID) (Prepared, error) {
	p, err := r.prepareCode(ctx, number, account, models.ResetCode, r.config.OTPLength)
	p.ttl = r.config.ResetTTL
	return p, err
}

func (r *Room) prepareCode(ctx context.Context, number models.Number, account models.ID, kind models.CredentialKind, length int) (Prepared, error) {
	code, err := randomText(length, r.config.OTPAlphabet)
	if err != nil {
		return Prepared{}, err
	}
	p, err := r.prepare(ctx, number, account, kind, code)
	p.Code = code
	return p, err
}

// Bounds of a chosen password, in characters (i4.md B.5).
const (
	minPassword = 8
	maxPassword = 64
)

// PreparePassword makes the verifier of a first password that the BSS chose. A password outside the policy is INVALID at
// ["input","initialPassword"]; a full pool is UNAVAILABLE.
func (r *Room) PreparePassword(ctx context.Context, number models.Number, account models.ID, password models.Secret) (Prepared, error) {
	text := password.Reveal()
	refuse := func(why string) (Prepared, error) {
		return Prepared{}, models.E(models.Invalid, why, "input", "initialPassword")
	}
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return refuse("the password has characters that cannot be typed")
	case n < minPassword || n > maxPassword:
		return refuse(fmt.Sprintf("the password must have %d to %d characters", minPassword, maxPassword))
	case strings.TrimPrefix(text, "+") == string(number):
		return refuse("the password must not be the number")
	}
	return r.prepare(ctx, number, account, models.LongTermPassword, password)
}

func (r *Room) prepare(ctx context.Context, number models.Number, account models.ID, kind models.CredentialKind, password models.Secret) (Prepared, error) {
	p := Prepared{kind: kind}
	err := r.store.View(ctx, func(tx *store.Tx) error {
		s, resalts, err := r.nextSalt(tx, number, account, kind)
		if err != nil {
			return err
		}
		p.salt, p.iterations, p.resalts = s.Salt, s.Iterations, resalts
		return nil
	})
	if err != nil {
		return Prepared{}, err
	}
	p.keys, err = r.derive(ctx, password, p.salt, p.iterations)
	return p, err
}

// derive runs PBKDF2 in the pool.
func (r *Room) derive(ctx context.Context, password models.Secret, salt []byte, iterations int) (v models.Verifier, err error) {
	err = r.pool.run(ctx, func() error {
		keys, err := models.DeriveProofKeys(password, salt, iterations)
		v = keys.Verifier
		return err
	})
	return v, err
}

// Plain is a password that a legacy client sent in clear, as far as judging it needs (i4.md C.2.5).
type Plain struct{ keys models.Verifier }

// DerivePlain prepares a password in clear for Judge, for known and unknown numbers alike. A full pool is UNAVAILABLE.
func (r *Room) DerivePlain(ctx context.Context, number models.Number, account models.ID, password models.Secret) (Plain, error) {
	salt, iterations, err := r.Salt(ctx, number, account)
	if err != nil {
		return Plain{}, err
	}
	keys, err := r.derive(ctx, password, salt, iterations)
	return Plain{keys}, err
}

// Text is the message that carries a one-time password or a code to its user.
func (r *Room) Text(p Prepared) models.Secret {
	template, name := r.config.Template, "{otp}"
	if p.kind == models.LoginCode {
		template, name = r.config.CodeTemplate, "{code}"
	}
	minutes := int((p.ttl + time.Minute - 1) / time.Minute)
	return models.Secret(strings.NewReplacer(name, p.Code.Reveal(), "{min}", strconv.Itoa(minutes)).Replace(template))
}

// Lifetime is how long what was prepared is good; 0: for ever.
func (p Prepared) Lifetime() time.Duration { return p.ttl }

// TTL is how long a one-time password is good.
func (r *Room) TTL() time.Duration { return r.config.OTPTTL }

func randomText(n int, alphabet string) (models.Secret, error) {
	text := make([]byte, n)
	size := big.NewInt(int64(len(alphabet)))
	for i := range text {
		at, err := rand.Int(rand.Reader, size) // without bias, unlike a remainder
		if err != nil {
			return "", fmt.Errorf("make a one-time password: %w", err)
		}
		text[i] = alphabet[at.Int64()]
	}
	return models.Secret(text), nil
}

// pool bounds how many derivations run and how many wait, since each is tens of milliseconds of CPU that a stranger can ask for.
type pool struct{ admitted, running chan struct{} }

const waitersPerWorker = 8

func newPool(workers int) pool {
	return pool{admitted: make(chan struct{}, workers*(1+waitersPerWorker)), running: make(chan struct{}, workers)}
}

func (p pool) run(ctx context.Context, work func() error) error {
	select {
	case p.admitted <- struct{}{}:
	default:
		return models.E(models.Unavailable, "too many passwords are being derived; try again")
	}
	defer func() { <-p.admitted }()
	select {
	case p.running <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.running }()
	return work()
}
