package sim

import (
	"context"
	"strconv"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/models"
)

// Change is what a user or a vendor's tool changes on the client: the new values are told by 4 VALUE CHANGE, by logical name or path.
func (c *Client) Change(ctx context.Context, values map[string]string) (Outcome, error) {
	var told []cwmp.ParameterValue
	for nameOrPath, value := range values {
		c.Set(nameOrPath, value)
		told = append(told, c.held(nameOrPath))
	}
	return c.Send(ctx, c.event(models.EventValueChange), told)
}

// Answered is how the IMS answered the client's SIP registration: a status above 299 takes the line down, which is told by 4 VALUE CHANGE with
// its cause (resolutions 54). Later BOOT and PERIODIC tell it too.
func (c *Client) Answered(ctx context.Context, status int, reason string) (Outcome, error) {
	line := "Up"
	if status > 299 {
		line = "Error"
	}
	c.Set("line.status", line)
	c.Set("softClient.lastRegister.code", strconv.Itoa(status))
	c.Set("softClient.lastRegister.reason", reason)
	c.Set("softClient.lastRegister.time", cwmp.FormatTime(c.config.Now()))
	return c.Send(ctx, c.event(models.EventValueChange), append(c.lastRegister(), c.held("line.status")))
}

// lastRegister are the parameters of the last answer to a SIP registration; none if there was none.
func (c *Client) lastRegister() (list []cwmp.ParameterValue) {
	if code := c.Get("softClient.lastRegister.code"); code == "" || code == "0" {
		return nil
	}
	for _, name := range []string{"softClient.lastRegister.code", "softClient.lastRegister.reason", "softClient.lastRegister.time"} {
		list = append(list, c.held(name))
	}
	return list
}
