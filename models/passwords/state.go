package passwords

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// StateOf is what the north sees of the verifiers of one account at this point of the transaction (resolutions 1). It asks nobody's permission:
// it is for events.
func StateOf(tx *store.Tx, account models.ID) (models.PasswordState, error) {
	found, err := states(tx, []models.ID{account})
	return found[account].Password, err
}

// ForgetOneTime deletes every verifier of an account but its own password: those that were sent to it and those made of them.
func ForgetOneTime(tx *store.Tx, account models.ID) error {
	_, err := gorm.G[models.Credential](tx.DB).Where("account_id = ? AND kind <> ?", account, models.LongTermPassword).Delete(tx.Context())
	if err != nil {
		return fmt.Errorf("delete the one-time passwords of account %s: %w", account, err)
	}
	return nil
}

// State is what the north sees of an account's verifiers.
type State struct {
	Password    models.PasswordState
	LockedUntil models.Time // zero: not locked
}

// States returns the state of each account (resolutions 1); accounts without any verifier are NONE. It needs ACCOUNT_READ.
func (r *Room) States(ctx context.Context, accounts []models.ID) (map[models.ID]State, error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	var found map[models.ID]State
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		found, err = states(tx, accounts)
		return err
	})
	return found, err
}

func states(tx *store.Tx, accounts []models.ID) (map[models.ID]State, error) {
	found := make(map[models.ID]State, len(accounts))
	subjects := make([][]byte, len(accounts))
	owner := make(map[string]models.ID, len(accounts))
	for i, id := range accounts {
		found[id] = State{Password: models.PasswordNone}
		subjects[i] = who("", id).subject(tx, scopeAccount, "")
		owner[string(subjects[i])] = id
	}
	live, err := gorm.G[models.Credential](tx.DB).Select("account_id", "kind").
		Where("account_id IN ? AND kind <> ? AND (expires_at = 0 OR expires_at > ?)", accounts, models.LoginCode, tx.Now).Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read the password states: %w", err)
	}
	for _, c := range live {
		state := models.PasswordOneTime
		if c.Kind == models.LongTermPassword || found[c.AccountID].Password == models.PasswordSet {
			state = models.PasswordSet
		}
		found[c.AccountID] = State{Password: state}
	}
	locks, err := gorm.G[models.Lockout](tx.DB).
		Where("scope = ? AND subject IN ? AND locked_until > ?", scopeAccount, subjects, tx.Now).Find(tx.Context())
	if err != nil {
		return nil, fmt.Errorf("read the locked accounts: %w", err)
	}
	for _, l := range locks {
		found[owner[string(l.Subject)]] = State{Password: models.PasswordLocked, LockedUntil: l.LockedUntil}
	}
	return found, nil
}
