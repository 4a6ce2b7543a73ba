package server

import (
	"maps"
	"strings"

	"github.com/softacs/softacs/models"
)

// Logical names of what a legacy client may say in its HTTP credentials instead.
const (
	loginNumber   = "ui.userName"
	loginPassword = "ui.password"
	loginMode     = "auth.mode"
)

// isLogin tells whether the credentials are number and password of an account, sent as HTTP Basic with a REGISTER that has no password
// (i4.md C.2.5). They then say nothing of the device, whose own user name may look like a number too.
func (s *Server) isLogin(a attempt, in *models.Inform, d *models.Device) bool {
	if known(d) && equal(a.username, d.HTTPUsername) {
		return false
	}
	number := strings.Trim(a.username, "+-() 0123456789") == ""
	legacy := in.Get(loginMode) == "" || in.Get(loginMode) == "plain"
	return s.config.LegacyBasic && a.password != "" && number && legacy && in.Has(models.EventRegister) && in.Get(loginPassword) == ""
}

// takeLogin makes such credentials the parameters that they stand for, once the Inform is let in: one that is refused may come again with others.
func takeLogin(a attempt, in *models.Inform) {
	in.Values = maps.Clone(in.Values)
	if in.Values == nil {
		in.Values = map[string]models.Value{}
	}
	in.Values[loginNumber] = models.Value{Name: loginNumber, Value: a.username}
	in.Values[loginPassword] = models.Value{Name: loginPassword, Value: a.password.Reveal(), Secret: true}
}
