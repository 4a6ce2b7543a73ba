package models

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// ProofAlgorithm is the value of AU.Algorithm (i4.md C.2).
const ProofAlgorithm = "I4-PROOF-SHA-256"

// ProofPurpose says what a proof is for; it is part of what is proven.
type ProofPurpose string

// The purposes of i4.md C.2.1.
const (
	ToRegister       ProofPurpose = "register"
	ToRegisterMobile ProofPurpose = "mobile"
	ToChangePassword ProofPurpose = "changepwd"
)

// Verifier is what the platform keeps of a password: enough to judge a proof and to prove itself, not enough to log in (i4.md C.2.1).
type Verifier struct {
	StoredKey [32]byte
	ServerKey [32]byte
}

// ProofKeys are what a client derives from its password.
type ProofKeys struct {
	ClientKey [32]byte
	Verifier
}

// NoServerNonce stands for AuthMessage.ServerNonce in timestamp mode.
const NoServerNonce = "-"

// DeriveProofKeys runs PBKDF2 over the NFC form of the password; it costs tens of milliseconds at 100,000 iterations.
func DeriveProofKeys(password Secret, salt []byte, iterations int) (ProofKeys, error) {
	k, err := pbkdf2.Key(sha256.New, norm.NFC.String(password.Reveal()), salt, iterations, 32)
	if err != nil {
		return ProofKeys{}, err
	}
	var keys ProofKeys
	keys.ClientKey = mac(k, "Client Key")
	keys.StoredKey = sha256.Sum256(keys.ClientKey[:])
	keys.ServerKey = mac(k, "Server Key")
	return keys, nil
}

// AuthMessage is what a proof covers (i4.md C.2.1).
type AuthMessage struct {
	Purpose     ProofPurpose
	Number      Number
	DeviceKey   DeviceKey
	ClientType  ClientType
	ClientNonce string // 32 lower-case hex
	ServerNonce string // 32 lower-case hex; NoServerNonce in timestamp mode
	Timestamp   string // exactly as transmitted
}

func (m AuthMessage) String() string {
	return strings.Join([]string{"I4-AUTH-1", string(m.Purpose), string(m.Number), string(m.DeviceKey), m.ClientType.Wire(),
		m.ClientNonce, m.ServerNonce, m.Timestamp}, "|")
}

// Proof is the client's proof of m: 64 lower-case hex digits.
func (k ProofKeys) Proof(m AuthMessage) string {
	proof := mac(k.StoredKey[:], m.String())
	subtle.XORBytes(proof[:], proof[:], k.ClientKey[:])
	return hex.EncodeToString(proof[:])
}

// Accepts judges a proof of m in constant time; anything but 64 hex digits is wrong.
func (v Verifier) Accepts(proof string, m AuthMessage) bool {
	given, err := hex.DecodeString(proof)
	if err != nil || len(given) != sha256.Size {
		return false
	}
	key := mac(v.StoredKey[:], m.String())
	subtle.XORBytes(key[:], key[:], given)
	stored := sha256.Sum256(key[:])
	return subtle.ConstantTimeCompare(stored[:], v.StoredKey[:]) == 1
}

// ServerProof is the platform's own proof of m: 64 lower-case hex digits.
func (v Verifier) ServerProof(m AuthMessage) string {
	proof := mac(v.ServerKey[:], m.String())
	return hex.EncodeToString(proof[:])
}

// ClientKey recovers the client's key from a proof of m that v accepts; false if it does not.
func (v Verifier) ClientKey(proof string, m AuthMessage) (key [32]byte, ok bool) {
	if !v.Accepts(proof, m) {
		return key, false
	}
	given, _ := hex.DecodeString(proof) // Accepts has read it
	key = mac(v.StoredKey[:], m.String())
	subtle.XORBytes(key[:], key[:], given)
	return key, true
}

// VerifierMAC protects a new verifier on its way: AU.NewVerifierMac, 64 lower-case hex digits, keyed from the ClientKey of the old password
// (i4.md C.2.3).
func VerifierMAC(clientKey [32]byte, m AuthMessage, salt []byte, iterations int, v Verifier) string {
	key := mac(clientKey[:], "I4 verifier mac")
	sum := mac(key[:], strings.Join([]string{m.String(), hex.EncodeToString(salt), strconv.Itoa(iterations),
		hex.EncodeToString(v.StoredKey[:]), hex.EncodeToString(v.ServerKey[:])}, "|"))
	return hex.EncodeToString(sum[:])
}

// TimestampSalt is the salt of every verifier where timestamp mode is on (i4.md C.2.4): it follows from the number, so that a client needs no
// challenge.
func TimestampSalt(number Number, realm string) []byte {
	sum := sha256.Sum256([]byte("I4-SALT-1|" + string(number) + "|" + realm))
	return sum[:16]
}

func mac(key []byte, text string) (sum [32]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	h.Sum(sum[:0])
	return sum
}
