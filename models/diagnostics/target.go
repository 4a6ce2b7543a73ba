package diagnostics

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
)

// Targets are the hosts that devices may be pointed at, so that they cannot be made to scan or flood others (i4.md B.8, resolutions 24).
type Targets struct {
	// All allows every host.
	All bool
	// Hosts are names and addresses in canonical writing; Networks are ranges of addresses.
	Hosts    map[string]bool
	Networks []netip.Prefix
	// Names are the logical names of the parameters whose values are allowed for a device that is configured with them.
	Names []string
}

// ParseTargets reads i4.diag.targets: names, addresses, ranges such as 192.0.2.0/24, or * for all. The error is a sentence about the wrong one.
func ParseTargets(list []string) (Targets, error) {
	t := Targets{Hosts: map[string]bool{}}
	for _, text := range list {
		if text == "*" {
			t.All = true
			continue
		}
		if network, err := netip.ParsePrefix(text); err == nil {
			t.Networks = append(t.Networks, network.Masked())
			continue
		}
		host, err := canonicalHost(text)
		if err != nil {
			return t, fmt.Errorf("a name, an address, a range such as 192.0.2.0/24, or * is expected, not %q", text)
		}
		t.Hosts[host] = true
	}
	return t, nil
}

// Add allows the host of a parameter's value; what is no host is left out.
func (t *Targets) Add(value string) {
	if host, err := canonicalHost(hostOf(value)); err == nil {
		t.Hosts[host] = true
	}
}

// hostOf cuts the port off a configured server.
func hostOf(value string) string {
	if host, _, err := net.SplitHostPort(value); err == nil {
		return host
	}
	return value
}

// allow refuses a canonical host that is not among the targets of a device: POLICY_DENIED.
func (t Targets) allow(tx *store.Tx, deviceID models.ID, host, field string) error {
	if t.All || t.Hosts[host] {
		return nil
	}
	if address, err := netip.ParseAddr(host); err == nil {
		for _, network := range t.Networks {
			if network.Contains(address) {
				return nil
			}
		}
	}
	if len(t.Names) > 0 {
		configured, err := configuration.Desired(tx, deviceID)
		if err != nil {
			return err
		}
		for _, name := range t.Names {
			if allowed, err := canonicalHost(hostOf(configured[name])); err == nil && allowed == host {
				return nil
			}
		}
	}
	return models.E(models.PolicyDenied, "devices may not be pointed at this host; i4.diag.targets names those that are allowed", "input", field)
}

const maxHost = 253

var errHost = models.E(models.Invalid, "this is neither the name nor the address of a host")

// canonicalHost returns the one writing of a name or an address: names in lower case without the dot at their end, addresses as netip writes them.
// What a resolver might take for an address without being one here, such as 127.1, 0x7f000001 or 2130706433, is refused, and so is everything
// with a port, a user, brackets, a zone or letters outside ASCII.
func canonicalHost(text string) (string, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		if address.Zone() != "" {
			return "", errHost
		}
		return address.Unmap().String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if name == "" || len(name) > maxHost {
		return "", errHost
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", errHost
		}
	}
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", errHost
	}
	return name, nil
}

// maxURL is what DownloadURL and UploadURL hold (TR-143).
const maxURL = 256

// canonicalURL takes an http or https URL apart and writes it anew, so that a device reads the same host in it as was checked here.
func canonicalURL(text string) (canonical, host string, err error) {
	bad := models.E(models.Invalid, fmt.Sprintf("an http or https URL of at most %d characters without user and fragment is expected", maxURL))
	if len(text) > maxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7F || r == '\\' }) {
		return "", "", bad
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Opaque != "" || strings.Contains(text, "#") {
		return "", "", bad
	}
	if host, err = canonicalHost(u.Hostname()); err != nil {
		return "", "", bad
	}
	written := host
	if strings.Contains(host, ":") {
		written = "[" + host + "]"
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", "", bad
		}
		written += ":" + strconv.FormatUint(n, 10)
	} else if strings.HasSuffix(u.Host, ":") {
		return "", "", bad
	}
	clean := url.URL{Scheme: u.Scheme, Host: written, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	if canonical = clean.String(); len(canonical) > maxURL {
		return "", "", bad
	}
	return canonical, host, nil
}

// canonicalEcho reads host or host:port.
func canonicalEcho(text string) (host string, port int, err error) {
	if name, number, e := net.SplitHostPort(text); e == nil {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 {
			return "", 0, errHost
		}
		text, port = name, int(n)
	}
	host, err = canonicalHost(text)
	return host, port, err
}
