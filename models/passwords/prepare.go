package passwords

import (
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
	// Code is the one-time password in clear; empty for a password that somebody chose.
	Code models.Secret

	keys       models.Verifier
	salt       []byte
	iterations int
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
		if stored != nil {
			salt, iterations = stored.Salt, stored.Iterations
			return nil
		}
		sum := tx.HMAC("password salt", string(number))
		salt, iterations = sum[:16], r.config.Iterations
		return nil
	})
	return salt, iterations, err
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
	code, err := randomText(r.config.OTPLength, r.config.OTPAlphabet)
	if err != nil {
		return Prepared{}, err
	}
	p, err := r.prepare(ctx, number, account, code)
	p.Code, p.ttl, p.bindDevice = code, r.config.OTPTTL, r.config.BindDevice
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
	return r.prepare(ctx, number, account, password)
}

func (r *Room) prepare(ctx context.Context, number models.Number, account models.ID, password models.Secret) (Prepared, error) {
	salt, iterations, err := r.Salt(ctx, number, account)
	if err != nil {
		return Prepared{}, err
	}
	p := Prepared{salt: salt, iterations: iterations}
	err = r.pool.run(ctx, func() error {
		keys, err := models.DeriveProofKeys(password, salt, iterations)
		p.keys = keys.Verifier
		return err
	})
	return p, err
}

// Text is the message that carries a one-time password to its user.
func (r *Room) Text(p Prepared) models.Secret {
	minutes := int((p.ttl + time.Minute - 1) / time.Minute)
	return models.Secret(strings.NewReplacer("{otp}", p.Code.Reveal(), "{min}", strconv.Itoa(minutes)).Replace(r.config.Template))
}

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
