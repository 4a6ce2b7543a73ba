package main

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/softacs/softacs/acs/files"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/packages"
)

// completePackages fills in where packages are kept and checks what is said of them. SQLite's are kept beside the database, in lab mode MySQL's
// beside the secret keys; elsewhere a folder that all replicas see has to be named.
func (c *Config) completePackages() error {
	if c.Packages.Dir == "" {
		if path, ok := strings.CutPrefix(c.Database.Reveal(), "sqlite:"); ok {
			c.Packages.Dir = filepath.Join(filepath.Dir(path), "packages")
		} else if c.Lab && c.SecretKeys != "" {
			c.Packages.Dir = filepath.Join(filepath.Dir(c.SecretKeys), "packages")
		}
	}
	if c.Packages.URL != "" {
		u, err := url.Parse(c.Packages.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return fmt.Errorf("packages.url: the origin of the south door as devices see it is allowed, such as https://acs.example.net:7547, not %q", c.Packages.URL)
		}
		c.Packages.URL = strings.TrimSuffix(c.Packages.URL, "/")
	}
	if c.Packages.MaxBytes <= 0 || c.Packages.MaxBytes > math.MaxUint32 {
		return fmt.Errorf("packages.maxBytes: 1 to 4294967295 are allowed, not %d", c.Packages.MaxBytes)
	}
	for key, seconds := range map[string]int{"i4.upgrade.spread": c.I4.Upgrade.Spread, "i4.upgrade.urlTtl": c.I4.Upgrade.URLTTL - 60} {
		if seconds < 0 || seconds > 7*86_400 {
			return fmt.Errorf("%s: at most a week in seconds is allowed, and a link is good for a minute at least", key)
		}
	}
	return nil
}

// packagesConfig reads the vendors' keys. origin is asked when a link is made, because a free port is known only then.
func packagesConfig(c Config, origin func() string) (packages.Config, error) {
	out := packages.Config{
		Dir: c.Packages.Dir, MaxBytes: c.Packages.MaxBytes, Origin: origin, LinkTTL: time.Duration(c.I4.Upgrade.URLTTL) * time.Second,
		InfoURL: map[models.ClientType]string{},
	}
	for _, path := range c.Upgrade.VendorKeys {
		key, err := packages.ReadVendorKey(path)
		if err != nil {
			return out, fmt.Errorf("upgrade.vendorKeys: %w", err)
		}
		out.VendorKeys = append(out.VendorKeys, key)
	}
	for _, wire := range c.I4.Upgrade.NotifyOnly {
		t, ok := models.ClientTypeOf(wire)
		if !ok {
			return out, fmt.Errorf("i4.upgrade.notifyOnly: PC, Mobile and MagicScreen are allowed, not %q", wire)
		}
		out.NotifyOnly = append(out.NotifyOnly, t)
	}
	for wire, info := range c.I4.Upgrade.InfoURL {
		t, ok := models.ClientTypeOf(wire)
		if !ok || len(info) > models.MaxDownloadURL {
			return out, fmt.Errorf("i4.upgrade.infoUrl.%s: PC, Mobile and MagicScreen are allowed, with URLs of at most %d characters", wire, models.MaxDownloadURL)
		}
		out.InfoURL[t] = info
	}
	return out, nil
}

// packagesOrigin is where devices reach the files.
func (a *app) packagesOrigin() string {
	switch {
	case a.config.Packages.URL != "":
		return a.config.Packages.URL
	case a.config.South.TLS.Cert != "":
		return "https://" + a.southAddr.Addr().String()
	}
	return "http://" + a.southAddr.Addr().String()
}

// withFiles serves packages below /p/ and the ACS everywhere else.
func (a *app) withFiles(acs http.Handler) http.Handler {
	door := files.New(a.packages, a.clock).Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/p/") {
			door.ServeHTTP(w, r)
			return
		}
		acs.ServeHTTP(w, r)
	})
}
