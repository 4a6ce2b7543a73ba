package models_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

// The vectors of i4.md C.2.6, challenge mode.
const (
	vectorPassword    = "K7MQ29XT"
	vectorSalt        = "00112233445566778899aabbccddeeff"
	vectorClientKey   = "a36612fec7ebe2dc22408e88d6636ebfce952d6c710a339c5270b3a5bec1409d"
	vectorStoredKey   = "2af2a20baeab1b3672a1d815771065aab32a380b1159c04454c4667ee7512861"
	vectorServerKey   = "f63a44dfcf27ac0339f47a7fc040d420a02bee8aade2d4ac1fd9e4cbe857cf5a"
	vectorMessage     = "I4-AUTH-1|register|862162345678|00005E-IMSPC-7f3c0a9e5b1d4c2e8a6f90b1c2d3e4f5|PC|5f1c9a0be27d4436b1f08c2d7e6a5b40|c0ffee00d15ea5e0a11ce0b0b0cafe42|2012-01-10T01:30:02Z"
	vectorProof       = "4e26b44ffa9ecced86794c24ab2c6c3c27c7faf618220709c42de0f3a6f9687d"
	vectorServerProof = "43096bdf1327fd5abeddcb00d65eb60ab4142130057d903475aec5ab49359e5a"
)

func TestProofVectors(t *testing.T) {
	t.Parallel()
	message := models.AuthMessage{
		Purpose: models.ToRegister, Number: "862162345678",
		DeviceKey:  models.DeviceKeyOf("00005e", "IMSPC", "7f3c0a9e5b1d4c2e8a6f90b1c2d3e4f5"),
		ClientType: models.PC, ClientNonce: "5f1c9a0be27d4436b1f08c2d7e6a5b40", ServerNonce: "c0ffee00d15ea5e0a11ce0b0b0cafe42",
		Timestamp: "2012-01-10T01:30:02Z",
	}
	salt, _ := hex.DecodeString(vectorSalt)
	keys, err := models.DeriveProofKeys(vectorPassword, salt, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"AuthMessage": {message.String(), vectorMessage},
		"ClientKey":   {hex.EncodeToString(keys.ClientKey[:]), vectorClientKey},
		"StoredKey":   {hex.EncodeToString(keys.StoredKey[:]), vectorStoredKey},
		"ServerKey":   {hex.EncodeToString(keys.ServerKey[:]), vectorServerKey},
		"Proof":       {keys.Proof(message), vectorProof},
		"ServerProof": {keys.ServerProof(message), vectorServerProof},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s = %s, want %s", name, pair[0], pair[1])
		}
	}
	if !keys.Accepts(vectorProof, message) || !keys.Accepts(strings.ToUpper(vectorProof), message) {
		t.Error("the right proof was refused")
	}
	other := message
	other.ServerNonce = "c0ffee00d15ea5e0a11ce0b0b0cafe43"
	wrong := []string{"", "00", vectorProof[2:], vectorProof + "00", "g" + vectorProof[1:], strings.Repeat("0", 64), vectorServerProof}
	for _, proof := range wrong {
		if keys.Accepts(proof, message) {
			t.Errorf("the proof %q was accepted", proof)
		}
	}
	if keys.Accepts(vectorProof, other) {
		t.Error("the proof of another message was accepted")
	}
}

// The vectors of i4.md C.2.6, timestamp mode and change of the password.
func TestChangeAndTimestampVectors(t *testing.T) {
	t.Parallel()
	key := models.DeviceKeyOf("00005E", "IMSPC", "7f3c0a9e5b1d4c2e8a6f90b1c2d3e4f5")
	stamped := models.AuthMessage{
		Purpose: models.ToRegister, Number: "862162345678", DeviceKey: key, ClientType: models.PC,
		ClientNonce: "0a1b2c3d4e5f60718293a4b5c6d7e8f9", ServerNonce: "-", Timestamp: "2012-01-10T01:31:00Z",
	}
	salt := models.TimestampSalt("862162345678", "i4.example.net")
	keys, err := models.DeriveProofKeys(vectorPassword, salt, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	change := models.AuthMessage{
		Purpose: models.ToChangePassword, Number: "862162345678", DeviceKey: key, ClientType: models.PC,
		ClientNonce: "91a2b3c4d5e6f708192a3b4c5d6e7f80", ServerNonce: "0badc0de0badc0de1234567890abcdef", Timestamp: "2012-01-12T06:00:05Z",
	}
	oldSalt, _ := hex.DecodeString(vectorSalt)
	old, err1 := models.DeriveProofKeys(vectorPassword, oldSalt, 100_000)
	newSalt, _ := hex.DecodeString("8899aabbccddeeff0011223344556677")
	fresh, err2 := models.DeriveProofKeys("Blue-Kite-42!", newSalt, 100_000)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	const (
		message = "I4-AUTH-1|changepwd|862162345678|00005E-IMSPC-7f3c0a9e5b1d4c2e8a6f90b1c2d3e4f5|PC|91a2b3c4d5e6f708192a3b4c5d6e7f80|0badc0de0badc0de1234567890abcdef|2012-01-12T06:00:05Z"
		proof   = "1953f69530d1f685eae41489cb2a77fe862bf80b6d151cb2f27e1a18adec8c6b"
	)
	client, accepted := old.Verifier.ClientKey(proof, change)
	if !accepted || client != old.ClientKey {
		t.Error("the ClientKey does not follow from the proof")
	}
	if _, accepted := fresh.Verifier.ClientKey(proof, change); accepted {
		t.Error("another verifier accepts the proof")
	}
	for name, pair := range map[string][2]string{
		"ts_salt":           {hex.EncodeToString(salt), "436de6c7398018a54a25929cf1cb5e3d"},
		"ts_StoredKey":      {hex.EncodeToString(keys.StoredKey[:]), "06847ac8e60d535e3a4a1eca297649feda6d9cf9ab3ec6d8ce81b5bab0b1b0ea"},
		"ts_Proof":          {keys.Proof(stamped), "3ad3abc03535621e8808e5f90ae64e4c985fd06f276ea4214a21075e7037c445"},
		"cp_AuthMessage":    {change.String(), message},
		"cp_newStoredKey":   {hex.EncodeToString(fresh.StoredKey[:]), "5040f7f94f30605281e0cc550476cc66de0c658692dd11059fa9d387fd4c7ff3"},
		"cp_newServerKey":   {hex.EncodeToString(fresh.ServerKey[:]), "f092f4ec5d22217b9ebfa529165bfa0b9317f08cb30864c733e35b33a4ebae13"},
		"cp_Proof":          {old.Proof(change), proof},
		"cp_NewVerifierMac": {models.VerifierMAC(client, change, newSalt, 100_000, fresh.Verifier), "48fb9100fc23c286c4dba4e701f1e7f41c740190ff011d819fac8b86b02fc701"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s = %s, want %s", name, pair[0], pair[1])
		}
	}
}

func TestPasswordsAreComparedInNormalForm(t *testing.T) {
	t.Parallel()
	composed, err1 := models.DeriveProofKeys("Caf\u00e9-42!!", make([]byte, 16), 1000)
	decomposed, err2 := models.DeriveProofKeys("Cafe\u0301-42!!", make([]byte, 16), 1000)
	if err1 != nil || err2 != nil || composed != decomposed {
		t.Errorf("the two writings of one password differ (%v, %v)", err1, err2)
	}
}

func TestDeviceKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		oui, class, serial string
		want               models.DeviceKey
	}{
		{"00005e", "IMSPC", "ab12", "00005E-IMSPC-ab12"},
		{"00005E", "IMS-PC", "a b/ü_.", "00005E-IMS%2DPC-a%20b%2F%C3%BC_."},
		{"00005E", "", "x", "00005E--x"},
	} {
		if got := models.DeviceKeyOf(c.oui, c.class, c.serial); got != c.want {
			t.Errorf("key of %q, %q, %q = %s, want %s", c.oui, c.class, c.serial, got, c.want)
		}
	}
}
