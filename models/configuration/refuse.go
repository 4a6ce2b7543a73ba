package configuration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// CPE faults (TR-069 A.5.1) that mean something of their own here; see i4.md A.9.
const (
	methodNotSupported = 9000
	internalError      = 9002
	invalidArguments   = 9003
	invalidName        = 9005
	invalidType        = 9006
	notWritable        = 9008
)

const (
	maxTries   = 3         // at the next sessions
	retryAfter = time.Hour // from then on
)

// Refused records a fault. Offenders that are optional are dropped, and the delivery without them is returned once in a session, to be sent
// at once; what answered 9005 is remembered for the firmware. Any other offender fails this version until the content or the firmware
// changes, with an event and an alarm. A refusal of the whole request is tried again at the next sessions and, after three tries, every hour; nothing
// more of it goes out in this session. So is a revocation, whatever was refused of it: it is never given up. ErrOvertaken if the delivery counts
// no more.
func (r *Room) Refused(tx *store.Tx, d *models.Device, epoch int64, delivery *Delivery, fault models.Fault) (retry *Delivery, err error) {
	c, err := r.take(tx, d.ID, epoch)
	if err != nil {
		return nil, err
	}
	if c.SentVersion != delivery.Version {
		return nil, ErrOvertaken
	}
	if len(fault.Parameters) == 0 {
		if permanent(fault.Code) && !delivery.Revokes {
			return nil, c.fail(tx, d, fmt.Sprintf("fault %d", fault.Code))
		}
		return nil, c.later(tx, fmt.Sprintf("fault %d", fault.Code))
	}
	retry = &Delivery{Version: delivery.Version, Values: slices.Clone(delivery.Values), Full: delivery.Full, Revokes: delivery.Revokes, Returns: delivery.Returns, Moved: delivery.Moved, forget: delivery.forget, repeated: true}
	var text string
	for _, offence := range fault.Parameters {
		name := r.nameOf(offence)
		text = fmt.Sprintf("%.256s: fault %d", r.config.Path(name), offence.Code) // a client may name anything
		if !delivery.repeated && offence.Code == invalidType && r.untype(retry, name) {
			continue
		}
		if !r.optional(delivery, name) {
			if delivery.Revokes {
				return nil, c.later(tx, text)
			}
			return nil, c.fail(tx, d, text)
		}
		if offence.Code == invalidName {
			if err := Learn(tx, d, name); err != nil {
				return nil, err
			}
		}
		retry.Dropped = append(retry.Dropped, name)
		retry.Values = slices.DeleteFunc(retry.Values, func(v models.Value) bool { return v.Name == name })
	}
	if delivery.repeated {
		return nil, c.later(tx, text)
	}
	if len(retry.Values) == 0 {
		return retry, r.carry(tx, d, c, retry)
	}
	return retry, nil
}

// optional tells whether a device may lack a parameter: a path of the device layer may be anything.
func (r *Room) optional(delivery *Delivery, name string) bool {
	if p, known := r.parameter(name); known {
		return p.Optional
	}
	return slices.ContainsFunc(delivery.Values, func(v models.Value) bool { return v.Name == name })
}

// permanent tells whether a fault without parameters will come again whenever the same is sent.
func permanent(code int) bool {
	return code == methodNotSupported || code == invalidArguments || code >= invalidName && code <= notWritable
}

func (r *Room) nameOf(offence models.ParameterFault) string {
	if offence.Name != "" {
		return offence.Name
	}
	for _, p := range r.config.Catalogue.Parameters {
		if r.config.Path(p.Name) == offence.Path {
			return p.Name
		}
	}
	return offence.Path
}

// untype lets a vendor's parameter travel as a string: firmware disagrees about their types (i4.md D.3.4). It reports false for all others.
func (r *Room) untype(delivery *Delivery, name string) bool {
	p, known := r.parameter(name)
	if !known || p.Type == "xsd:string" || !strings.Contains(r.config.Path(name), ".X_") {
		return false
	}
	i := slices.IndexFunc(delivery.Values, func(v models.Value) bool { return v.Name == name })
	if i < 0 {
		return false
	}
	delivery.Values[i].Type = "xsd:string"
	return true
}

// carry gives a delivery that lost all its values one that the device has taken before, so that its key arrives.
func (r *Room) carry(tx *store.Tx, d *models.Device, c *current, delivery *Delivery) error {
	content, err := r.deliverable(tx, d, c.Configuration)
	if err != nil {
		return err
	}
	for _, name := range slices.Backward(r.ordered(content.values)) {
		if !slices.Contains(delivery.Dropped, name) {
			delivery.Values = []models.Value{r.value(content, name)}
			return nil
		}
	}
	return nil
}

// Learn remembers that the device's firmware does not know a parameter or an object (i4.md A.9: 9005).
func Learn(tx *store.Tx, d *models.Device, name string) error {
	u := models.UnsupportedParameter{ProductClass: d.ProductClass, SoftwareVersion: d.SoftwareVersion, Name: name, LearnedAt: tx.Now}
	if err := tx.DB.Clauses(clause.OnConflict{DoNothing: true}).Create(&u).Error; err != nil {
		return fmt.Errorf("remember an unsupported parameter: %w", err)
	}
	return nil
}

// Unknown tells whether Learn was told of the parameter or object for the device's firmware.
func Unknown(tx *store.Tx, d *models.Device, name string) (bool, error) {
	var n int64
	err := tx.DB.Model(&models.UnsupportedParameter{}).
		Where("product_class = ? AND software_version = ? AND name = ?", d.ProductClass, d.SoftwareVersion, name).Count(&n).Error
	if err != nil {
		return false, fmt.Errorf("read unsupported parameters: %w", err)
	}
	return n > 0, nil
}

// fail ends the tries of the version in the device's hands; if another is desired by now, that one waits as before.
func (c *current) fail(tx *store.Tx, d *models.Device, text string) error {
	version := c.SentVersion
	c.SentVersion = 0
	if err := c.follow(tx, version, models.TaskFailed, &models.Fault{Code: internalError, Message: text}); err != nil {
		return err
	}
	if version != c.DesiredVersion {
		return c.save(tx)
	}
	if err := c.move(models.ConfigurationFailed); err != nil {
		return err
	}
	alarmed := c.FailedFirmware != ""
	c.Failure, c.FailedFirmware, c.NextAt = text, firmwareOf(d), 0
	if err := c.save(tx); err != nil {
		return err
	}
	if err := c.emit(tx, "config.failed", models.ConfigurationFailed, version); err != nil || alarmed {
		return err
	}
	return c.alarm(tx, models.AlarmRaised, "config.failed", map[string]any{"key": models.ParameterKey(version), "failure": text})
}

// recovered ends the alarm that fail raised, if it did.
func (c *current) recovered(tx *store.Tx) error {
	if c.FailedFirmware == "" {
		return nil
	}
	c.FailedFirmware = ""
	return c.alarm(tx, models.AlarmCleared, "config.failed", nil)
}

// firmwareOf is the software version of a device; never empty, which stands for no failure.
func firmwareOf(d *models.Device) string { return cmp.Or(d.SoftwareVersion, "-") }

// later puts the version in the device's hands back for a later session.
func (c *current) later(tx *store.Tx, text string) error {
	version := c.SentVersion
	c.SentVersion = 0
	fate := models.TaskCancelled // a later version comes instead
	if version == c.DesiredVersion {
		fate = models.TaskPending
		if err := c.move(models.ConfigurationPending); err != nil {
			return err
		}
		c.Attempts++
		c.Failure, c.NextAt = text, tx.Now
		if c.Attempts >= maxTries {
			c.NextAt = tx.Now.Add(retryAfter)
		}
	}
	if err := c.follow(tx, version, fate, nil); err != nil {
		return err
	}
	return c.save(tx)
}
