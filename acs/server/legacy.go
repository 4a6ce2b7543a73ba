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

// takeLogin treats number and password of an account, sent as HTTP Basic with a REGISTER that has no password, as the parameters that they
// stand for (i4.md C.2.5). The credentials then say nothing of the device. False leaves them what they are everywhere else.
func (s *Server) takeLogin(a attempt, in *models.Inform) bool {
	number := strings.Trim(a.username, "+-() 0123456789") == ""
	legacy := in.Get(loginMode) == "" || in.Get(loginMode) == "plain"
	if !s.config.LegacyBasic || a.password == "" || !number || !legacy || !in.Has(models.EventRegister) || in.Get(loginPassword) != "" {
		return false
	}
	in.Values = maps.Clone(in.Values)
	if in.Values == nil {
		in.Values = map[string]models.Value{}
	}
	in.Values[loginNumber] = models.Value{Name: loginNumber, Value: a.username}
	in.Values[loginPassword] = models.Value{Name: loginPassword, Value: a.password.Reveal(), Secret: true}
	return true
}
