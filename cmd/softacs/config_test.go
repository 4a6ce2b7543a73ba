package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigurationLayers(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "softacs.yaml", `
north: {addr: "127.0.0.1:1"}
south.addr: "127.0.0.1:2"
i4.number.area: "22"
lab: true
i4:
  getpwd: {ttl: 300}
  defaults: {PC: {sip.outboundProxy: pcscf9.example.net}}
  services: {VIDEO: {on: {video.codecList: H265}}}
  heartbeat: {PC: {interval: 900}}
`)
	c, err := loadConfig(path, []string{"SOFTACS_SOUTH_ADDR=127.0.0.1:3", "SOFTACS_I4_GETPWD_LIMITS_NUMBER_DAY=7", "SOFTACS_ADMIN_PASSWORD=a", "HOME=/"},
		map[string]any{keyOfFlag("south.addr"): "127.0.0.1:4"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"file": c.North.Addr == "127.0.0.1:1", "flag over variable over file": c.South.Addr == "127.0.0.1:4",
		"key in one piece": c.I4.Number.Area == "22", "variable": c.I4.GetPwd.Limits.NumberDay == 7, "default": c.I4.GetPwd.Limits.NumberSeconds == 60, "nested file": c.I4.GetPwd.TTL == 300,
		"variable with a name of its own": c.Bootstrap.AdminPassword == "a", "people's own keys": c.I4.Defaults["PC"]["sip.outboundProxy"] == "pcscf9.example.net",
		"services": c.I4.Services["VIDEO"].On["video.codecList"] == "H265", "heartbeat": c.I4.Heartbeat["PC"].Interval == 900,
		"lab's own defaults": c.SMS == "log:" && c.IMS.Domain == "ims.example.net" && c.IMS.Secret == "generate",
	} {
		if !ok {
			t.Errorf("%s: %+v", what, c)
		}
	}
}

func TestUnknownSettingsNameTheNearest(t *testing.T) {
	t.Parallel()
	_, err := loadConfig(writeFile(t, "c.yaml", "i4: {getpwd: {limits: {numberDays: 5}}}"), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "i4.getpwd.limits.numberDays") || !strings.Contains(err.Error(), "i4.getpwd.limits.numberDay?") {
		t.Error(err)
	}
	_, err = loadConfig("", []string{"SOFTACS_NORTH_ADR=x"}, nil)
	if err == nil || !strings.Contains(err.Error(), "SOFTACS_NORTH_ADDR?") {
		t.Error(err)
	}
	_, err = loadConfig(writeFile(t, "c.yaml", "north: {addr: [1, 2]}"), nil, nil)
	if err == nil {
		t.Error("a list where a text belongs was taken")
	}
}

func TestWhatOnlyLabModeMayDo(t *testing.T) {
	t.Parallel()
	production := func() Config {
		c := defaultConfig()
		c.IMS.Domain, c.SecretKeys, c.South.TLS.Cert, c.South.TLS.Key = "ims.example.net", "keys", "cert", "key"
		return c
	}
	c := production()
	if err := c.complete(); err != nil || c.IMS.Secret != "require" || c.SMS != "" {
		t.Fatal(err, c)
	}
	for setting, change := range map[string]func(*Config){
		"south.tls.cert":      func(c *Config) { c.South.TLS.Cert = "" },
		"secretKeys":          func(c *Config) { c.SecretKeys = "" },
		"ims.domain":          func(c *Config) { c.IMS.Domain = "" },
		"ims.secret":          func(c *Config) { c.IMS.Secret = "adapter" },
		"bootstrap.apiClient": func(c *Config) { c.Bootstrap.APIClient = "a:b" },
		"sms":                 func(c *Config) { c.SMS = "log:" },
		"sms: ":               func(c *Config) { c.SMS = "smpp://x" },
		"reporting.timeZone":  func(c *Config) { c.Reporting.TimeZone = "Shanghai" },
		"i4.stats.interval":   func(c *Config) { c.I4.Stats.Interval = 899 },
		"statsMinutes":        func(c *Config) { c.I4.Limits.StatsMinutes = -1 },
		"south.addr":          func(c *Config) { c.Lab, c.South.Addr = true, "0.0.0.0:7547" },
		"north.addr":          func(c *Config) { c.Lab, c.North.Addr = true, ":8080" },
	} {
		c := production()
		change(&c)
		if err := c.complete(); err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	c = production()
	c.Lab, c.LabRemote, c.South.Addr = true, true, "0.0.0.0:7547"
	if err := c.complete(); err != nil {
		t.Error(err)
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	good := "# old keys below\nnew: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nold: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
	keys, err := loadKeys(Config{SecretKeys: writeFile(t, "keys", good)})
	if err != nil || len(keys) != 2 || keys[0].ID != "new" || keys[1].Secret[0] != 1 {
		t.Error(keys, err)
	}
	_, err = loadKeys(Config{SecretKeys: writeFile(t, "keys", "a: c2hvcnQ=\n")})
	if err == nil || !strings.Contains(err.Error(), "line 1") || strings.Contains(err.Error(), "c2hvcnQ") {
		t.Error(err)
	}
}

// Whoever runs the platform finds every key, with its variable, in the documents.
func TestEverySettingIsDocumented(t *testing.T) {
	t.Parallel()
	var documents strings.Builder
	for _, name := range []string{"../../docs/operations.md", "../../docs/i4.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		documents.Write(text)
	}
	known, open := keysOf(reflect.TypeFor[Config](), "")
	for _, key := range known {
		for _, want := range []string{"`" + dotted(key) + "`", "`" + variableOf(key) + "`"} {
			if !strings.Contains(documents.String(), want) {
				t.Errorf("no document tells of %s", want)
			}
		}
	}
	for _, prefix := range open {
		if !strings.Contains(documents.String(), "`"+dotted(prefix)+"<") {
			t.Errorf("no document tells of what is below %s", dotted(prefix))
		}
	}
}
