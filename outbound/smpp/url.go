package smpp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/softacs/softacs/models"
)

// errURL never shows the URL, which holds a password.
var errURL = errors.New("sms: the form is smpp://id:password@host:2775?source=10086, where a special character of the password is written as %XX")

var serviceNumber = regexp.MustCompile(`^\+?\d{1,20}$`)

// ParseURL reads smpp://id:password@host:port?source=NUMBER, with tls=true and ca=FILE (PEM) where the centre speaks TLS; the port is 2775 if it is
// left out. source is a service number, an international number with a plus, or a name of up to 11 characters. Errors name what is wrong and
// never show the URL.
func ParseURL(text models.Secret) (c Config, err error) {
	u, err := url.Parse(text.Reveal())
	if err != nil || u.Scheme != "smpp" || u.User == nil || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return c, errURL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, errURL
	}
	port := u.Port()
	if port == "" {
		port = "2775"
	}
	password, _ := u.User.Password()
	c = Config{Addr: net.JoinHostPort(u.Hostname(), port), SystemID: u.User.Username(), Password: models.Secret(password)}
	// SMPP 3.4 5.2.1, 5.2.2
	if c.SystemID == "" || len(c.SystemID) > 15 || len(password) > 8 || strings.Contains(c.SystemID+password, "\x00") {
		return c, errors.New("sms: SMPP 3.4 has room for 15 characters of the id and 8 of the password")
	}
	for name, values := range query {
		if len(values) != 1 || !slices.Contains([]string{"source", "tls", "ca"}, name) {
			return c, errors.New("sms: of the query source, tls and ca are allowed, each once")
		}
	}
	if c.Source, err = source(query.Get("source")); err != nil {
		return c, err
	}
	switch query.Get("tls") {
	case "", "false":
		if query.Has("ca") {
			return c, errors.New("sms: ca is for tls=true")
		}
	case "true":
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
		if query.Has("ca") {
			c.TLS.RootCAs, err = roots(query.Get("ca"))
		}
	default:
		return c, errors.New("sms: tls is true or false")
	}
	return c, err
}

func source(text string) (Address, error) {
	switch {
	case serviceNumber.MatchString(text):
		a := Address{NPI: npiISDN, Digits: strings.TrimPrefix(text, "+")}
		if a.Digits != text {
			a.TON = tonInternational
		}
		return a, nil
	case text == "":
		return Address{}, errors.New("sms: source is missing: the service number that messages come from, as in ?source=10086")
	case len(text) > 11 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return Address{}, errors.New("sms: source is a service number, an international number with a plus (%2B), or a name of up to 11 ASCII characters")
	}
	return Address{TON: tonAlphanumeric, Digits: text}, nil
}

func roots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sms: ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("sms: ca: %s has no certificate in PEM", path)
	}
	return pool, nil
}
