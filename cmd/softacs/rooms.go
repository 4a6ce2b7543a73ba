package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/softacs/softacs/acs/i4"
	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/acs/session"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/clients"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/tasks"
)

// What each room is built with, read from the configuration and the profile.

var clientTypes = []models.ClientType{models.PC, models.Mobile, models.MagicScreen, models.Generic}

func heartbeats(c Config, p *i4.Profile) map[models.ClientType]time.Duration {
	m := map[models.ClientType]time.Duration{}
	for _, t := range clientTypes {
		m[t] = p.Heartbeat(t)
		if set := c.I4.Heartbeat[heartbeatKey(t)].Interval; set > 0 {
			m[t] = time.Duration(set) * time.Second
		}
	}
	return m
}

// deniedPaths are what no task may set (resolutions 79), in the trees of both generations of the data model.
func deniedPaths(p *i4.Profile) []string {
	denied := []string{
		"InternetGatewayDevice.ManagementServer.URL", "InternetGatewayDevice.ManagementServer.Username",
		"InternetGatewayDevice.ManagementServer.Password", "InternetGatewayDevice.ManagementServer.ParameterKey",
	}
	for _, name := range []string{"managementServer.url", "managementServer.username", "managementServer.password", "managementServer.parameterKey"} {
		if path, ok := p.Path(name); ok {
			denied = append(denied, path)
		}
	}
	// A test set by hand would go round the limits and the allowed targets of diagnostics.
	for _, generation := range p.Generations() {
		for _, parameter := range generation.Catalogue() {
			if strings.HasPrefix(parameter.Name, "diag.") && (strings.HasSuffix(parameter.Path, ".") || parameter.Name == "diag.taskId") {
				denied = append(denied, parameter.Path)
			}
		}
	}
	for _, name := range []string{"ui.status", "auth.proof"} {
		if path, ok := p.Path(name); ok {
			denied = append(denied, path[:strings.LastIndex(path, ".")+1])
		}
	}
	return denied
}

// checkDrift checks i4.drift.
func (c *Config) checkDrift() error {
	for _, x := range []struct {
		name           string
		value, low, hi int
	}{{"interval", c.I4.Drift.Interval, 3600, 30 * 86_400}, {"sample", c.I4.Drift.Sample, 1, 100}, {"perDay", c.I4.Drift.PerDay, 0, 100}} {
		if off := x.name == "interval" && x.value == 0; !off && (x.value < x.low || x.value > x.hi) {
			return fmt.Errorf("i4.drift.%s: %d to %d are allowed, not %d", x.name, x.low, x.hi, x.value)
		}
	}
	return nil
}

func configurationConfig(c Config, p *i4.Profile, t *tasks.Room) configuration.Config {
	out := configuration.Config{
		Defaults: map[models.ClientType]map[string]string{}, Areas: c.I4.Areas, Services: map[string]configuration.Switch{},
		Path: func(name string) string {
			path, _ := p.Path(name)
			return cmp.Or(path, name)
		},
		Check: func(name, value string) error {
			parameter, ok := p.Parameter(name)
			if !ok {
				return nil
			}
			_, err := parameter.Check(value)
			return err
		},
		Name: p.Name, IsSecret: p.IsSecret, Tasks: t,
		Canonical: func(name, value string) string {
			if parameter, ok := p.Parameter(name); ok {
				if canonical, err := parameter.Check(value); err == nil {
					return canonical
				}
			}
			return value
		},
		Drift: configuration.Drift{Interval: seconds(c.I4.Drift.Interval), Sample: c.I4.Drift.Sample, PerDay: c.I4.Drift.PerDay},
	}
	for _, x := range p.Catalogue() {
		out.Catalogue.Parameters = append(out.Catalogue.Parameters, configuration.Parameter{
			Name: x.Name, Type: x.Type, Writable: x.Writable, Secret: x.Secret, Optional: x.Optional, Service: x.Service, Leaf: x.Leaf, Local: x.Local,
		})
	}
	intervals := heartbeats(c, p)
	for _, t := range clientTypes {
		if t == models.Generic {
			continue
		}
		layer := p.Defaults(t, c.IMS.Domain)
		layer[configuration.PeriodicInformInterval] = fmt.Sprint(int(intervals[t].Seconds()))
		maps.Copy(layer, reportingLayer(c))
		maps.Copy(layer, c.I4.Defaults[t.Wire()])
		out.Defaults[t] = layer
	}
	for code, s := range p.Services(c.IMS.Domain) {
		out.Services[code] = configuration.Switch(s)
	}
	for code, s := range c.I4.Services {
		merged := out.Services[code]
		merged.On, merged.Off = over(merged.On, s.On), over(merged.Off, s.Off)
		out.Services[code] = merged
	}
	return out
}

// over lays one layer over another.
func over(lower, upper map[string]string) map[string]string {
	merged := maps.Clone(lower)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, upper)
	return merged
}

func passwordsConfig(c Config) (passwords.Config, error) {
	x := c.I4
	out := passwords.Config{
		Iterations: x.Auth.Iterations, MinIterations: x.Auth.MinIterations, Window: seconds(x.Auth.TimestampWindow),
		OTPLength: x.GetPwd.Length, OTPAlphabet: x.GetPwd.Alphabet, OTPTTL: seconds(x.GetPwd.TTL), BindDevice: x.GetPwd.BindDevice, Template: x.SMS.Template,
		CodeTTL: seconds(x.Mobile.CodeTTL), CodeTries: x.Mobile.CodeTries, CodeTemplate: x.SMS.CodeTemplate,
		ResetTTL: seconds(x.Reset.TTL), ResetDay: x.Reset.Day, ChangeDay: x.ChangePwd.Day, ChangeGrace: seconds(x.ChangePwd.Grace),
		Limits: passwords.Limits(x.GetPwd.Limits), Lockout: passwords.LockoutLimits(x.Lockout), CGNFactor: x.CGN.Factor, AlarmRate: x.Alarms.SecurityPer5Minutes,
		Workers: runtime.NumCPU(), LoopbackExempt: c.Lab,
	}
	if slices.Contains(x.Auth.Modes, "timestamp") {
		if out.Realm = x.Auth.Realm; out.Realm == "" {
			return out, fmt.Errorf("i4.auth.realm: timestamp mode needs one, the same as in the clients' configuration")
		}
	}
	for _, text := range x.CGN.Ranges {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return out, fmt.Errorf("i4.cgn.ranges: address ranges such as 100.64.0.0/10 are allowed, not %q", text)
		}
		out.CGN = append(out.CGN, network.Masked())
	}
	return out, out.Check()
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func accountsConfig(c Config) accounts.Config {
	policy := accounts.RequireSecret
	if c.IMS.Secret == "generate" {
		policy = accounts.GenerateSecret
	}
	return accounts.Config{Domain: c.IMS.Domain, Secret: policy}
}

func clientsConfig(c Config, tokenKeys [][32]byte) (out clients.Config, err error) {
	out = clients.Config{
		Plan: models.NumberPlan{Country: c.I4.Number.Country, Area: c.I4.Number.Area}, AntiEnumeration: c.I4.Auth.AntiEnumeration,
		Pad: time.Duration(c.I4.GetPwd.Pad) * time.Millisecond, ChallengeTTL: time.Duration(c.I4.Auth.ChallengeTTL) * time.Second,
		RetryAfter: c.I4.GetPwd.Limits.NumberSeconds, ReportAlready: c.I4.Register.ReportAlready, ChangedText: c.I4.SMS.ChangedTemplate,
		MinVersion: map[models.ClientType]string{},
		Policy:     bindings.Policy{Conflict: bindings.Conflict(c.I4.Device.Conflict), Max: map[models.ClientType]int{}},
	}
	if out.Ways, out.Mobile, err = waysConfig(c, tokenKeys); err != nil {
		return out, err
	}
	if out.Screens, err = screensConfig(c); err != nil {
		return out, err
	}
	switch c.I4.ChangePwd.Transport {
	case "verifier":
	case "tls-plaintext":
		out.PlaintextChange = true
	default:
		return out, fmt.Errorf("i4.changepwd.transport: verifier and tls-plaintext are allowed, not %q", c.I4.ChangePwd.Transport)
	}
	switch out.Policy.Conflict {
	case bindings.ReplaceOnOTP, bindings.Replace, bindings.Reject:
	default:
		return out, fmt.Errorf("i4.device.conflict: replace-on-otp, replace and reject are allowed, not %q", c.I4.Device.Conflict)
	}
	for wire, version := range c.I4.Upgrade.MinVersion {
		t, ok := models.ClientTypeOf(wire)
		if !ok {
			return out, fmt.Errorf("i4.upgrade.minVersion.%s: PC, Mobile and MagicScreen are allowed", wire)
		}
		out.MinVersion[t] = version
	}
	for wire, n := range c.I4.Device.Max {
		t, ok := models.ClientTypeOf(wire)
		if !ok {
			return out, fmt.Errorf("i4.device.max.%s: PC, Mobile and MagicScreen are allowed", wire)
		}
		out.Policy.Max[t] = n
	}
	return out, nil
}

func serverConfig(c Config) server.Config {
	x := c.I4
	return server.Config{
		Lab: c.Lab, Path: x.ACS.Path, MaxSessions: x.Limits.Sessions, LegacyBasic: x.Auth.LegacyPlaintext == "tls-only",
		Session: session.Config{
			Timeout: time.Duration(x.Session.Timeout) * time.Second, MaxDuration: time.Duration(x.Session.MaxDuration) * time.Second,
			RoundTrips: x.Session.MaxRoundTrips,
		},
		Limits:   server.Limits{L0PerMinuteIP: x.Limits.L0PerMinuteIP, L0PerSecond: x.Limits.L0PerSecond, HeartbeatSeconds: x.Limits.HeartbeatSeconds},
		NonceTTL: time.Duration(x.HTTP.Digest.NonceTTL) * time.Second, NonceRing: x.HTTP.Digest.NonceRing, SHA256: x.HTTP.Digest.SHA256,
	}
}
