package sim

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// proof is what an attempt proves.
type proof struct {
	purpose  models.ProofPurpose
	number   models.Number
	password models.Secret
	fresh    models.Secret // the new password of a CHANGEPWD
}

// proves is a proof of the number that the client holds under name.
func (c *Client) proves(purpose models.ProofPurpose, name string, password models.Secret) *proof {
	number, _ := c.config.Plan.Normalise(c.Get(name))
	return &proof{purpose: purpose, number: number, password: password}
}

// prove answers the challenge that was set: AU.Proof and AU.Timestamp, for a CHANGEPWD the new verifier, and what the platform must prove in turn
// (i4.md C.2.2).
func (c *Client) prove() error {
	c.store.set("auth.proof", "")
	if c.emptyProofs > 0 {
		c.emptyProofs--
		return nil
	}
	challenge := c.store.get("auth.serverNonce")
	if challenge == "" || c.proof == nil {
		return nil // nobody sent a challenge
	}
	salt, err := hex.DecodeString(c.store.get("auth.salt"))
	if err != nil {
		return fmt.Errorf("read salt: %w", err)
	}
	n, err := strconv.Atoi(c.store.get("auth.iterations"))
	if err != nil || n < 10_000 || n > 10_000_000 { // i4.md C.2.1
		return fmt.Errorf("iterations %q are out of range", c.store.get("auth.iterations"))
	}
	keys, err := c.derive(c.proof.password, salt, n)
	if err != nil {
		return err
	}
	message := c.message(challenge)
	c.sign(keys, message)
	if c.faults.WrongNonce {
		c.store.set("auth.clientNonce", randomHex())
	}
	if c.proof.purpose == models.ToChangePassword {
		return c.renew(keys, message)
	}
	return nil
}

// message is what a proof covers now (i4.md C.2.1).
func (c *Client) message(serverNonce string) models.AuthMessage {
	return models.AuthMessage{
		Purpose: c.proof.purpose, Number: c.proof.number, DeviceKey: c.Key(), ClientType: c.config.Type,
		ClientNonce: c.store.get("auth.clientNonce"), ServerNonce: serverNonce, Timestamp: cwmp.FormatTime(c.clock().Add(c.offset)),
	}
}

func (c *Client) clock() time.Time { return c.config.Now().Add(c.faults.TimestampSkew) }

// sign sets the proof of m and expects the platform's.
func (c *Client) sign(keys models.ProofKeys, m models.AuthMessage) {
	c.store.set("auth.timestamp", m.Timestamp)
	c.store.set("auth.proof", keys.Proof(m))
	c.serverProof = keys.ServerProof(m)
	if c.faults.WrongProof {
		c.store.set("auth.proof", strings.Repeat("0", 64))
	}
}

// renew sets what a CHANGEPWD sends of the new password (i4.md C.2.3).
func (c *Client) renew(old models.ProofKeys, m models.AuthMessage) error {
	fresh := NewVerifier{Salt: make([]byte, 16), Iterations: c.config.Iterations}
	if _, _ = rand.Read(fresh.Salt); c.config.Realm != "" { // it never fails
		fresh.Salt = models.TimestampSalt(m.Number, c.config.Realm)
	}
	keys, err := models.DeriveProofKeys(c.proof.fresh, fresh.Salt, fresh.Iterations)
	if err != nil {
		return err
	}
	fresh.Verifier = keys.Verifier
	if c.faults.WrongVerifier != nil {
		c.faults.WrongVerifier(&fresh, old.Verifier)
	}
	mac := models.VerifierMAC(old.ClientKey, m, fresh.Salt, fresh.Iterations, fresh.Verifier)
	if c.faults.WrongMAC {
		mac = strings.Repeat("0", len(mac))
	}
	for name, value := range map[string]string{
		"auth.newSalt": hex.EncodeToString(fresh.Salt), "auth.newIterations": strconv.Itoa(fresh.Iterations),
		"auth.newStoredKey": hex.EncodeToString(fresh.StoredKey[:]), "auth.newServerKey": hex.EncodeToString(fresh.ServerKey[:]),
		"auth.newVerifierMac": mac, "ui.newPassword": c.proof.fresh.Reveal(),
	} {
		c.store.set(name, value)
	}
	return nil
}

// derive runs the key derivation, once for the same password, salt and iterations.
func (c *Client) derive(password models.Secret, salt []byte, iterations int) (models.ProofKeys, error) {
	id := fmt.Sprintf("%s\x00%x\x00%d", password.Reveal(), salt, iterations)
	if c.keysFor == id {
		return c.keys, nil
	}
	keys, err := models.DeriveProofKeys(password, salt, iterations)
	if err == nil {
		c.keys, c.keysFor = keys, id
	}
	return keys, err
}

// trusts judges SetParameterValues before anything is applied: whoever delivers or claims success in answer to a proof must have proven itself,
// and a proof that is given must be right (i4.md C.2.2).
func (c *Client) trusts(m *cwmp.SetParameterValues) bool {
	matters := false
	for _, p := range m.Parameters {
		switch name := c.profile.Name(p.Name); {
		case name == "auth.serverProof":
			c.trusted = c.serverProof != "" && subtle.ConstantTimeCompare([]byte(strings.ToLower(p.Value)), []byte(c.serverProof)) == 1
			return c.trusted
		case name == "ui.status":
			status, err := strconv.Atoi(p.Value) // i4.md B.0
			matters = matters || err == nil && c.means(status, models.ResultOK, models.ResultAlreadyDone, models.ResultMustChangePassword)
		case name == "ui.userName" || !strings.HasPrefix(name, "auth.") && !strings.HasPrefix(name, "ui."):
			matters = true
		}
	}
	return !matters || c.trusted || c.attempt.proof == nil
}

// means tells whether a status is the number that the profile has for one of these results.
func (c *Client) means(status int, results ...models.Result) bool {
	return slices.ContainsFunc(results, func(r models.Result) bool {
		number, err := c.profile.Status(r)
		return err == nil && number == status
	})
}

// learn takes what a session has taught: the password that holds now or holds no longer (i4.md B.5, C.6), and the platform's clock.
func (c *Client) learn(out Outcome) {
	switch {
	case c.means(out.Status, models.ResultOK, models.ResultAlreadyDone):
		if p := c.attempt.proof; p != nil && c.trusted && p.purpose != models.ToRegisterMobile {
			if c.remembered = p.password; p.fresh != "" {
				c.remembered = p.fresh
			}
		}
	case c.means(out.Status, models.ResultAuthFailed, models.ResultLocked, models.ResultReauthRequired, models.ResultClosed):
		c.remembered, c.keys, c.keysFor = "", models.ProofKeys{}, ""
	case c.means(out.Status, models.ResultClockSkew):
		if t, ok := cwmp.ParseTime(out.ServerTime, nil); ok {
			c.offset = t.Sub(c.clock())
		}
	}
}
