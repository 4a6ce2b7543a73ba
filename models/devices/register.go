package devices

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	registerDevice = "registerDevice"
	maxName        = 64
	maxTags        = 20
)

// RegisterInput is the input of registerDevice. A nil AcsUsername and an empty AcsPassword are left out: they are generated.
type RegisterInput struct {
	IdempotencyKey string
	OUI            string
	ProductClass   string
	SerialNumber   string
	ClientType     models.ClientType
	Manufacturer   string
	Model          string
	AcsUsername    *string
	AcsPassword    *models.Secret
	Tags           []string
}

// RegisterResult names the device. AcsUsername and AcsPassword are set if they were generated, in a replay too (resolutions 35).
type RegisterResult struct {
	DeviceID    models.ID
	AcsUsername string
	AcsPassword models.Secret
	Replayed    bool
}

// registered is what the record of a registerDevice keeps; Kept names the generated password.
type registered struct {
	Device   models.ID
	Username string
	Kept     models.ID
}

// Register makes a device known before it is ever seen (resolutions 7). It needs DEVICE_WRITE everywhere, since the device has no region yet
// (resolutions 68); a device of that identity is ALREADY_EXISTS and named.
func (r *Room) Register(ctx context.Context, in RegisterInput) (result RegisterResult, err error) {
	if err := models.Need(ctx, models.DeviceWrite); err != nil {
		return result, err
	}
	if !models.ActorFrom(ctx).Scope(models.DeviceWrite).All {
		return result, models.E(models.PolicyDenied, "only who may change devices in all regions registers one: it has no region yet", "input", "identity")
	}
	in.OUI = strings.ToUpper(in.OUI)
	if err := in.check(); err != nil {
		return result, err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		prior, err := events.Once[registered](tx, registerDevice, in.IdempotencyKey, in.fingerprint(tx))
		if err != nil {
			return err
		}
		if prior != nil {
			password, err := events.Kept(tx, prior.Kept)
			result = RegisterResult{DeviceID: prior.Device, AcsUsername: prior.Username, AcsPassword: password, Replayed: true}
			return err
		}
		result, err = register(tx, in)
		return err
	})
	if err != nil {
		return RegisterResult{}, fmt.Errorf("register a device: %w", err)
	}
	return result, nil
}

func register(tx *store.Tx, in RegisterInput) (result RegisterResult, err error) {
	key := models.DeviceKeyOf(in.OUI, in.ProductClass, in.SerialNumber)
	d := blank(tx, key)
	d.OUI, d.ProductClass, d.SerialNumber = in.OUI, in.ProductClass, in.SerialNumber
	d.Manufacturer, d.Model, d.ClientType, d.Tags, d.Registered = in.Manufacturer, in.Model, in.ClientType, models.DocOf(unique(in.Tags)), true
	if in.ClientType == models.MagicScreen {
		d.StockState = models.Stock
	}
	result.DeviceID = d.ID
	var password models.Secret
	if in.AcsPassword != nil {
		password = *in.AcsPassword
	} else {
		password = newPassword()
		result.AcsPassword = password
	}
	if in.AcsUsername != nil {
		d.HTTPUsername = *in.AcsUsername
	} else {
		d.HTTPUsername = string(key)
		result.AcsUsername = d.HTTPUsername
	}
	d.HTTPCredentials, err = tx.SealJSON("devices", "http_credentials", d.ID, models.HTTPCredentials{Current: HA1Of(d.HTTPUsername, password)})
	if err != nil {
		return result, err
	}
	if err := insert(tx, d); err != nil {
		return result, existing(tx, key, err)
	}
	err = events.Audit(tx, models.AuditEntry{
		Action: registerDevice, Subject: models.Subject{Kind: models.KindDevice, ID: d.ID},
		Changes: models.DocOf(map[string]any{
			"deviceKey": []any{nil, key}, "clientType": []any{nil, d.ClientType}, "model": []any{nil, d.Model}, "tags": []any{nil, d.Tags.V}, "acsPassword": "[redacted]",
		}),
	})
	if err != nil {
		return result, err
	}
	done := registered{Device: d.ID, Username: result.AcsUsername}
	if !result.AcsPassword.IsZero() {
		if done.Kept, err = events.Keep(tx, result.AcsPassword); err != nil {
			return result, err
		}
	}
	return result, events.Done(tx, registerDevice, in.IdempotencyKey, done)
}

// existing turns a duplicate key into the error that names who has it.
func existing(tx *store.Tx, key models.DeviceKey, err error) error {
	if !store.IsDuplicate(err) {
		return err
	}
	d, err := LockByKey(tx, key)
	if err != nil {
		return err
	}
	taken := models.E(models.AlreadyExists, "a device with this identity exists", "input", "identity")
	taken.Existing = models.Subject{Kind: models.KindDevice, ID: d.ID}
	return taken
}

// Create makes a device of its first verified proof for the account (resolutions 8); it has no HTTP credentials until RotateCredentials. If another session
// was first, its row is returned.
func Create(tx *store.Tx, in *models.Inform, a *models.Account) (*models.Device, error) {
	if len(in.Key) > models.MaxDeviceKey {
		return nil, models.E(models.TooLong, "the device's identity is too long")
	}
	d := blank(tx, in.Key)
	d.OUI, d.ProductClass, d.SerialNumber = strings.ToUpper(in.OUI), in.ProductClass, in.SerialNumber
	d.Manufacturer, d.ClientType, d.Tags = clip(in.Manufacturer, maxName), in.ClientType, models.DocOf([]string{})
	d.AccountID, d.AccountState, d.Region = a.ID, a.State, a.Region
	err := insert(tx, d)
	if store.IsDuplicate(err) {
		return LockByKey(tx, in.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("create device %s: %w", in.Key, err)
	}
	return d, nil
}

func blank(tx *store.Tx, key models.DeviceKey) *models.Device {
	return &models.Device{ID: models.NewID(), Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now, Key: key, Reachability: models.NeverSeen}
}

// insert writes a new device with an empty presence, so that a listing by presence shows it, and tells the log.
func insert(tx *store.Tx, d *models.Device) error {
	if err := gorm.G[models.Device](tx.DB).Create(tx.Context(), d); err != nil {
		return err
	}
	if err := gorm.G[models.DevicePresence](tx.DB).Create(tx.Context(), &models.DevicePresence{DeviceID: d.ID}); err != nil {
		return err
	}
	return events.Append(tx, EventOf(d, models.DeviceRegistered, "device.registered", nil))
}

// fingerprint is what makes two inputs the same; the password counts by its HMAC.
func (in RegisterInput) fingerprint(tx *store.Tx) any {
	password := ""
	if in.AcsPassword != nil {
		sum := tx.HMAC("idempotency", in.AcsPassword.Reveal())
		password = hex.EncodeToString(sum[:])
	}
	return []any{in.OUI, in.ProductClass, in.SerialNumber, in.ClientType, in.Manufacturer, in.Model, in.AcsUsername, password, in.Tags}
}

func (in RegisterInput) check() error {
	if len(in.OUI) != 6 || strings.Trim(in.OUI, "0123456789ABCDEF") != "" {
		return models.E(models.Invalid, "the OUI is six hex digits", "input", "identity", "oui")
	}
	for _, part := range []struct{ name, value string }{{"productClass", in.ProductClass}, {"serialNumber", in.SerialNumber}} {
		if part.value == "" {
			return models.E(models.Required, part.name+" may not be empty", "input", "identity", part.name)
		}
		if err := checkText(part.value, maxName, "input", "identity", part.name); err != nil {
			return err
		}
	}
	if len(models.DeviceKeyOf(in.OUI, in.ProductClass, in.SerialNumber)) > models.MaxDeviceKey {
		return models.E(models.TooLong, "the identity is too long when it is percent-encoded", "input", "identity")
	}
	if in.ClientType != models.Generic && in.ClientType.Wire() == "" {
		return models.E(models.Invalid, "there is no such client type", "input", "clientType")
	}
	if err := checkText(in.Manufacturer, maxName, "input", "manufacturer"); err != nil {
		return err
	}
	if err := checkText(in.Model, maxName, "input", "model"); err != nil {
		return err
	}
	if err := in.checkCredentials(); err != nil {
		return err
	}
	return checkTags(in.Tags, "tags")
}

func checkTags(tags []string, field string) error {
	if len(tags) > maxTags {
		return models.E(models.TooLong, fmt.Sprintf("a device has at most %d tags", maxTags), "input", field)
	}
	for i, tag := range tags {
		field := []string{"input", field, fmt.Sprint(i)}
		if tag == "" {
			return models.E(models.Invalid, "a tag may not be empty", field...)
		}
		if err := checkText(tag, maxName, field...); err != nil {
			return err
		}
	}
	return nil
}

// Retagged is what is made of a device's tags when some are added and some removed; nil if nothing changes.
func Retagged(tags, add, remove []string) ([]string, error) {
	if err := checkTags(add, "addTags"); err != nil {
		return nil, err
	}
	now := slices.DeleteFunc(unique(append(slices.Clone(tags), add...)), func(tag string) bool { return slices.Contains(remove, tag) })
	if slices.Equal(now, tags) {
		return nil, nil
	}
	return now, checkTags(now, "addTags")
}

// Touch gives a device its next version, and tags if they are not nil. The caller holds its row.
func Touch(tx *store.Tx, d *models.Device, tags []string) error {
	columns := map[string]any{"version": d.Version + 1}
	if tags != nil {
		columns["tags"] = models.DocOf(tags)
	}
	if err := update(tx, d.ID, columns); err != nil {
		return fmt.Errorf("change device %s: %w", d.ID, err)
	}
	d.Version++
	return nil
}

func (in RegisterInput) checkCredentials() error {
	if in.AcsUsername != nil {
		switch name := *in.AcsUsername; {
		case name == "":
			return models.E(models.Invalid, "leave acsUsername out to have it generated", "input", "acsUsername")
		case len(name) > 256:
			return models.E(models.TooLong, "acsUsername has at most 256 characters", "input", "acsUsername")
		// A colon ends the name in Basic and in the digest, quote and backslash break the header (RFC 7616 3.4).
		case strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == ':' || c == '\\' }):
			return models.E(models.Invalid, `acsUsername is printable ASCII without space, ", : and \`, "input", "acsUsername")
		}
	}
	if in.AcsPassword != nil {
		switch password := in.AcsPassword.Reveal(); {
		case len(password) < 8:
			return models.E(models.Invalid, "acsPassword has at least 8 characters", "input", "acsPassword")
		case len(password) > 128:
			return models.E(models.TooLong, "acsPassword has at most 128 characters", "input", "acsPassword")
		case strings.ContainsFunc(password, unicode.IsControl):
			return models.E(models.Invalid, "acsPassword holds no control characters", "input", "acsPassword")
		}
	}
	return nil
}

func checkText(s string, limit int, field ...string) error {
	name := field[len(field)-1]
	switch {
	case utf8.RuneCountInString(s) > limit:
		return models.E(models.TooLong, fmt.Sprintf("%s has at most %d characters", name, limit), field...)
	case !utf8.ValidString(s), strings.ContainsFunc(s, unicode.IsControl):
		return models.E(models.Invalid, name+" holds no control characters", field...)
	}
	return nil
}

// unique drops repeated texts and keeps the order; never nil.
func unique(list []string) []string {
	kept, seen := make([]string, 0, len(list)), map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	return kept
}

// clip cuts s to n characters: what a device says may be longer than what is kept.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}
