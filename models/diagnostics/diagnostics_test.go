package diagnostics_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/diagnostics"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// Who may run and see a diagnostic is decided by DIAG_RUN in the region of its device; what is old goes.
func TestScope(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		room := diagnostics.New(s, clock, diagnostics.Config{Targets: diagnostics.Targets{All: true}, PerHour: 2})
		d := models.Device{ID: models.NewID(), Key: "00005E-IMSPC-1", OUI: "00005E", ProductClass: "IMSPC", SerialNumber: "1", ClientType: models.PC, Region: "west",
			Reachability: models.NeverSeen}
		if err := s.InTx(t.Context(), func(tx *store.Tx) error { return tx.DB.Create(&d).Error }); err != nil {
			t.Fatal(err)
		}
		host := "a.example"
		in := diagnostics.StartInput{IdempotencyKey: "1", Device: devices.Ref{ID: d.ID}, Kind: models.IPPing, Host: &host, TimeoutSeconds: 60}
		west, east := storetest.In(t, []string{"west"}, models.DiagRun), storetest.In(t, []string{"east"}, models.DiagRun)
		id, _, err := room.Start(west, in)
		if err != nil {
			t.Fatal(err)
		}
		stranger := in
		stranger.IdempotencyKey = "another"
		if _, _, err := room.Start(east, stranger); models.CodeOf(err) != models.NotFound {
			t.Errorf("another region: %v", err)
		}
		if _, _, err := room.Start(storetest.As(t, models.DeviceRead, models.DeviceWrite), in); models.CodeOf(err) != models.Forbidden {
			t.Errorf("without DIAG_RUN: %v", err)
		}
		if seen, err := room.ByIDs(east, []models.ID{id}); err != nil || len(seen) != 0 {
			t.Errorf("another region sees %v, %v", seen, err)
		}
		if page, err := room.ByDevice(east, d.ID, store.Page{First: 10}); err != nil || len(page.Items) != 0 {
			t.Errorf("another region lists %v, %v", page.Items, err)
		}
		if page, err := room.ByDevice(west, d.ID, store.Page{First: 10}); err != nil || len(page.Items) != 1 {
			t.Errorf("listed %v, %v", page.Items, err)
		}
		in.IdempotencyKey = "2"
		if _, _, err := room.Start(west, in); err != nil {
			t.Fatal(err)
		}
		in.IdempotencyKey = "3"
		clock.Advance(30 * time.Minute)
		var limit *models.Error
		if _, _, err := room.Start(west, in); !errors.As(err, &limit) || limit.Code != models.LimitByPolicy || limit.RetryAfterSeconds != 1801 {
			t.Errorf("the third: %v, %+v", err, limit)
		}
		clock.Advance(31 * time.Minute)
		if _, _, err := room.Start(west, in); err != nil {
			t.Errorf("an hour later: %v", err)
		}
		clock.Advance(25 * time.Hour)
		if n, err := room.ExpireDue(t.Context()); err != nil || n != 3 {
			t.Errorf("%d expired, %v", n, err)
		}
		clock.Advance(91 * 24 * time.Hour)
		if err := room.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		if page, err := room.ByDevice(west, d.ID, store.Page{First: 10}); err != nil || len(page.Items) != 0 {
			t.Errorf("kept %v, %v", page.Items, err)
		}
	})
}

func TestTargets(t *testing.T) {
	t.Parallel()
	targets, err := diagnostics.ParseTargets([]string{"Speed.example.net.", "192.0.2.0/24", "2001:DB8::1"})
	if err != nil || !targets.Hosts["speed.example.net"] || !targets.Hosts["2001:db8::1"] || len(targets.Networks) != 1 || targets.All {
		t.Errorf("%+v, %v", targets, err)
	}
	targets.Add("pcscf9.example.net:5060")
	targets.Add("")
	if !targets.Hosts["pcscf9.example.net"] || targets.Hosts[""] {
		t.Errorf("%+v", targets)
	}
	if _, err := diagnostics.ParseTargets([]string{"http://a.example/"}); err == nil || !strings.Contains(err.Error(), "http://a.example/") {
		t.Errorf("%v", err)
	}
}
