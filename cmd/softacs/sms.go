package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/outbound/labsms"
	"github.com/softacs/softacs/outbound/smpp"
)

// newSender is what SMS leave by; nil if nothing is configured. complete has checked the setting.
func newSender(c Config, clock models.Clock) (sms.Sender, error) {
	kind, rest, _ := strings.Cut(c.SMS.Reveal(), ":")
	switch kind {
	case "":
		return nil, nil
	case "file":
		return labsms.File{Path: rest}, nil
	case "log":
		return labsms.Log{Logger: slog.Default()}, nil
	}
	centre, err := smpp.ParseURL(c.SMS)
	if err != nil {
		return nil, err
	}
	centre.Window, centre.TPS = c.I4.SMS.Window, c.I4.SMS.TPS
	centre.Plan = models.NumberPlan{Country: c.I4.Number.Country, Area: c.I4.Number.Area}
	return smpp.New(centre, clock), nil
}

// checkSMS checks how SMS leave and that each fits into one message. No error shows the setting sms, which holds a password.
func (c Config) checkSMS() error {
	switch url := c.SMS.Reveal(); {
	case url == "":
	case url == "log:", strings.HasPrefix(url, "file:") && url != "file:":
		if !c.Lab {
			return errors.New("sms: log: and file: show one-time passwords and are for lab mode only")
		}
	case strings.HasPrefix(url, "smpp:"):
		if _, err := smpp.ParseURL(c.SMS); err != nil {
			return err
		}
	default:
		return errors.New("sms: smpp://id:password@host:2775?source=10086 is allowed, and in lab mode log: and file:PATH")
	}
	x := c.I4.SMS
	if x.Window < 1 || x.Window > 1000 {
		return fmt.Errorf("i4.sms.window: 1 to 1000 are allowed, not %d", x.Window)
	}
	if x.TPS < 0 || x.TPS > 10_000 {
		return fmt.Errorf("i4.sms.tps: 0 (no limit) to 10000 are allowed, not %d", x.TPS)
	}
	minutes := func(seconds int) string { return strconv.Itoa((seconds + 59) / 60) }
	symbols := func(n int) string { return strings.Repeat("X", max(n, 0)) }
	for key, text := range map[string]string{
		// An operator's reset sends the same text with its own time.
		"template":        strings.NewReplacer("{otp}", symbols(c.I4.GetPwd.Length), "{min}", minutes(max(c.I4.GetPwd.TTL, c.I4.Reset.TTL))).Replace(x.Template),
		"codeTemplate":    strings.NewReplacer("{code}", symbols(passwords.CodeLength), "{min}", minutes(c.I4.Mobile.CodeTTL)).Replace(x.CodeTemplate),
		"changedTemplate": x.ChangedTemplate,
	} {
		if err := sms.CheckText(text); err != nil {
			return fmt.Errorf("i4.sms.%s: filled in, %w", key, err)
		}
	}
	return nil
}
