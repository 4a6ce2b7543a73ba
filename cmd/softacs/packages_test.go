package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
)

func TestPackageSettings(t *testing.T) {
	t.Parallel()
	junk := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(junk, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"a path in the URL":  {func(c *Config) { c.Packages.URL = "https://acs.example.net/files" }, "packages.url"},
		"no scheme":          {func(c *Config) { c.Packages.URL = "acs.example.net" }, "packages.url"},
		"too large":          {func(c *Config) { c.Packages.MaxBytes = 1 << 32 }, "packages.maxBytes"},
		"a negative spread":  {func(c *Config) { c.I4.Upgrade.Spread = -1 }, "i4.upgrade.spread"},
		"links for a second": {func(c *Config) { c.I4.Upgrade.URLTTL = 1 }, "i4.upgrade.urlTtl"},
		"an unknown type":    {func(c *Config) { c.I4.Upgrade.NotifyOnly = []string{"Tablet"} }, "i4.upgrade.notifyOnly"},
		"an unknown shop":    {func(c *Config) { c.I4.Upgrade.InfoURL = map[string]string{"Tablet": "https://a"} }, "i4.upgrade.infoUrl.Tablet"},
		"junk for a key":     {func(c *Config) { c.Upgrade.VendorKeys = []string{junk} }, "upgrade.vendorKeys"},
		"no key":             {func(c *Config) { c.Upgrade.VendorKeys = []string{"nowhere.pem"} }, "upgrade.vendorKeys"},
	} {
		c := defaultConfig()
		c.Lab = true
		x.change(&c)
		err := c.complete()
		if err == nil {
			_, err = packagesConfig(c, nil)
		}
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, x := range map[string]struct {
		change func(*Config)
		dir    string
	}{
		"beside SQLite":   {func(c *Config) { c.Database = "sqlite:/var/lib/softacs/softacs.db" }, "/var/lib/softacs/packages"},
		"beside the keys": {func(c *Config) { c.Database, c.SecretKeys = "mysql://u:p@db/softacs", "/etc/softacs/keys" }, "/etc/softacs/packages"},
		"as it is said":   {func(c *Config) { c.Packages.Dir = "/srv/packages" }, "/srv/packages"},
		"nowhere": {func(c *Config) {
			c.Lab, c.Database, c.SecretKeys = false, "mysql://u:p@db/softacs", "/etc/softacs/keys"
		}, ""},
	} {
		c := defaultConfig()
		c.Lab = true
		x.change(&c)
		if err := c.completePackages(); err != nil || c.Packages.Dir != x.dir {
			t.Errorf("%s: %q, %v", name, c.Packages.Dir, err)
		}
	}
	c := defaultConfig()
	c.Packages.URL = "https://acs.example.net:7547/"
	if err := c.completePackages(); err != nil || (&app{config: c}).packagesOrigin() != "https://acs.example.net:7547" {
		t.Errorf("%q, %v", c.Packages.URL, err)
	}
	out, err := packagesConfig(c, nil)
	if err != nil || len(out.NotifyOnly) != 1 || out.NotifyOnly[0] != models.Mobile {
		t.Errorf("%+v, %v", out, err)
	}
}
