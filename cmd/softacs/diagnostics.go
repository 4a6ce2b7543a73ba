package main

import (
	"fmt"

	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/diagnostics"
)

// checkDiagnostics checks i4.diag and the limit of diagnostics. In lab mode devices may be pointed anywhere (resolutions 24).
func (c *Config) checkDiagnostics() error {
	if c.Lab && len(c.I4.Diag.Targets) == 0 {
		c.I4.Diag.Targets = []string{"*"}
	}
	if _, err := diagnostics.ParseTargets(c.I4.Diag.Targets); err != nil {
		return fmt.Errorf("i4.diag.targets: %w", err)
	}
	switch timeout, perHour := c.I4.Diag.Timeout, c.I4.Limits.DiagPerHour; {
	case timeout < 10 || timeout > 3600:
		return fmt.Errorf("i4.diag.timeout: 10 to 3600 seconds are allowed, not %d", timeout)
	case perHour < 0:
		return fmt.Errorf("i4.limits.diagPerHour: a number is allowed, and 0 for no limit, not %d", perHour)
	}
	return nil
}

// targetNames are the parameters whose values devices may be pointed at (resolutions 24): P-CSCF, registrar, DNS and STUN.
var targetNames = []string{
	"sip.outboundProxy", "sip.standbyOutboundProxy", "sip.proxyServer", "sip.standbyProxyServer", "sip.registrarServer", "sip.standbyRegistrarServer",
	"dns.server1", "dns.server2", "voice.stunServer", "managementServer.stunServerAddress",
}

// diagnosticsConfig takes the default targets from the layers of what is configured.
func diagnosticsConfig(c Config, layers configuration.Config) (diagnostics.Config, error) {
	targets, err := diagnostics.ParseTargets(c.I4.Diag.Targets)
	if err != nil {
		return diagnostics.Config{}, err
	}
	if len(c.I4.Diag.Targets) == 0 {
		targets.Names = targetNames
		for _, name := range targetNames {
			for _, defaults := range layers.Defaults {
				targets.Add(defaults[name])
			}
			for _, area := range layers.Areas {
				targets.Add(area[name])
			}
		}
	}
	return diagnostics.Config{Timeout: seconds(c.I4.Diag.Timeout), PerHour: c.I4.Limits.DiagPerHour, Targets: targets}, nil
}
