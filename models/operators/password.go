package operators

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/softacs/softacs/models"
)

const (
	minPassword = 12
	maxPassword = 128
	saltBytes   = 16
	hashBytes   = 32
)

// passwords makes and checks argon2id hashes, a few at a time: each costs tens of milliseconds and megabytes.
type passwords struct {
	memory, passes uint32
	threads        uint8
	queue          chan struct{} // one token for each that runs or waits
	running        chan struct{}
	// nobody is the hash of a password that nobody has: an unknown user costs as much as a known one.
	nobody string
}

func newPasswords(c Config) *passwords {
	checks := orElse(c.Checks, 2*runtime.NumCPU())
	p := &passwords{
		memory: orElse(c.Memory, 19<<10), passes: orElse(c.Passes, 2), threads: orElse(c.Threads, 1),
		queue: make(chan struct{}, checks+orElse(c.Waiting, 64)), running: make(chan struct{}, checks),
	}
	p.nobody = p.sum(randomPassword())
	return p
}

// enter waits for a turn; UNAVAILABLE if too many wait already (resolutions 63).
func (p *passwords) enter(ctx context.Context) (leave func(), err error) {
	select {
	case p.queue <- struct{}{}:
	default:
		busy := models.E(models.Unavailable, "too many passwords are being checked, try again")
		busy.RetryAfterSeconds = 1
		return nil, busy
	}
	select {
	case p.running <- struct{}{}:
		return func() { <-p.running; <-p.queue }, nil
	case <-ctx.Done():
		<-p.queue
		return nil, ctx.Err()
	}
}

// hash makes the PHC string of a password.
func (p *passwords) hash(ctx context.Context, password models.Secret) (string, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return p.sum(password), nil
}

func (p *passwords) sum(password models.Secret) string {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	key := argon2.IDKey(normalised(password), salt, p.passes, p.memory, p.threads, hashBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// check tells whether password has that hash; the empty hash is nobody's and costs the same.
func (p *passwords) check(ctx context.Context, hash string, password models.Secret) (bool, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	known := hash != ""
	if !known {
		hash = p.nobody
	}
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("a password hash is not an argon2id PHC string")
	}
	var version int
	var memory, passes uint32
	var threads uint8
	_, err1 := fmt.Sscanf(parts[2], "v=%d", &version)
	_, err2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads)
	salt, err3 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err4 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || version != argon2.Version || len(want) == 0 || passes == 0 || threads == 0 {
		return false, fmt.Errorf("a password hash is not an argon2id PHC string")
	}
	got := argon2.IDKey(normalised(password), salt, passes, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

// normalised is the NFC form, so that the same keys pressed on another system are the same password; what is too long is cut, it is wrong anyway.
func normalised(password models.Secret) []byte {
	text := password.Reveal()
	return norm.NFC.Bytes([]byte(text[:min(len(text), 4*maxPassword)]))
}

// checkPolicy: 12 to 128 characters of three of the four classes, not the user name.
func checkPolicy(password models.Secret, username string) error {
	field := []string{"input", "initialPassword"}
	text := password.Reveal()
	switch length := utf8.RuneCountInString(text); {
	case length > maxPassword:
		return models.E(models.TooLong, fmt.Sprintf("a password has at most %d characters", maxPassword), field...)
	case length < minPassword:
		return models.E(models.Invalid, fmt.Sprintf("a password has at least %d characters", minPassword), field...)
	case password.Classes() < 3:
		return models.E(models.Invalid, "a password has three of these: small letters, capital letters, digits, other characters", field...)
	case strings.Contains(strings.ToLower(text), strings.ToLower(username)):
		return models.E(models.Invalid, "a password does not hold the user name", field...)
	}
	return nil
}

// randomPassword is 130 random bits as 26 base32 characters.
func randomPassword() models.Secret {
	raw := make([]byte, 17)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return models.Secret(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)[:26])
}

// randomSecret is 256 random bits as 43 base64url characters.
func randomSecret() models.Secret {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return models.Secret(base64.RawURLEncoding.EncodeToString(raw))
}
