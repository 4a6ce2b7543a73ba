package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// renamed names otherwise what the PC journey says: its events, its objects, its results.
const renamed = `
objects:
  UI: Device.X_OTHER_Subscriber.
  AU: Device.X_OTHER_Subscriber.Login.
  SC: Device.X_OTHER_Phone.
events:
  GET_PASSWORD: {code: X OTHER SENDCODE}
  REGISTER: {code: X OTHER LOGIN, aliases: [X OTHER SIGNIN]}
  LOGOFF: {code: X OTHER LOGOUT, aliases: []}
  PERIODIC: {code: X OTHER ALIVE}
results:
  OK: {status: 200}
  AUTH_FAILED: {status: 401, text: WHO_ARE_YOU}
  RATE_LIMITED: {status: 429, text: SLOWLY}
parameters:
  ui.status: {path: UI.Answer}
  auth.proof: {path: AU.Evidence}
  video.enable: {path: VP.X_OTHER_Video.On}
  video.codecList: {path: VP.X_OTHER_Video.Codecs}
services:
  VIDEO: {object: VP.X_OTHER_Video.}
secrets: [AU.Evidence, "*Password*", AU.ServerProof]
`

// The PC journey where another copy of the specification names things otherwise: a file says so, and nothing is built anew (i4.md E).
func TestRenamedProfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "profile.yaml")
	if err := os.WriteFile(file, []byte(renamed), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := i4.Load([]byte(renamed))
	if err != nil {
		t.Fatal(err)
	}
	eachPlatform(t, func(c *Config) { c.I4.Profile = file }, func(t *testing.T, p *platform) {
		id, msisdn, mobile := p.provision(nil)
		client := p.client(msisdn, func(c *sim.Config) { c.Profile = other })
		p.want(200)(client.GetPassword(t.Context()))
		password := p.password(mobile, 1)
		if o := p.want(401)(client.Register(t.Context(), "not-the-password")); !strings.HasPrefix(o.Desc, "WHO_ARE_YOU") {
			t.Errorf("%+v", o)
		}
		p.want(200)(client.Register(t.Context(), password))
		if client.Remembered() != password || client.Get("line.directoryNumber") != msisdn {
			t.Error("the client has not got everything")
		}
		p.turn(id, "1", "VIDEO", true)
		p.done(client.Heartbeat(t.Context()))
		if client.Get("Device.Services.VoiceService.1.VoiceProfile.1.X_OTHER_Video.On") != "1" {
			t.Error("the heartbeat did not bring the change")
		}
		p.configured(client, "APPLIED", "cfg-000000002")
		p.done(client.Logoff(t.Context(), "UserExit"))
		for _, event := range []string{"PASSWORD_CHANGED password.requested ONE_TIME", "BINDING_CHANGED client.bound ACTIVE", "DEVICE_REACHABILITY_CHANGED client.offline OFFLINE"} {
			p.waitForEvent(id, event, 1)
		}
		for text, want := range map[string]bool{
			"X OTHER SENDCODE": true, "X OTHER LOGIN": true, "X OTHER LOGOUT": true, "X OTHER ALIVE": true, "X_OTHER_Subscriber.Answer": true,
			"X_OTHER_Subscriber.Login.Evidence": true, "X_OTHER_Subscriber.Login.ServerProof": true, "X_OTHER_Phone.OnlineStatus": true,
			"X_OTHER_Video.On": true, "X_OTHER_Video.Codecs": true,
			"X CT-COM": false, profile.EventCode(models.EventPeriodic): false, "X_CT-COM_UserInfo": false, "X_CT-COM_SoftClient": false, "X_CT-COM_Video": false,
			"AUTH_FAILED": false,
		} {
			if p.tap.sees(text) != want {
				t.Errorf("%q was on the wire: %t", text, !want)
			}
		}

		// Whoever still uses the old code says something that means nothing.
		_, err := client.Send(t.Context(), []cwmp.Event{{Code: profile.EventCode(models.EventGetPassword)}}, nil)
		p.done(sim.Outcome{}, err)
		if n := len(p.messages(mobile)); n != 1 {
			t.Errorf("%d SMS", n)
		}
	})
}
