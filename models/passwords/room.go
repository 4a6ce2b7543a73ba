// Package passwords keeps the verifiers of accounts and judges proofs of them: one-time and long-term passwords, codes, salts, nonces, lockouts,
// the limits of GETPWD and the answers of CHANGEPWD (i4.md B.1, B.3, B.5, C.2, C.3).
//
// It owns credentials, password_salts, password_requests, password_changes, lockouts, client_nonces, used_tokens and asserted_numbers. It refuses
// to know how a password reaches its user, what an account's state allows and what a device may do after the proof: that is for clients. Of a
// password it keeps a verifier only, and of a number an HMAC, but for the mobile of an asserted number, which lives for minutes.
package passwords

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Config is how passwords are made, limited and locked (resolutions 12). A limit of 0 is off.
type Config struct {
	// Iterations of PBKDF2 for verifiers that have no salt yet; i4.md C.2.1 asks for at least 10,000.
	Iterations  int
	OTPLength   int
	OTPAlphabet string
	OTPTTL      time.Duration
	// BindDevice: only the device that asked for a one-time password may use it.
	BindDevice bool
	// Template is the text that carries a one-time password; {otp} and {min} are filled in.
	Template string
	// CodeTTL and CodeTries are how long a mobile's login code is good and how many wrong proofs end it; CodeTemplate carries it, with {code}
	// and {min} filled in (i4.md B.3).
	CodeTTL      time.Duration
	CodeTries    int
	CodeTemplate string
	// ResetTTL is how long an operator's reset code is good, ResetDay how many an account gets a day (resolutions 37).
	ResetTTL time.Duration
	ResetDay int
	// ChangeDay is how many changes an account may make a day, ChangeGrace how long the old verifier answers for a lost answer (i4.md B.5).
	ChangeDay   int
	ChangeGrace time.Duration
	// MinIterations is the least that a client's new verifier may have.
	MinIterations int
	// Realm, if set, turns timestamp mode on: the salt of every new verifier follows from number and realm (i4.md C.2.4). Window is how far a
	// client's clock may be off; a nonce of that mode is kept for twice as long.
	Realm   string
	Window  time.Duration
	Limits  Limits
	Lockout LockoutLimits
	// Workers is how many derivations run at once; eight times as many may wait.
	Workers int
	// LoopbackExempt: limits per address and the global one do not count loopback addresses (lab mode).
	LoopbackExempt bool
	// CGN are the ranges of carrier NAT, behind whose addresses many subscribers are: limits per address are CGNFactor times as high there.
	CGN       []netip.Prefix
	CGNFactor int
	// AlarmRate is how many wrong proofs in five minutes, from wherever, raise an alarm; 0: none does.
	AlarmRate int
}

// Limits are those of GETPWD (i4.md B.1).
type Limits struct {
	NumberSeconds   int // seconds between two requests for a number
	NumberDay       int
	MDNDay          int // per bound mobile
	Device10Min     int
	DeviceDay       int
	IPHour          int // per IPv4 address or IPv6 /64
	GlobalPerSecond int
}

// LockoutLimits are those of i4.md C.3.
type LockoutLimits struct {
	Tries       int // failures in a row of a number from one device
	Minutes     int // the first lock; it doubles
	MaxHours    int // the longest lock, and how long failures are remembered
	AccountHour int // failures of an account from all devices
	DeviceHour  int // failures of a device on all accounts
	IPHour      int // failures of an address
}

// Defaults are those of i4.md and resolutions 12.
func Defaults() Config {
	return Config{
		Iterations: 100_000, OTPLength: 8, OTPAlphabet: "23456789ABCDEFGHJKMNPQRSTUVWXYZ", OTPTTL: 10 * time.Minute, BindDevice: true,
		Template: "【天翼宽带多媒体】客户端登录密码：{otp}，{min}分钟内有效，请勿告诉他人。",
		CodeTTL:  5 * time.Minute, CodeTries: 5, CodeTemplate: "【天翼宽带多媒体】手机客户端验证码：{code}，{min}分钟内有效，请勿告诉他人。",
		ResetTTL: day, ResetDay: 5, ChangeDay: 5, ChangeGrace: 10 * time.Minute, MinIterations: 10_000, Window: 5 * time.Minute, CGNFactor: 10, AlarmRate: 100,
		Limits:  Limits{NumberSeconds: 60, NumberDay: 5, MDNDay: 5, Device10Min: 3, DeviceDay: 10, IPHour: 20, GlobalPerSecond: 50},
		Lockout: LockoutLimits{Tries: 5, Minutes: 15, MaxHours: 24, AccountHour: 20, DeviceHour: 10, IPHour: 50},
		Workers: 4,
	}
}

// Check tells what of c cannot be worked with.
func (c Config) Check() error {
	symbols := map[rune]bool{}
	for _, s := range c.OTPAlphabet {
		symbols[s] = true
	}
	switch {
	case c.Iterations < 10_000 || c.Iterations > MaxIterations:
		return fmt.Errorf("i4.auth.iterations: 10,000 (i4.md C.2.1) to %d", MaxIterations)
	case c.OTPLength < 6 || c.OTPLength > 32:
		return errors.New("i4.getpwd.length: 6 to 32")
	case len(symbols) < 10 || len(symbols) != len(c.OTPAlphabet):
		return errors.New("i4.getpwd.alphabet: at least ten different ASCII symbols")
	case c.OTPTTL < time.Minute || c.OTPTTL > initialTTL:
		return errors.New("i4.getpwd.ttl: one minute to one day")
	case !strings.Contains(c.Template, "{otp}"):
		return errors.New("i4.sms.template: {otp} is missing")
	case !strings.Contains(c.CodeTemplate, "{code}"):
		return errors.New("i4.sms.codeTemplate: {code} is missing")
	case c.CodeTTL < time.Minute || c.CodeTTL > day:
		return errors.New("i4.mobile.codeTtl: one minute to one day")
	case c.CodeTries < 1:
		return errors.New("i4.mobile.codeTries: at least 1")
	case c.ResetTTL < time.Minute || c.ResetTTL > 30*day:
		return errors.New("i4.reset.ttl: one minute to 30 days")
	case c.ResetDay < 0 || c.ChangeDay < 0:
		return errors.New("i4.reset.day and i4.changepwd.day: 0 is off, less is nothing")
	case c.ChangeGrace < 0 || c.ChangeGrace > day:
		return errors.New("i4.changepwd.grace: at most one day")
	case c.MinIterations < 10_000 || c.MinIterations > MaxIterations:
		return fmt.Errorf("i4.auth.minIterations: 10,000 (i4.md C.2.1) to %d", MaxIterations)
	case c.Window < time.Second || c.Window > day:
		return errors.New("i4.auth.timestampWindow: one second to one day")
	case strings.Contains(c.Realm, "|"):
		return errors.New("i4.auth.realm: no | in it, which separates it from the number (i4.md C.2.4)")
	case c.AlarmRate < 0 || c.AlarmRate > 1_000_000:
		return errors.New("i4.alarms.securityPer5Minutes: 0, which is off, to 1,000,000")
	case c.CGNFactor < 1:
		return errors.New("i4.cgn.factor: at least 1")
	case c.Lockout.Minutes < 1 || c.Lockout.MaxHours < 1:
		return errors.New("i4.lockout: minutes and maxHours are at least 1; tries 0 is how to have no lock")
	case c.Workers < 1:
		return errors.New("at least one worker has to derive passwords")
	}
	return nil
}

// MaxIterations bounds what a derivation may cost, whoever asks for it.
const MaxIterations = 1_000_000

// day is how long requests and nonces are remembered (i4.md C.7).
const day = 24 * time.Hour

// initialTTL is how long a used one-time password may still authorise a password change (resolutions 1).
const initialTTL = day

// Room judges and keeps passwords.
type Room struct {
	store  *store.Store
	config Config
	pool   pool
	// requests and failures count per address, issued counts all; they are memory of the replica (resolutions 73).
	requests, failures *addresses
	issued             *bucket
	alarm              *alarm
	clock              models.Clock
}

// New opens the room. The configuration must have passed Check.
func New(s *store.Store, clock models.Clock, c Config) *Room {
	return &Room{
		store: s, config: c, pool: newPool(c.Workers),
		requests: newAddresses(clock, c.Limits.IPHour, c),
		failures: newAddresses(clock, c.Lockout.IPHour, c),
		issued:   &bucket{clock: clock, rate: c.Limits.GlobalPerSecond},
		alarm:    &alarm{times: make([]models.Time, c.AlarmRate)},
		clock:    clock,
	}
}

// seconds rounds d up.
func seconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}
