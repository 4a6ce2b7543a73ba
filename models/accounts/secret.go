package accounts

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"log/slog"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// generated is a new SIP secret: 24 base32 characters, 120 random bits.
func generated() models.Secret {
	raw := make([]byte, 15)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return models.Secret(base32.StdEncoding.EncodeToString(raw))
}

// secretFor decides the SIP secret of an account whose input leaves it out (resolutions 26). With the adapter the directory must have been
// asked if the account is active: errAsk asks for that.
func (r *Room) secretFor(state models.AccountState, asked *answer) (models.Secret, models.SipSecretSource, error) {
	switch r.config.Secret {
	case GenerateSecret:
		return generated(), models.SecretGenerated, nil
	case AskDirectory:
		switch {
		case state != models.AccountActive:
			return "", models.SecretNone, nil
		case !asked.done:
			return "", "", errAsk
		case asked.secret.IsZero():
			return "", models.SecretNone, nil // Status 4 until the core knows one
		}
		return asked.secret, models.SecretFromAdapter, nil
	}
	return "", "", models.E(models.SecretRequired, "the SIP secret of the subscription is needed", "input", "sipPassword")
}

// answer is what the directory said, asked between two attempts of a transaction and never inside one.
type answer struct {
	done   bool
	secret models.Secret
}

// ask asks the directory for the account's secret. DEPENDENCY_FAILED if it cannot be asked: nothing has been done then.
func (r *Room) ask(ctx context.Context, a *models.Account) (answer, error) {
	secret, err := r.config.Directory.SipPassword(ctx, a.IMPI, a.IMPU.V)
	if err != nil {
		slog.WarnContext(ctx, "the IMS directory did not answer", "account", a.ID, "error", err)
		return answer{}, models.E(models.DependencyFailed, "the IMS core could not be asked for the SIP secret; nothing was changed", "input", "sipPassword")
	}
	return answer{done: true, secret: secret}, nil
}

// setSecret seals a SIP secret into the account.
func setSecret(tx *store.Tx, a *models.Account, secret models.Secret, source models.SipSecretSource) (err error) {
	a.SipPassword, a.SipSecretSource = nil, source
	if !secret.IsZero() {
		a.SipPassword, err = tx.Seal("accounts", "sip_password", a.ID, []byte(secret.Reveal()))
	}
	return err
}

// Secret unseals the account's SIP secret for the south; empty if none is known.
func Secret(tx *store.Tx, a *models.Account) (models.Secret, error) {
	plain, err := tx.Unseal("accounts", "sip_password", a.ID, a.SipPassword)
	return models.Secret(plain), err
}

func setIMSI(tx *store.Tx, a *models.Account, subscriber string) (err error) {
	a.IMSI = nil
	if subscriber != "" {
		a.IMSI, err = tx.Seal("accounts", "imsi", a.ID, []byte(subscriber))
	}
	return err
}

// SipSecret reveals the SIP secret of an account to the north; each look is an audit row. FORBIDDEN without SECRET_READ; empty without a
// secret or outside the regions in which the actor holds it.
func (r *Room) SipSecret(ctx context.Context, id models.ID) (secret models.Secret, err error) {
	if err := models.Need(ctx, models.SecretRead); err != nil {
		return "", err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		a, err := Load(tx, id)
		if err != nil || a == nil || !models.ActorFrom(ctx).Scope(models.SecretRead).Covers(a.Region) {
			return err
		}
		if secret, err = Secret(tx, a); err != nil || secret.IsZero() {
			return err
		}
		return events.Audit(tx, models.AuditEntry{
			Action: "readSipPassword", Subject: models.Subject{Kind: models.KindAccount, ID: a.ID}, Outcome: models.AuditDisclosed,
		})
	})
	return secret, err
}

// IMSI is the account's subscriber identity: whole for whoever holds SECRET_READ in its region, masked for everybody else, empty without one.
func (r *Room) IMSI(ctx context.Context, a *models.Account) (string, error) {
	plain, err := r.store.Unseal("accounts", "imsi", a.ID, a.IMSI)
	if err != nil || len(plain) == 0 {
		return "", err
	}
	if models.ActorFrom(ctx).Scope(models.SecretRead).Covers(a.Region) {
		return string(plain), nil
	}
	return string(plain[:3]) + "****", nil // the country only
}
