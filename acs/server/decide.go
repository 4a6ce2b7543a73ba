package server

import (
	"context"

	"github.com/softacs/softacs/models"
)

// action is what becomes of an Inform.
type action int

const (
	admit     action = iota // a session with a visit
	quiet                   // a session in which nothing is asked: InformResponse, then 204
	challenge               // 401 with a new nonce
	refuse                  // 401, and the connection is closed
)

// ruling is the judgement of one Inform.
type ruling struct {
	action   action
	trust    models.Trust
	device   *models.Device // the row of the device that the Inform names; nil if there is none, or if no read was needed
	previous bool           // admitted by an older credential
	// stranger: no credentials are stored for the device, so its Informs count against the limits of L0.
	stranger bool
	// claimed: admitted without any proof.
	claimed bool
	// impostor: the credentials of another device were presented for this one.
	impostor bool
	stale    bool
	tries    int // of the challenge that is sent
}

// known tells whether HTTP credentials are stored for the device (resolutions 6).
func known(d *models.Device) bool { return d != nil && len(d.HTTPCredentials) > 0 }

// decide is the decision table of i4.md A.2-3 for an Inform without client certificate, with resolutions 6, 7, 11 and 17. It reads the device's
// row, once, unless the Authorization header is worthless by itself. An error is the database's.
func (s *Server) decide(ctx context.Context, a attempt, in *models.Inform) (ruling, error) {
	switch a.state {
	case wrong:
		return ruling{action: challenge, tries: a.tries + 1}, nil
	case stale:
		return ruling{action: challenge, tries: a.tries + 1, stale: true}, nil
	}
	d, err := s.devices.Lookup(ctx, in.Key)
	if err != nil {
		return ruling{}, err
	}
	r := ruling{device: d, stranger: !known(d)}
	login := s.isLogin(a, in, d)
	if a.state == absent || login {
		r.claimed = true
		generic := isGeneric(in, d)
		switch {
		case r.stranger && generic:
			r.action = quiet
		case !r.stranger && (generic || !onlyL0(in.Events)) && d.WaitingAt.IsZero():
			// A screen that waits for its order has been given no credentials yet (i4.md A.2-3, B.4).
			r.action = challenge
		}
		if login && r.action == admit {
			takeLogin(a, in)
		}
		return r, nil
	}
	return s.authenticate(a, in, r)
}

// authenticate compares a usable attempt with the device that r found.
func (s *Server) authenticate(a attempt, in *models.Inform, r ruling) (ruling, error) {
	r.tries = a.tries + 1
	username := string(in.Key)
	if !r.stranger {
		username = r.device.HTTPUsername
	}
	if !equal(a.username, username) {
		r.action, r.impostor = refuse, true
		return r, nil
	}
	r.action = challenge
	if r.stranger {
		return r, nil
	}
	credentials, err := s.devices.Credentials(r.device)
	if err != nil {
		return ruling{}, err
	}
	ok, previous := a.match(credentials)
	switch {
	case !ok:
	case !a.consume():
		r.stale = true
	case r.device.Revoked:
		r.action, r.trust = admit, models.L0 // Status 12 for any event (resolutions 11)
	default:
		r.action, r.trust, r.previous = admit, models.L1, previous
	}
	return r, nil
}

// isGeneric goes by the registered type, else by what the client says (resolutions 42).
func isGeneric(in *models.Inform, d *models.Device) bool {
	if d != nil && d.ClientType != "" {
		return d.ClientType == models.Generic
	}
	return in.ClientType == models.Generic
}

func onlyL0(events []models.InformEvent) bool {
	for _, e := range events {
		if !e.L0 {
			return false
		}
	}
	return true
}

// heartbeat tells whether an Inform is nothing but a heartbeat of a device that nothing waits for (resolutions 12).
func heartbeat(in *models.Inform, d *models.Device, now models.Time) bool {
	return len(in.Events) == 1 && in.Events[0].Name == models.EventPeriodic && (d.WorkAt.IsZero() || d.WorkAt > now)
}
