package sim

import (
	"context"
	"fmt"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// The values of AU.Mode (i4.md D.3.2).
const (
	modeChallenge = "challenge"
	modeTimestamp = "timestamp"
	modePlain     = "plain"
	modeNetwork   = "network"
	modeSMS       = "sms"
	modeMO        = "mo-sms"
)

const offline = "Offline" // SC.OnlineStatus

// GetPassword asks for a one-time password by SMS (i4.md B.1). Each call is a new user action; Retry repeats it with its RequestId.
func (c *Client) GetPassword(ctx context.Context) (Outcome, error) {
	parameters := []cwmp.ParameterValue{c.value("ui.userName", c.config.Number), c.value("ui.requestId", randomHex())}
	if c.config.MDN != "" {
		parameters = append(parameters, c.value("ui.mdn", c.config.MDN))
	}
	return c.act(ctx, &attempt{events: c.event(models.EventGetPassword), parameters: parameters})
}

// Register proves number and password and takes the delivery (i4.md B.2).
func (c *Client) Register(ctx context.Context, password models.Secret) (Outcome, error) {
	a := c.registration(modeChallenge, models.ToRegister, c.held("ui.userName"))
	a.proof = c.proves(models.ToRegister, "ui.userName", password)
	return c.act(ctx, a)
}

// Login is GetPassword, Config.Password and Register; it ends early if the platform refuses.
func (c *Client) Login(ctx context.Context) (Outcome, error) {
	out, err := c.GetPassword(ctx)
	if err != nil || !c.means(out.Status, models.ResultOK) {
		return out, err
	}
	password, err := c.config.Password(ctx)
	if err != nil {
		return out, fmt.Errorf("read one-time password: %w", err)
	}
	return c.Register(ctx, password)
}

// RegisterTimestamp is Register without a challenge: the proof is in the Inform, its salt follows from number and realm (i4.md C.2.4). After
// Status 14 the client corrects its clock by UI.ServerTime.
func (c *Client) RegisterTimestamp(ctx context.Context, password models.Secret, realm string) (Outcome, error) {
	a := c.registration(modeTimestamp, models.ToRegister, c.held("ui.userName"))
	a.proof = c.proves(models.ToRegister, "ui.userName", password)
	a.late = func(context.Context) ([]cwmp.ParameterValue, error) {
		keys, err := c.derive(password, models.TimestampSalt(a.proof.number, realm), c.config.Iterations)
		if err != nil {
			return nil, err
		}
		c.sign(keys, c.message("-"))
		return []cwmp.ParameterValue{c.value("auth.timestamp", c.store.get("auth.timestamp")), c.value("auth.proof", c.store.get("auth.proof"))}, nil
	}
	return c.act(ctx, a)
}

// RegisterPlain is what a client of old does: the password itself is in the Inform (i4.md C.2.5).
func (c *Client) RegisterPlain(ctx context.Context, password models.Secret) (Outcome, error) {
	return c.act(ctx, c.registration(modePlain, models.ToRegister, c.held("ui.userName"), c.value("ui.password", password.Reveal())))
}

// RegisterNetwork fetches a token from the portal, as the operator's gateway passes it on, and registers with it (i4.md B.3, mode network).
// An error of the portal is an error here; the client then has the SMS.
func (c *Client) RegisterNetwork(ctx context.Context) (Outcome, error) {
	a := c.registration(modeNetwork, models.ToRegisterMobile, c.value("ui.requestId", randomHex()))
	a.late = func(ctx context.Context) ([]cwmp.ParameterValue, error) {
		token, err := c.networkToken(ctx, c.store.get("auth.clientNonce"))
		if err != nil {
			return nil, fmt.Errorf("fetch network token: %w", err)
		}
		return []cwmp.ParameterValue{c.value("auth.networkToken", token)}, nil
	}
	return c.act(ctx, a)
}

// RegisterSMS asks for a code by SMS to the MDN (i4.md B.3, first session of mode sms); RegisterCode follows.
func (c *Client) RegisterSMS(ctx context.Context) (Outcome, error) {
	return c.act(ctx, c.registration(modeSMS, models.ToRegisterMobile, c.value("ui.requestId", randomHex())))
}

// RegisterCode proves the code that came by SMS (i4.md B.3, second session of mode sms).
func (c *Client) RegisterCode(ctx context.Context, code models.Secret) (Outcome, error) {
	a := c.registration(modeChallenge, models.ToRegisterMobile, c.value("ui.userName", c.Get("ui.mdn")))
	a.proof = c.proves(models.ToRegisterMobile, "ui.mdn", code)
	return c.act(ctx, a)
}

// RegisterMO registers with a ClientNonce that the client has sent to the service number by SMS before (i4.md B.3, mode mo-sms). Retry sends
// the same nonce: another one needs another SMS.
func (c *Client) RegisterMO(ctx context.Context, nonce string) (Outcome, error) {
	a := c.registration(modeMO, models.ToRegisterMobile, c.value("ui.requestId", randomHex()))
	a.asserted = nonce
	return c.act(ctx, a)
}

// ChangePassword replaces the login password (i4.md B.5): it proves the old one and sends the verifier of the new one, or the new password
// itself if that is what the platform asks for.
func (c *Client) ChangePassword(ctx context.Context, old, fresh models.Secret) (Outcome, error) {
	a := &attempt{events: c.event(models.EventChangePassword), nonce: true, proof: c.proves(models.ToChangePassword, "ui.userName", old)}
	a.proof.fresh = fresh
	a.parameters = append([]cwmp.ParameterValue{c.held("ui.userName"), c.value("ui.requestId", randomHex())},
		c.authentication(modeChallenge, models.ToChangePassword)...)
	return c.act(ctx, a)
}

// Logoff ends the login (i4.md B.6); reason is UserExit, SystemShutdown, AccountSwitch, Kicked, NetworkLost or Upgrade. The next Boot or REGISTER
// begins another login.
func (c *Client) Logoff(ctx context.Context, reason string) (Outcome, error) {
	c.Set("softClient.onlineStatus", offline)
	c.Set("softClient.logoffReason", reason)
	login := c.held("softClient.loginSessionId")
	c.mu.Lock()
	other := c.faults.OtherLogin
	c.mu.Unlock()
	if other {
		login.Value = randomHex()
	}
	return c.act(ctx, &attempt{events: c.event(models.EventLogoff), parameters: []cwmp.ParameterValue{login, c.held("softClient.onlineStatus"),
		c.held("softClient.logoffReason"), c.held("ui.userName")}})
}

// Remembered is the password that the platform accepted last from this client, as a user's "remember me"; empty after a result that tells the
// client to forget it (i4.md C.6).
func (c *Client) Remembered() models.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remembered
}

// registration is a REGISTER of this mode with own parameters; it begins a login.
func (c *Client) registration(mode string, purpose models.ProofPurpose, own ...cwmp.ParameterValue) *attempt {
	c.begin()
	a := &attempt{events: c.event(models.EventRegister), nonce: true}
	a.parameters = []cwmp.ParameterValue{c.held("softClient.osType"), c.held("softClient.loginSessionId")}
	if c.config.Type == models.Mobile {
		a.parameters = append(a.parameters, c.held("softClient.networkType"), c.held("ui.mdn"))
		if c.Get("ui.imsi") != "" {
			a.parameters = append(a.parameters, c.held("ui.imsi"))
		}
	}
	a.parameters = append(append(a.parameters, own...), c.authentication(mode, purpose)...)
	return a
}

// begin starts a login.
func (c *Client) begin() {
	c.Set("softClient.loginSessionId", randomHex())
	c.Set("softClient.onlineStatus", "Online")
}

func (c *Client) authentication(mode string, purpose models.ProofPurpose) []cwmp.ParameterValue {
	return []cwmp.ParameterValue{c.value("auth.mode", mode), c.value("auth.algorithm", models.ProofAlgorithm), c.value("auth.purpose", string(purpose))}
}
