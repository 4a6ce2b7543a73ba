package server

import (
	"context"
	"net/http"

	"github.com/softacs/softacs/acs/pki"
	"github.com/softacs/softacs/models"
)

// identity is whom the certificate of a connection names, nil without one. An error says that it is not good, or no longer: connections outlive
// revocations.
func (s *Server) identity(r *http.Request) (*pki.Identity, error) {
	if r.TLS == nil || s.config.Identify == nil {
		return nil, nil
	}
	return s.config.Identify(r.TLS)
}

// judgement rules on an Inform: by the certificate of its connection if there is one, else by its Authorization header. An error is the
// database's.
func (x *exchange) judgement(in *models.Inform) (ruling, error) {
	id, err := x.identity(x.r)
	switch {
	case err != nil:
		return ruling{action: refuse}, nil
	case id == nil:
		return x.decide(x.ctx, x.attempt(x.r), in)
	}
	return x.certified(x.ctx, id, in)
}

// certified is level L2 of i4.md A.2, which needs no row: the identity is proved whether anybody registered the device or not.
func (s *Server) certified(ctx context.Context, id *pki.Identity, in *models.Inform) (ruling, error) {
	d, err := s.devices.Lookup(ctx, in.Key)
	if err != nil {
		return ruling{}, err
	}
	r := ruling{device: d, trust: models.L2}
	if !in.Key.IsNamed(id.CommonName) {
		r.action, r.impostor = refuse, true
		return r, nil
	}
	in.Certificate = &models.Certificate{Key: in.Key, Fingerprint: id.Fingerprint, Issuer: id.Issuer}
	if d == nil && isGeneric(in, d) {
		r.action = quiet
	}
	return r, nil
}

// certifiedAgain tells whether a session that a certificate opened goes on, on another connection, with the same one (i4.md A.2-4).
func (x *exchange) certifiedAgain(e *entry) bool {
	id, err := x.identity(x.r)
	return err == nil && id != nil && id.Fingerprint == e.in.Certificate.Fingerprint
}
