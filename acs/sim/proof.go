package sim

import (
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// prove computes AU.Proof and AU.Timestamp from the challenge that was set, and what the platform must prove in turn (i4.md C.2.2).
func (c *Client) prove() error {
	c.store.set("auth.proof", "")
	if c.emptyProofs > 0 {
		c.emptyProofs--
		return nil
	}
	message := models.AuthMessage{
		Purpose: models.ToRegister, Number: c.number, DeviceKey: c.Key(), ClientType: c.config.Type,
		ClientNonce: c.store.get("auth.clientNonce"), ServerNonce: c.store.get("auth.serverNonce"),
		Timestamp: cwmp.FormatTime(c.config.Now()),
	}
	if message.ServerNonce == "" {
		return nil // nobody sent a challenge
	}
	keys, err := c.derive(c.store.get("auth.salt"), c.store.get("auth.iterations"))
	if err != nil {
		return err
	}
	c.store.set("auth.timestamp", message.Timestamp)
	c.store.set("auth.proof", keys.Proof(message))
	c.serverProof = keys.ServerProof(message)
	if c.faults.WrongProof {
		c.store.set("auth.proof", strings.Repeat("0", 64))
	}
	if c.faults.WrongNonce {
		c.store.set("auth.clientNonce", randomHex())
	}
	return nil
}

// derive runs the key derivation, once for the same password, salt and iterations.
func (c *Client) derive(saltHex, iterations string) (models.ProofKeys, error) {
	id := strings.Join([]string{c.password.Reveal(), saltHex, iterations}, "\x00")
	if c.keysFor == id {
		return c.keys, nil
	}
	salt, err := hex.DecodeString(saltHex)
	if err != nil {
		return models.ProofKeys{}, fmt.Errorf("read salt: %w", err)
	}
	n, err := strconv.Atoi(iterations)
	if err != nil || n < 10_000 || n > 10_000_000 { // i4.md C.2.1
		return models.ProofKeys{}, fmt.Errorf("iterations %q are out of range", iterations)
	}
	keys, err := models.DeriveProofKeys(c.password, salt, n)
	if err == nil {
		c.keys, c.keysFor = keys, id
	}
	return keys, err
}

// trusts judges SetParameterValues before anything is applied: whoever delivers in answer to a REGISTER must have proven itself, and a proof
// that is given must be right (i4.md C.2.2).
func (c *Client) trusts(m *cwmp.SetParameterValues) bool {
	delivers := false
	for _, p := range m.Parameters {
		name := c.profile.Name(p.Name)
		if name == "auth.serverProof" {
			c.trusted = c.serverProof != "" && subtle.ConstantTimeCompare([]byte(strings.ToLower(p.Value)), []byte(c.serverProof)) == 1
			return c.trusted
		}
		delivers = delivers || !strings.HasPrefix(name, "auth.") && !strings.HasPrefix(name, "ui.")
	}
	return !delivers || c.trusted || !c.attempt.nonce
}
