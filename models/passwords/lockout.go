package passwords

import (
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// The scopes of i4.md C.3 that are rows; addresses are memory.
const (
	scopeAccount = "account"
	scopeDevice  = "device"
	scopePair    = "pair"
)

// claimant is whom failures are counted for: a known account, or the number that was presented, which keeps anti-enumeration consistent.
type claimant string

func who(number models.Number, account models.ID) claimant {
	if account.IsZero() {
		return claimant("number " + string(number))
	}
	return claimant("account " + account.String())
}

// whose tells whom the failures of proofs with that purpose are counted for. Those of login codes are the mobile's, whoever has it: counted for its
// account, a failure at the number would show at the mobile and tell that both belong together.
func whose(purpose models.ProofPurpose, number models.Number, account models.ID) claimant {
	if purpose == models.ToRegisterMobile {
		return claimant("mobile " + string(number))
	}
	return who(number, account)
}

// subject is the key of a counter: the HMAC of what it counts for.
func (c claimant) subject(tx *store.Tx, scope string, device models.DeviceKey) []byte {
	text := string(c)
	switch scope {
	case scopeDevice:
		text = string(device)
	case scopePair:
		text += " " + string(device)
	}
	sum := tx.HMAC("lockout "+scope, text)
	return sum[:]
}

// counters are the three rows that one attempt touches.
type counters struct{ account, device, pair models.Lockout }

func countersOf(tx *store.Tx, purpose models.ProofPurpose, number models.Number, account models.ID, device models.DeviceKey) *counters {
	c := whose(purpose, number, account)
	return &counters{
		account: models.Lockout{Scope: scopeAccount, Subject: c.subject(tx, scopeAccount, device), AccountID: account},
		device:  models.Lockout{Scope: scopeDevice, Subject: c.subject(tx, scopeDevice, device)},
		pair:    models.Lockout{Scope: scopePair, Subject: c.subject(tx, scopePair, device), AccountID: account},
	}
}

func (c *counters) rows() []*models.Lockout { return []*models.Lockout{&c.account, &c.device, &c.pair} }

// load reads the rows as they stand; a row that does not exist counts nothing.
func (c *counters) load(tx *store.Tx) error {
	q := tx.DB
	for _, row := range c.rows() {
		q = q.Or("scope = ? AND subject = ?", row.Scope, row.Subject)
	}
	var found []models.Lockout
	if err := q.Find(&found).Error; err != nil {
		return fmt.Errorf("read the failure counters: %w", err)
	}
	for _, f := range found {
		for _, row := range c.rows() {
			if row.Scope == f.Scope {
				f.AccountID = row.AccountID
				*row = f
			}
		}
	}
	return nil
}

// lockCounters makes the rows and holds them until the commit, always in the same order. Guesses sent in parallel are thus judged one after
// the other, and no more of them than the limits say.
func lockCounters(tx *store.Tx, purpose models.ProofPurpose, number models.Number, account models.ID, device models.DeviceKey) (*counters, error) {
	held := countersOf(tx, purpose, number, account, device)
	if err := hold(tx, held.rows()); err != nil {
		return nil, err
	}
	return held, held.load(tx)
}

// hold inserts the rows that do not exist and locks those that do, without changing them.
func hold(tx *store.Tx, rows []*models.Lockout) error {
	same := clause.OnConflict{
		Columns:   []clause.Column{{Name: "scope"}, {Name: "subject"}},
		DoUpdates: clause.Assignments(map[string]any{"failures": gorm.Expr("failures")}),
	}
	if err := tx.DB.Clauses(same).Create(rows).Error; err != nil {
		return fmt.Errorf("hold the counters: %w", err)
	}
	return nil
}

func (c *counters) save(tx *store.Tx) error {
	if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(c.rows()).Error; err != nil {
		return fmt.Errorf("save the failure counters: %w", err)
	}
	return nil
}

// locked is how long Status 11 still holds: by the pair or by the device. The account's lock refuses only passwords.
func (c *counters) locked(now models.Time) time.Duration {
	return max(c.pair.LockedUntil, c.device.LockedUntil, now).Sub(now)
}

// failed counts one wrong proof.
func (r *Room) failed(c *counters, now models.Time) {
	limits := r.config.Lockout
	failedInARow(&c.pair, limits, now)
	failedInAnHour(&c.account, limits.AccountHour, now)
	failedInAnHour(&c.device, limits.DeviceHour, now)
}

// failedInARow locks after Tries failures, each time twice as long as before. Failures older than the longest lock are forgotten.
func failedInARow(l *models.Lockout, limits LockoutLimits, now models.Time) {
	longest := time.Duration(limits.MaxHours) * time.Hour
	if max(l.WindowStart, l.LockedUntil).Add(longest) <= now {
		l.Failures, l.Level, l.LockedUntil = 0, 0, 0
	}
	if !l.LockedUntil.IsZero() && l.LockedUntil <= now {
		l.Failures, l.LockedUntil = 0, 0
	}
	l.Failures++
	l.WindowStart = now
	if limits.Tries > 0 && l.Failures >= limits.Tries {
		lock := time.Duration(limits.Minutes) * time.Minute << min(l.Level, 16)
		l.LockedUntil = now.Add(min(lock, longest))
		l.Level++
	}
}

// failedInAnHour locks for an hour after limit failures within one; a lock is not prolonged by what comes during it.
func failedInAnHour(l *models.Lockout, limit int, now models.Time) {
	if l.LockedUntil > now {
		l.Failures++
		return
	}
	if !l.LockedUntil.IsZero() || l.WindowStart.Add(time.Hour) <= now {
		l.Failures, l.WindowStart, l.LockedUntil = 0, now, 0
	}
	l.Failures++
	if limit > 0 && l.Failures >= limit {
		l.LockedUntil = now.Add(time.Hour)
	}
}

// Lock is what stands in the way of a REGISTER before its challenge.
type Lock struct {
	RetryAfter int // seconds; 0: not locked
	Failures   int // in a row so far, for UI.Times
}

// LockedFor tells whether the account, the unknown number or, for a login code, the mobile is locked for the device, or the device for everything
// (Status 11).
func (r *Room) LockedFor(tx *store.Tx, purpose models.ProofPurpose, number models.Number, account models.ID, device models.DeviceKey) (Lock, error) {
	c := countersOf(tx, purpose, number, account, device)
	if err := c.load(tx); err != nil {
		return Lock{}, err
	}
	return Lock{RetryAfter: seconds(c.locked(tx.Now)), Failures: c.pair.Failures}, nil
}

// Tries is how many failures in a row lock a number for a device (UI.Limit).
func (r *Room) Tries() int { return r.config.Lockout.Tries }

// Unlock ends the locks of the account, and those of its devices for whatever number, and forgets the failures that led to them. changed tells
// whether there were any.
func Unlock(tx *store.Tx, account models.ID, devices []models.DeviceKey) (changed bool, err error) {
	of := tx.DB.Where("account_id = ?", account)
	for _, device := range devices {
		of = of.Or("scope = ? AND subject = ?", scopeDevice, claimant("").subject(tx, scopeDevice, device))
	}
	var failures int64
	if err := tx.DB.Model(&models.Lockout{}).Where(of).Where("failures > 0").Count(&failures).Error; err != nil {
		return false, fmt.Errorf("count the failures of account %s: %w", account, err)
	}
	if err := tx.DB.Where(of).Delete(&models.Lockout{}).Error; err != nil {
		return false, fmt.Errorf("unlock account %s: %w", account, err)
	}
	return failures > 0, nil
}

// scopeReset counts the resets of an account by operators; it belongs to no lock, so that unlocking leaves it alone.
const scopeReset = "reset"

// AdmitReset takes one of the resets that the account has a day; LIMIT_BY_POLICY if there is none left (resolutions 37). Call it in the
// transaction that issues the code.
func (r *Room) AdmitReset(tx *store.Tx, account models.ID) error {
	if r.config.ResetDay == 0 {
		return nil
	}
	row := models.Lockout{Scope: scopeReset, Subject: who("", account).subject(tx, scopeReset, "")}
	if err := hold(tx, []*models.Lockout{&row}); err != nil {
		return err
	}
	if err := tx.DB.Where("scope = ? AND subject = ?", row.Scope, row.Subject).Take(&row).Error; err != nil {
		return fmt.Errorf("count the resets of account %s: %w", account, err)
	}
	if row.WindowStart.Add(day) <= tx.Now {
		row.Failures, row.WindowStart = 0, tx.Now
	}
	if row.Failures >= r.config.ResetDay {
		refusal := models.E(models.LimitByPolicy, fmt.Sprintf("the password of an account is reset at most %d times a day", r.config.ResetDay))
		refusal.RetryAfterSeconds = seconds(row.WindowStart.Add(day).Sub(tx.Now))
		return refusal
	}
	row.Failures++
	if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("count the resets of account %s: %w", account, err)
	}
	return nil
}
