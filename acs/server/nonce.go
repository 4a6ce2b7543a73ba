package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"

	"github.com/softacs/softacs/models"
)

// A nonce is 50 characters of base64url over boot id, serial, seconds since 1970, tries and half an HMAC over these (resolutions 3).
const (
	bootLen   = 8
	serialEnd = bootLen + 8
	timeEnd   = serialEnd + 4
	triesEnd  = timeEnd + 1
	nonceLen  = triesEnd + 16
)

// nonces makes and judges the nonces of one replica. Any replica with the same key recognises them, only the one that made them knows what
// was used.
type nonces struct {
	key   [32]byte
	ttl   time.Duration
	clock models.Clock
	boot  [bootLen]byte

	mu   sync.Mutex
	last uint64
	// The ring: serials[i] is the newest serial with that index, counts[i] its highest nc. Two slices, for 12 bytes an entry.
	serials []uint64
	counts  []uint32
}

func newNonces(key [32]byte, ttl time.Duration, ring int, clock models.Clock) *nonces {
	n := &nonces{key: key, ttl: ttl, clock: clock, serials: make([]uint64, ring), counts: make([]uint32, ring)}
	_, _ = rand.Read(n.boot[:]) // never fails (crypto/rand)
	return n
}

// issue makes a nonce for a challenge that comes after so many refused ones of its session.
func (n *nonces) issue(tries int) string {
	n.mu.Lock()
	n.last++
	serial := n.last
	i := serial % uint64(len(n.serials))
	n.serials[i], n.counts[i] = serial, 0
	n.mu.Unlock()

	b := append(make([]byte, 0, nonceLen), n.boot[:]...)
	b = binary.BigEndian.AppendUint64(b, serial)
	b = binary.BigEndian.AppendUint32(b, uint32(n.clock.Now()/1000))
	b = append(b, byte(tries))
	return base64.RawURLEncoding.EncodeToString(n.sign(b))
}

func (n *nonces) sign(b []byte) []byte {
	h := hmac.New(sha256.New, n.key[:])
	h.Write(b[:triesEnd])
	var sum [sha256.Size]byte
	return append(b[:triesEnd], h.Sum(sum[:0])[:nonceLen-triesEnd]...)
}

// nonce is one that a platform with our key made.
type nonce struct {
	serial uint64
	tries  int
	stale  bool // too old, another process made it, or it left the ring: what was used of it is not known
}

// open reads a nonce; false if it is not one of ours. It costs an HMAC and no read.
func (n *nonces) open(text string) (nonce, bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(nonceLen) {
		return nonce{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nonce{}, false
	}
	signature := append([]byte(nil), b[triesEnd:]...)
	if !hmac.Equal(n.sign(b)[triesEnd:], signature) {
		return nonce{}, false
	}
	opened := nonce{serial: binary.BigEndian.Uint64(b[bootLen:]), tries: int(b[timeEnd])}
	age := n.clock.Now()/1000 - models.Time(binary.BigEndian.Uint32(b[serialEnd:]))
	if [bootLen]byte(b) != n.boot || age >= models.Time(n.ttl.Seconds()) {
		// It is of an earlier session, so its tries are none of this one.
		opened.stale, opened.tries = true, 0
	} else if !n.fresh(opened.serial, 1<<32-1) {
		opened.stale = true
	}
	return opened, true
}

// fresh tells whether the count nc of a nonce would be new.
func (n *nonces) fresh(serial uint64, nc uint32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := serial % uint64(len(n.serials))
	return n.serials[i] == serial && nc > n.counts[i]
}

// use takes the count nc of a nonce; false if it or a higher one was used before.
func (n *nonces) use(serial uint64, nc uint32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := serial % uint64(len(n.serials))
	if n.serials[i] != serial || nc <= n.counts[i] {
		return false
	}
	n.counts[i] = nc
	return true
}
