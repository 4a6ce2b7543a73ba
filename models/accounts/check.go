package accounts

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/softacs/softacs/models"
)

// Bounds of the fields, in characters: those of the columns, and of the parameters that carry them to a device (i4.md D.3.4).
const (
	maxExternalID  = 128 // of a subscription and of a work order
	maxDisplayName = 255
	maxRegion      = 64
	maxIMPI        = 128
	maxIMPU        = 255
	maxIMPUs       = 10
	maxSipPassword = 128
	maxLine        = 64
	maxNote        = 255
	maxDevices     = 100
)

var (
	impi = regexp.MustCompile(`^[A-Za-z0-9+._~!$&'()*,;=%-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	sip  = regexp.MustCompile(`^sip:[A-Za-z0-9+._~!$&'()*,;=%-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	tel  = regexp.MustCompile(`^tel:\+[1-9][0-9]{7,14}$`)
	imsi = regexp.MustCompile(`^[0-9]{6,15}$`)
)

// checks collects the first thing that is wrong with an input.
type checks struct{ err *models.Error }

func (c *checks) fail(code models.Code, message string, field ...string) {
	if c.err == nil {
		c.err = models.E(code, message, append([]string{"input"}, field...)...)
	}
}

func (c *checks) result() error {
	if c.err == nil {
		return nil // not a nil *Error in an error
	}
	return c.err
}

// text wants printable UTF-8 of at most limit characters without space at either end: MySQL takes "a" and "a " for the same.
// Control characters, marks that turn the direction of writing, and unpaired bytes are refused.
func (c *checks) text(s string, limit int, field ...string) {
	switch {
	case !utf8.ValidString(s):
		c.fail(models.Invalid, "the text is not UTF-8", field...)
	case utf8.RuneCountInString(s) > limit:
		c.fail(models.TooLong, fmt.Sprintf("at most %d characters are allowed", limit), field...)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }):
		c.fail(models.Invalid, "control characters and characters that cannot be seen are not allowed", field...)
	case strings.TrimSpace(s) != s:
		c.fail(models.Invalid, "white space at the beginning or end is not allowed", field...)
	}
}

func (c *checks) number(n models.Number, field string) {
	if _, ok := models.ParseE164(n.E164()); n != "" && !ok {
		c.fail(models.Invalid, "a number is + and 8 to 15 digits, the first not 0", field)
	}
}

func (c *checks) pattern(s string, limit int, allowed *regexp.Regexp, what string, field ...string) {
	c.text(s, limit, field...)
	if s != "" && !allowed.MatchString(s) {
		c.fail(models.Invalid, "allowed is "+what, field...)
	}
}

// whole checks what every account has, after an input was laid over it.
func (c *checks) whole(a *models.Account) {
	c.text(a.ExternalID, maxExternalID, "externalId")
	if a.ExternalID == "" {
		c.fail(models.Required, "the id of the subscription in the BSS is needed", "externalId")
	}
	if a.Msisdn == "" {
		c.fail(models.Required, "the number of the subscription is needed", "msisdn")
	}
	c.number(a.Msisdn, "msisdn")
	c.text(a.DisplayName, maxDisplayName, "displayName")
	c.text(a.Region, maxRegion, "region")
	c.pattern(a.IMPI, maxIMPI, impi, "user@domain", "impi")
	c.identities(a.IMPU.V)
	c.number(a.BoundMobile, "boundMobile")
	c.text(a.BroadbandAccount, maxLine, "broadbandAccount")
	c.text(a.ScreenSerial, maxLine, "screenSerial")
	c.types(a.ClientTypes.V)
	if a.MaxDevices < 1 || a.MaxDevices > maxDevices {
		c.fail(models.Invalid, fmt.Sprintf("1 to %d devices are allowed", maxDevices), "maxDevices")
	}
}

func (c *checks) identities(list []string) {
	if len(list) < 1 || len(list) > maxIMPUs {
		c.fail(models.Invalid, fmt.Sprintf("1 to %d public identities are allowed", maxIMPUs), "impu")
	}
	for i, uri := range list {
		at := []string{"impu", strconv.Itoa(i)}
		c.text(uri, maxIMPU, at...)
		if !sip.MatchString(uri) && !tel.MatchString(uri) {
			c.fail(models.Invalid, "allowed are sip:user@domain and tel:+digits", at...)
		}
		if slices.Contains(list[:i], uri) {
			c.fail(models.Invalid, "the identity is named twice", at...)
		}
	}
}

func (c *checks) types(list []models.ClientType) {
	if len(list) == 0 {
		c.fail(models.Required, "at least one client type is needed", "clientTypes")
	}
	for i, t := range list {
		at := []string{"clientTypes", strconv.Itoa(i)}
		if t.Wire() == "" {
			c.fail(models.Invalid, "allowed are PC, MOBILE and MAGIC_SCREEN", at...)
		}
		if slices.Contains(list[:i], t) {
			c.fail(models.Invalid, "the client type is named twice", at...)
		}
	}
}

// secrets checks what never stands in an account in clear.
func (c *checks) secrets(sipPassword models.Secret, subscriber string) {
	c.text(sipPassword.Reveal(), maxSipPassword, "sipPassword")
	c.pattern(subscriber, 15, imsi, "6 to 15 digits", "imsi")
}

func (c *checks) workOrder(externalID string) {
	c.text(externalID, maxExternalID, "workOrderExternalId")
}

// services turns the JSON values of parameters into the texts that a device is sent.
func (c *checks) services(list []ServiceInput) []models.ServiceFeature {
	features := make([]models.ServiceFeature, len(list))
	for i, s := range list {
		features[i] = models.ServiceFeature{Code: s.Code, Enabled: s.Enabled}
		for leaf, value := range s.Parameters {
			text, ok := textOf(value)
			if !ok {
				c.fail(models.Invalid, "a parameter is a text, a number or a boolean", "services", strconv.Itoa(i), "parameters", leaf)
			}
			if features[i].Parameters == nil {
				features[i].Parameters = map[string]string{}
			}
			c.text(text, math.MaxInt, "services", strconv.Itoa(i), "parameters", leaf)
			features[i].Parameters[leaf] = text
		}
	}
	return features
}

func textOf(value any) (text string, ok bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "1", true
		}
		return "0", true
	case json.Number:
		return v.String(), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}
