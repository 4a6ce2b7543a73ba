package operators

import (
	"context"
	"crypto/sha256"
	"fmt"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Session is a sign-in. The door makes the access token; RefreshToken is good once, and until ExpiresAt.
type Session struct {
	Operator     *models.Operator
	RefreshToken models.Secret
	ExpiresAt    models.Time
}

// SignIn checks a person's password. The answer to an unknown user, a wrong password, a locked and a disabled operator is the same INVALID at
// the same cost (resolutions 77); UNAVAILABLE if too many passwords are being checked.
func (r *Room) SignIn(ctx context.Context, username string, password models.Secret) (session Session, err error) {
	var found []models.Operator
	err = r.store.View(ctx, func(tx *store.Tx) error { return tx.DB.Where("username = ?", username).Limit(1).Find(&found).Error })
	if err != nil {
		return session, fmt.Errorf("read an operator: %w", err)
	}
	var o models.Operator
	if len(found) == 1 && found[0].Username == username { // MariaDB also finds it with spaces behind
		o = found[0]
	}
	right, err := r.passwords.check(ctx, o.PasswordHash, password)
	if err != nil {
		return session, err
	}
	if !o.ID.IsZero() {
		ctx = models.WithActor(ctx, models.Actor{Kind: models.OperatorActor, ID: o.ID, Name: o.Username})
	}
	admitted := false
	err = r.store.InTx(ctx, func(tx *store.Tx) (err error) {
		session, admitted, err = r.judge(tx, o, right)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("sign in: %w", err)
	}
	if !admitted {
		return Session{}, models.E(models.Invalid, "user name or password is wrong")
	}
	return session, nil
}

// judge counts the try under the operator's row lock, so that tries at the same time count one by one. Every outcome writes an audit row.
func (r *Room) judge(tx *store.Tx, o models.Operator, right bool) (session Session, admitted bool, err error) {
	audit := models.AuditEntry{Action: "signIn", Outcome: models.AuditDenied, ErrorCode: models.Invalid}
	if o.ID.IsZero() {
		return session, false, events.Audit(tx, audit)
	}
	audit.Subject = models.Subject{Kind: models.KindOperator, ID: o.ID}
	var now models.Operator
	if err := tx.Locked().Where("id = ?", o.ID).Take(&now).Error; err != nil {
		return session, false, err
	}
	locked := now.LockedUntil > tx.Now
	columns := map[string]any{}
	switch {
	case right && !locked && now.Enabled && now.PasswordHash == o.PasswordHash:
		admitted = true
		audit.Outcome, audit.ErrorCode = models.AuditSuccess, ""
		columns["failures"], columns["last_login_at"] = 0, tx.Now
		now.Failures, now.LastLoginAt = 0, tx.Now
	case locked || right:
		// A lock does not grow, and the right password of a disabled operator is no guess.
	case now.Failures+1 >= r.config.Tries:
		columns["failures"], columns["locked_until"] = 0, tx.Now.Add(r.config.LockTime)
	default:
		columns["failures"] = now.Failures + 1
	}
	if len(columns) > 0 {
		if err := tx.DB.Model(&models.Operator{}).Where("id = ?", o.ID).Updates(columns).Error; err != nil {
			return session, false, err
		}
	}
	if admitted {
		if err := tx.DB.Where("operator_id = ? AND expires_at <= ?", o.ID, tx.Now).Delete(&models.OperatorSession{}).Error; err != nil {
			return session, false, err
		}
		session, err = open(tx, &now, models.NewID(), tx.Now.Add(r.config.SessionTime))
		if err != nil {
			return session, false, err
		}
	}
	return session, admitted, events.Audit(tx, audit)
}

// open adds a refresh token to a family.
func open(tx *store.Tx, o *models.Operator, family models.ID, expires models.Time) (Session, error) {
	token := randomSecret()
	row := models.OperatorSession{TokenHash: hashOf(token), Family: family, OperatorID: o.ID, CreatedAt: tx.Now, ExpiresAt: expires}
	if err := gorm.G[models.OperatorSession](tx.DB).Create(tx.Context(), &row); err != nil {
		return Session{}, err
	}
	return Session{Operator: o, RefreshToken: token, ExpiresAt: expires}, nil
}

// hashOf is how a secret of 256 random bits rests in a row.
func hashOf(secret models.Secret) []byte {
	sum := sha256.Sum256([]byte(secret.Reveal()))
	return sum[:]
}

// Refresh changes a refresh token for the next one of the sign-in. UNAUTHENTICATED if it is unknown, expired or revoked; one that was used
// before is a stolen one or its theft, and revokes the whole sign-in.
func (r *Room) Refresh(ctx context.Context, token models.Secret) (session Session, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		session = Session{}
		old, o, err := lockSession(tx, token)
		if err != nil || old == nil {
			return err
		}
		if !old.RotatedAt.IsZero() || !o.Enabled {
			if _, err := revoke(tx, "family = ?", old.Family); err != nil {
				return err
			}
			return events.Audit(tx, models.AuditEntry{
				Action: "refreshSession", Subject: models.Subject{Kind: models.KindOperator, ID: o.ID}, Outcome: models.AuditDenied, ErrorCode: models.Unauthenticated,
			})
		}
		if err := tx.DB.Model(&models.OperatorSession{}).Where("token_hash = ?", old.TokenHash).Update("rotated_at", tx.Now).Error; err != nil {
			return err
		}
		session, err = open(tx, o, old.Family, old.ExpiresAt)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("refresh a session: %w", err)
	}
	if session.Operator == nil {
		return Session{}, models.E(models.Unauthenticated, "the session has ended, sign in again")
	}
	return session, nil
}

// lockSession reads a live refresh token with its operator and holds the row; nil if there is none.
func lockSession(tx *store.Tx, token models.Secret) (*models.OperatorSession, *models.Operator, error) {
	var s models.OperatorSession
	err := tx.Locked().Where("token_hash = ?", hashOf(token)).Take(&s).Error
	if store.IsMissing(err) || err == nil && (!s.RevokedAt.IsZero() || s.ExpiresAt <= tx.Now) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	o, err := gorm.G[models.Operator](tx.DB).Where("id = ?", s.OperatorID).Take(tx.Context())
	if store.IsMissing(err) {
		return nil, nil, nil
	}
	return &s, &o, err
}

// revoke ends the sign-ins whose tokens match and returns how many were alive.
func revoke(tx *store.Tx, where string, args ...any) (n int, err error) {
	q := tx.DB.Model(&models.OperatorSession{}).Where(where, args...).Where("revoked_at = 0")
	var alive int64
	if err := q.Session(&gorm.Session{}).Where("rotated_at = 0 AND expires_at > ?", tx.Now).Distinct("family").Count(&alive).Error; err != nil {
		return 0, err
	}
	return int(alive), q.Session(&gorm.Session{}).Update("revoked_at", tx.Now).Error
}

// SignOut ends the sign-in that the token belongs to and returns how many sign-ins ended: 1, or 0 if it had ended before.
func (r *Room) SignOut(ctx context.Context, token models.Secret) (revoked int, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		revoked = 0
		s, o, err := lockSession(tx, token)
		if err != nil || s == nil {
			return err
		}
		if revoked, err = revoke(tx, "family = ?", s.Family); err != nil {
			return err
		}
		return events.Audit(tx, models.AuditEntry{Action: "signOut", Subject: models.Subject{Kind: models.KindOperator, ID: o.ID}})
	})
	if err != nil {
		return 0, fmt.Errorf("sign out: %w", err)
	}
	return revoked, nil
}
