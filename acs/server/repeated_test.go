package server

import (
	"net/http"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// An Inform that was challenged is remembered on its connection; only the same bytes count as the same Inform.
func TestOtherInformAfterAChallenge(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(first *cwmp.Inform) *cwmp.Inform{
		"the same":       func(first *cwmp.Inform) *cwmp.Inform { return first },
		"another device": func(*cwmp.Inform) *cwmp.Inform { return inform("2", "2 PERIODIC") },
		"another event":  func(*cwmp.Inform) *cwmp.Inform { return inform("1", "1 BOOT") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			first, _ := heart(d, "1")
			_, _ = heart(d, "2")
			c := d.client()
			then := change(first)
			x := challenged(t, c.send(first), "MD5", string(keyOf(then)), password)
			c.send(then, x.sign).has(t, "InformResponse")
			got := d.clients.last(t)
			if got.in.Key != keyOf(then) || got.device.Key != keyOf(then) || got.trust != models.L1 || len(got.in.Events) != 1 || got.in.Has(models.EventBoot) != (name == "another event") {
				t.Errorf("%s arrived with %v", got.in.Key, got.in.Events)
			}
		})
	}
}

// Number and password of an account, in the credentials of an Inform that was refused, do not come back with the device's own.
func TestLegacyLoginIsForgottenAfterAChallenge(t *testing.T) {
	t.Parallel()
	d := open(t, lab, func(c *Config) { c.LegacyBasic = true })
	m := inform("1", "X CT-COM REGISTER", "2 PERIODIC")
	d.know(m)
	c := d.client()
	x := challenged(t, c.send(m, func(r *http.Request) { r.SetBasicAuth("02162345678", "secret") }), "MD5", string(keyOf(m)), password)
	c.send(m, x.sign).has(t, "InformResponse")
	if got := d.clients.last(t); got.trust != models.L1 || got.in.Get("ui.password") != "" || got.in.Get("ui.userName") == "02162345678" {
		t.Errorf("arrived with %v, %v", got.trust, got.in.Values)
	}
}
