package packages

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/softacs/softacs/models"
)

// VendorKey verifies the packages of one vendor. ID is told to clients as SC.Upgrade.KeyId, string(32) (resolutions 55).
type VendorKey struct {
	ID  string
	Key ed25519.PublicKey
}

const maxKeyID = 32

// ReadVendorKey reads a PEM file with an Ed25519 public key; its ID is the file's name without extension.
func ReadVendorKey(path string) (VendorKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return VendorKey{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return VendorKey{}, fmt.Errorf("%s holds no PEM block", path)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return VendorKey{}, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(ed25519.PublicKey)
	id := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	switch {
	case !ok:
		return VendorKey{}, fmt.Errorf("%s holds a key that is not of Ed25519", path)
	case len(id) > maxKeyID:
		return VendorKey{}, fmt.Errorf("%s: the name of the file is the key's and has at most %d characters before its extension", path, maxKeyID)
	}
	return VendorKey{ID: id, Key: key}, nil
}

// checkSignature: with vendor keys a signature is needed; whether it is right is known when the file is there.
func (r *Room) checkSignature(signature string) error {
	field := []string{"input", "signature"}
	if signature == "" {
		if len(r.config.VendorKeys) > 0 {
			return models.E(models.Required, "a signature by one of the vendor keys is needed", field...)
		}
		return nil
	}
	if raw, err := base64.StdEncoding.DecodeString(signature); err != nil || len(raw) != ed25519.SignatureSize {
		return models.E(models.Invalid, "a signature is 64 bytes in base64", field...)
	}
	return nil
}

// verify tells which vendor has signed the file; valid is nil if there are no keys to ask, false if none of them has.
func (r *Room) verify(p *models.Package) (keyID string, valid *bool, err error) {
	if len(r.config.VendorKeys) == 0 {
		return "", nil, nil
	}
	signature, err := base64.StdEncoding.DecodeString(p.Signature)
	if err != nil {
		return "", nil, fmt.Errorf("read the signature of package %s: %w", p.ID, err)
	}
	file, err := os.Open(r.path(p.ID))
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	// Ed25519 signs the whole message at once; mapped, a large package costs no memory of the process.
	content, err := syscall.Mmap(int(file.Fd()), 0, int(p.Size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return "", nil, fmt.Errorf("map package %s: %w", p.ID, err)
	}
	defer func() { _ = syscall.Munmap(content) }()
	valid = new(bool)
	for _, k := range r.config.VendorKeys {
		if ed25519.Verify(k.Key, content, signature) {
			*valid, keyID = true, k.ID
			break
		}
	}
	return keyID, valid, nil
}
