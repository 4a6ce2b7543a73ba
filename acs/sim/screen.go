package sim

import (
	"context"
	"encoding/hex"
	"slices"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

const modeCertificate = "certificate"

// NewScreenIdentity makes the identity of a magic screen that has just left the factory.
func NewScreenIdentity() cwmp.DeviceID {
	id := NewIdentity()
	id.ProductClass, id.SerialNumber = "IMSScreen", "MS"+id.SerialNumber[:16]
	return id
}

// RegisterScreen is what a magic screen sends when it is unpacked, and each time it returns from its factory state (i4.md B.4): 0 BOOTSTRAP,
// 1 BOOT and REGISTER. Its certificate, if it has one, is in Config.HTTP.
func (c *Client) RegisterScreen(ctx context.Context) (Outcome, error) {
	c.begin()
	a := &attempt{events: slices.Concat(c.event(models.EventBootstrap), c.event(models.EventBoot), c.event(models.EventRegister))}
	for _, name := range []string{"softClient.stbID", "softClient.macAddress", "softClient.loginSessionId"} {
		a.parameters = append(a.parameters, c.held(name))
	}
	if c.Get("ui.broadbandAccount") != "" {
		a.parameters = append(a.parameters, c.held("ui.broadbandAccount"))
	}
	a.parameters = append(a.parameters, c.value("auth.mode", modeCertificate))
	return c.act(ctx, a)
}

// ResetScreen returns the screen to its factory state, in which it knows nothing but where the platform is, and registers it.
func (c *Client) ResetScreen(ctx context.Context) (Outcome, error) {
	c.mu.Lock()
	c.store = newStore(c.config)
	c.events, c.requests, c.auth = nil, nil, authorization{}
	c.mu.Unlock()
	return c.RegisterScreen(ctx)
}

// screenValues are what only a magic screen holds; both names of it come from its serial number.
func screenValues(c Config) map[string]string {
	stb := hex.EncodeToString([]byte(c.Identity.SerialNumber + "0000000000000000"))[:32]
	mac := stb[20:]
	return map[string]string{
		"deviceInfo.hardwareVersion": "MS-2011", "softClient.osType": "Linux", "softClient.stbID": stb, "ui.broadbandAccount": c.BroadbandAccount,
		"softClient.macAddress": mac[:2] + ":" + mac[2:4] + ":" + mac[4:6] + ":" + mac[6:8] + ":" + mac[8:10] + ":" + mac[10:],
	}
}
