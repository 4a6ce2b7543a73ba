package passwords

import (
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Request is a GETPWD as the limits see it.
type Request struct {
	Device    models.DeviceKey
	RequestID string
	Number    models.Number
	// Mobile is the bound mobile of the account; empty if there is none.
	Mobile models.Number
}

// The counted subjects of a GETPWD; also the scopes of the rows that are held while it is counted.
const (
	perNumber = "getpwd number"
	perMobile = "getpwd mobile"
	perDevice = "getpwd device"
)

// NumberHash is how a number rests in password_requests.
func NumberHash(tx *store.Tx, number models.Number) []byte {
	sum := tx.HMAC("getpwd", string(number))
	return sum[:]
}

// Replayed returns the answer that the device's RequestId got within the last 24 hours; nil if it is new.
func (r *Room) Replayed(tx *store.Tx, device models.DeviceKey, requestID string) (*models.PasswordRequest, error) {
	rows, err := gorm.G[models.PasswordRequest](tx.DB).
		Where("device_key = ? AND request_id = ? AND created_at > ?", device, requestID, tx.Now.Add(-day)).Limit(1).Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("look for a repeated GETPWD: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// Limited tells in how many seconds the limits per number, mobile and device allow q; 0: now. It only reads, so that a View can refuse before
// a password is derived; the decision is AdmitRequest's.
func (r *Room) Limited(tx *store.Tx, q Request) (retryAfter int, err error) {
	limits := r.config.Limits
	for _, l := range []struct {
		column string
		value  any
		rules  []rule
	}{
		{"number_hash", NumberHash(tx, q.Number), []rule{{min(limits.NumberSeconds, 1), time.Duration(limits.NumberSeconds) * time.Second}, {limits.NumberDay, day}}},
		{"mdn_hash", NumberHash(tx, q.Mobile), []rule{{limits.MDNDay, day}}},
		{"device_key", q.Device, []rule{{limits.Device10Min, 10 * time.Minute}, {limits.DeviceDay, day}}},
	} {
		most := 0
		for _, rule := range l.rules {
			most = max(most, rule.limit)
		}
		if most == 0 || l.column == "mdn_hash" && q.Mobile == "" {
			continue
		}
		rows, err := gorm.G[models.PasswordRequest](tx.DB).Select("created_at").Where(l.column+" = ? AND created_at > ?", l.value, tx.Now.Add(-day)).
			Order("created_at DESC").Limit(most).Find(tx.Context())
		if err != nil {
			return 0, fmt.Errorf("count GETPWD by %s: %w", l.column, err)
		}
		for _, rule := range l.rules {
			retryAfter = max(retryAfter, rule.wait(rows, tx.Now))
		}
	}
	return retryAfter, nil
}

// rule allows limit requests within a sliding window; a limit of 0 is off.
type rule struct {
	limit  int
	window time.Duration
}

// wait is in how many seconds another request is allowed after rows, the newest first.
func (l rule) wait(rows []models.PasswordRequest, now models.Time) int {
	if l.limit == 0 || len(rows) < l.limit {
		return 0
	}
	return max(seconds(rows[l.limit-1].CreatedAt.Add(l.window).Sub(now)), 0)
}

// AdmitRequest decides about q, one after the other for the same number, mobile or device: a repeated RequestId gets its stored answer, else
// retryAfter > 0 means limited. An admitted request has to be recorded in the same transaction.
func (r *Room) AdmitRequest(tx *store.Tx, q Request) (prior *models.PasswordRequest, retryAfter int, err error) {
	device := tx.HMAC("getpwd device", string(q.Device))
	rows := []*models.Lockout{{Scope: perDevice, Subject: device[:]}, {Scope: perNumber, Subject: NumberHash(tx, q.Number)}}
	if q.Mobile != "" {
		rows = append(rows, &models.Lockout{Scope: perMobile, Subject: NumberHash(tx, q.Mobile)})
	}
	if err := hold(tx, rows); err != nil {
		return nil, 0, err
	}
	if prior, err = r.Replayed(tx, q.Device, q.RequestID); err != nil || prior != nil {
		return prior, 0, err
	}
	retryAfter, err = r.Limited(tx, q)
	return nil, retryAfter, err
}

// Record keeps the answer of an admitted request, for its repeats and for the limits. Answers that a client should try again with the same
// RequestId (limited, SMS down, internal) are not recorded. The zero account is an unknown one.
func (r *Room) Record(tx *store.Tx, q Request, account models.ID, status models.Result, retryAfter int) error {
	row := models.PasswordRequest{
		DeviceKey: q.Device, RequestID: q.RequestID, NumberHash: NumberHash(tx, q.Number),
		AccountID: account, Status: string(status), RetryAfter: retryAfter, CreatedAt: tx.Now,
	}
	if q.Mobile != "" {
		row.MDNHash = NumberHash(tx, q.Mobile)
	}
	// A row of this RequestId can only be one that outlived its day.
	if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("record a GETPWD: %w", err)
	}
	return nil
}
