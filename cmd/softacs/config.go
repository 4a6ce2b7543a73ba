package main

import (
	"cmp"
	"encoding"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/passwords"
)

// Config is every setting (docs/operations.md lists them). Durations are in seconds.
type Config struct {
	Database  models.Secret `koanf:"database"`
	North     Listener      `koanf:"north"`
	South     South         `koanf:"south"`
	Admin     Listener      `koanf:"admin"`
	Lab       bool          `koanf:"lab"`
	LabRemote bool          `koanf:"labAllowRemote"`
	Bootstrap struct {
		AdminPassword models.Secret `koanf:"adminPassword"`
		APIClient     models.Secret `koanf:"apiClient"`
	} `koanf:"bootstrap"`
	SMS        string `koanf:"sms"`
	SecretKeys string `koanf:"secretKeys"`
	IMS        struct {
		Secret string `koanf:"secret"`
		Domain string `koanf:"domain"`
	} `koanf:"ims"`
	Migrate struct {
		Auto bool `koanf:"auto"`
	} `koanf:"migrate"`
	I4 I4 `koanf:"i4"`
}

// Listener is where a door listens; an empty admin.addr is off.
type Listener struct {
	Addr string `koanf:"addr"`
}

// South is the south door.
type South struct {
	Addr string `koanf:"addr"`
	TLS  struct {
		Cert string `koanf:"cert"`
		Key  string `koanf:"key"`
	} `koanf:"tls"`
}

// I4 are the settings of interface I4 (i4.md E).
type I4 struct {
	Profile string `koanf:"profile"`
	ACS     struct {
		Path string `koanf:"path"`
	} `koanf:"acs"`
	Session struct {
		Timeout       int `koanf:"timeout"`
		MaxDuration   int `koanf:"maxDuration"`
		MaxRoundTrips int `koanf:"maxRoundTrips"`
	} `koanf:"session"`
	HTTP struct {
		Digest struct {
			SHA256    bool `koanf:"sha256"`
			NonceTTL  int  `koanf:"nonceTtl"`
			NonceRing int  `koanf:"nonceRing"`
		} `koanf:"digest"`
	} `koanf:"http"`
	Number struct {
		Country string `koanf:"country"`
		Area    string `koanf:"area"`
	} `koanf:"number"`
	Auth struct {
		AntiEnumeration bool `koanf:"antiEnumeration"`
		Iterations      int  `koanf:"iterations"`
		ChallengeTTL    int  `koanf:"challengeTtl"`
	} `koanf:"auth"`
	GetPwd struct {
		TTL        int            `koanf:"ttl"`
		Length     int            `koanf:"length"`
		Alphabet   string         `koanf:"alphabet"`
		BindDevice bool           `koanf:"bindDevice"`
		Pad        int            `koanf:"padMilliseconds"`
		Limits     PasswordLimits `koanf:"limits"`
	} `koanf:"getpwd"`
	Lockout Lockout    `koanf:"lockout"`
	Limits  DoorLimits `koanf:"limits"`
	Device  struct {
		Max      map[string]int `koanf:"max"`
		Conflict string         `koanf:"conflict"`
	} `koanf:"device"`
	Register struct {
		ReportAlready bool `koanf:"reportAlready"`
	} `koanf:"register"`
	Upgrade struct {
		MinVersion map[string]string `koanf:"minVersion"`
	} `koanf:"upgrade"`
	SMS struct {
		Template string `koanf:"template"`
	} `koanf:"sms"`
	Heartbeat map[string]Heartbeat         `koanf:"heartbeat"`
	Defaults  map[string]map[string]string `koanf:"defaults"`
	Areas     map[string]map[string]string `koanf:"areas"`
	Services  map[string]struct {
		On  map[string]string `koanf:"on"`
		Off map[string]string `koanf:"off"`
	} `koanf:"services"`
}

// PasswordLimits are those of GETPWD (i4.md B.1).
type PasswordLimits struct {
	NumberSeconds   int `koanf:"numberSeconds"`
	NumberDay       int `koanf:"numberDay"`
	MDNDay          int `koanf:"mdnDay"`
	Device10Min     int `koanf:"device10min"`
	DeviceDay       int `koanf:"deviceDay"`
	IPHour          int `koanf:"ipHour"`
	GlobalPerSecond int `koanf:"globalPerSecond"`
}

// Lockout is what wrong proofs lead to (i4.md C.3).
type Lockout struct {
	Tries       int `koanf:"tries"`
	Minutes     int `koanf:"minutes"`
	MaxHours    int `koanf:"maxHours"`
	AccountHour int `koanf:"accountHour"`
	DeviceHour  int `koanf:"deviceHour"`
	IPHour      int `koanf:"ipHour"`
}

// DoorLimits are those of the south door.
type DoorLimits struct {
	Sessions         int `koanf:"sessions"`
	L0PerMinuteIP    int `koanf:"l0PerMinuteIp"`
	L0PerSecond      int `koanf:"l0PerSecond"`
	HeartbeatSeconds int `koanf:"heartbeatSeconds"`
}

// Heartbeat is how often a client type is to be heard of.
type Heartbeat struct {
	Interval int `koanf:"interval"`
}

// defaultConfig holds what is set when nobody sets anything; lab mode adds to it.
func defaultConfig() (c Config) {
	c.Database = "sqlite:data/softacs.db"
	c.North.Addr, c.South.Addr, c.Admin.Addr = "127.0.0.1:8080", "127.0.0.1:7547", "127.0.0.1:9090"
	c.I4.ACS.Path = "/acs"
	c.I4.Session.Timeout, c.I4.Session.MaxDuration, c.I4.Session.MaxRoundTrips = 40, 300, 64
	c.I4.HTTP.Digest.SHA256, c.I4.HTTP.Digest.NonceTTL, c.I4.HTTP.Digest.NonceRing = true, 300, 1<<20
	c.I4.Number.Country, c.I4.Number.Area = "86", "21"
	p, door, policy := passwords.Defaults(), server.DefaultLimits, bindings.DefaultPolicy()
	c.I4.Auth.AntiEnumeration, c.I4.Auth.Iterations, c.I4.Auth.ChallengeTTL = true, p.Iterations, 60
	g := &c.I4.GetPwd
	g.TTL, g.Length, g.Alphabet, g.BindDevice, g.Pad = int(p.OTPTTL.Seconds()), p.OTPLength, p.OTPAlphabet, p.BindDevice, 300
	g.Limits, c.I4.Lockout, c.I4.SMS.Template = PasswordLimits(p.Limits), Lockout(p.Lockout), p.Template
	c.I4.Limits = DoorLimits{Sessions: 20_000, L0PerMinuteIP: door.L0PerMinuteIP, L0PerSecond: door.L0PerSecond, HeartbeatSeconds: door.HeartbeatSeconds}
	c.I4.Device.Conflict, c.I4.Device.Max = string(policy.Conflict), map[string]int{}
	for t, n := range policy.Max {
		c.I4.Device.Max[t.Wire()] = n
	}
	return c
}

// delimiter stands between the parts of a key in here; people write a dot, which logical names contain too.
const delimiter = "/"

func dotted(key string) string { return strings.ReplaceAll(key, delimiter, ".") }

// environment names the variables whose names do not follow from their keys: every other key a.bC is SOFTACS_A_B_C.
var environment = map[string]string{
	"SOFTACS_ADMIN_PASSWORD":   "bootstrap/adminPassword",
	"SOFTACS_API_CLIENT":       "bootstrap/apiClient",
	"SOFTACS_SECRET_KEYS_FILE": "secretKeys",
}

// loadConfig reads the file at path, then environ, then flags (by key), each over the one before it. An unknown key is an error that names the nearest known one.
func loadConfig(path string, environ []string, flags map[string]any) (Config, error) {
	c := defaultConfig()
	known, open := keysOf(reflect.TypeFor[Config](), "")
	k := koanf.New(delimiter)
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return c, fmt.Errorf("read the configuration: %w", err)
		}
		if err := unfold(k, known); err != nil {
			return c, err
		}
		for _, key := range k.Keys() {
			if err := checkKey(dotted(key), key, known, open); err != nil {
				return c, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	variables := map[string]any{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "SOFTACS_") {
			continue
		}
		key, err := keyOfVariable(name, known)
		if err != nil {
			return c, err
		}
		variables[key] = value
	}
	for _, layer := range []map[string]any{variables, flags} {
		if err := k.Load(confmap.Provider(layer, delimiter), nil); err != nil {
			return c, err
		}
	}
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &c, WeaklyTypedInput: true, TagName: "koanf",
	}})
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

// unfold lets people write a key in one piece, as in `north.addr: 127.0.0.1:8080`.
func unfold(k *koanf.Koanf, known []string) error {
	for _, key := range k.Keys() {
		whole := strings.ReplaceAll(key, ".", delimiter)
		if whole == key || !slices.Contains(known, whole) {
			continue
		}
		value := k.Get(key)
		k.Delete(key)
		if err := k.Set(whole, value); err != nil {
			return err
		}
	}
	return nil
}

// keysOf lists the keys of a settings struct, and the prefixes below which any key is allowed because people name them.
func keysOf(t reflect.Type, prefix string) (known, open []string) {
	for field := range t.Fields() {
		key := prefix + field.Tag.Get("koanf")
		switch field.Type.Kind() {
		case reflect.Struct:
			k, o := keysOf(field.Type, key+delimiter)
			known, open = append(known, k...), append(open, o...)
		case reflect.Map:
			open = append(open, key+delimiter)
		default:
			known = append(known, key)
		}
	}
	return known, open
}

func checkKey(shown, key string, known, open []string) error {
	if slices.Contains(known, key) || slices.ContainsFunc(open, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
		return nil
	}
	return fmt.Errorf("there is no setting %s; did you mean %s?", shown, dotted(nearest(key, known)))
}

func variableOf(key string) string {
	for name, k := range environment {
		if k == key {
			return name
		}
	}
	var b strings.Builder
	b.WriteString("SOFTACS_")
	for _, c := range key {
		switch {
		case string(c) == delimiter:
			b.WriteByte('_')
		case c >= 'A' && c <= 'Z':
			b.WriteByte('_')
			b.WriteRune(c)
		default:
			b.WriteString(strings.ToUpper(string(c)))
		}
	}
	return b.String()
}

func keyOfVariable(name string, known []string) (string, error) {
	names := make([]string, len(known))
	for i, key := range known {
		if names[i] = variableOf(key); names[i] == name {
			return key, nil
		}
	}
	return "", fmt.Errorf("there is no setting %s; did you mean %s?", name, nearest(name, names))
}

// nearest is the candidate with the smallest edit distance.
func nearest(word string, candidates []string) string {
	return slices.MinFunc(candidates, func(a, b string) int {
		return cmp.Compare(levenshtein.ComputeDistance(word, a), levenshtein.ComputeDistance(word, b))
	})
}

// complete fills in what lab mode adds and checks what would only fail later.
func (c *Config) complete() error {
	if c.Lab {
		c.SMS = cmp.Or(c.SMS, "log:")
		c.IMS.Domain = cmp.Or(c.IMS.Domain, "ims.example.net")
		c.IMS.Secret = cmp.Or(c.IMS.Secret, "generate")
	}
	c.IMS.Secret = cmp.Or(c.IMS.Secret, "require")
	for key, addr := range map[string]string{"north.addr": c.North.Addr, "south.addr": c.South.Addr, "admin.addr": c.Admin.Addr} {
		if addr != "" && c.Lab && !c.LabRemote && !isLoopback(addr) {
			return fmt.Errorf("%s: lab mode listens on loopback addresses only, unless labAllowRemote is true; %s is not one", key, addr)
		}
	}
	switch {
	case !slices.Contains([]string{"require", "generate"}, c.IMS.Secret):
		return fmt.Errorf("ims.secret: require and generate are allowed, not %q", c.IMS.Secret)
	case c.IMS.Domain == "":
		return fmt.Errorf("ims.domain: the home domain of the IMS is needed, for example ims.example.net")
	case !c.Lab && c.SecretKeys == "":
		return fmt.Errorf("secretKeys: a file with lines `kid: base64 of 32 bytes` is needed")
	case !c.Lab && (c.South.TLS.Cert == "" || c.South.TLS.Key == ""):
		return fmt.Errorf("south.tls.cert and south.tls.key are needed: only lab mode speaks plain HTTP to soft clients")
	case !c.Lab && c.Bootstrap.APIClient != "":
		return fmt.Errorf("bootstrap.apiClient: only lab mode has one; make API clients with saveApiClient")
	case c.SMS != "" && c.SMS != "log:" && (!strings.HasPrefix(c.SMS, "file:") || c.SMS == "file:"):
		return fmt.Errorf("sms: log: and file:PATH are allowed, not %q", c.SMS)
	case !c.Lab && (strings.HasPrefix(c.SMS, "log:") || strings.HasPrefix(c.SMS, "file:")):
		return fmt.Errorf("sms: log: and file: show one-time passwords and are for lab mode only")
	}
	return nil
}

// printable is the configuration as a tree of keys with secrets redacted, for --print-config.
func printable(v reflect.Value) any {
	if text, ok := v.Interface().(encoding.TextMarshaler); ok {
		if v.IsZero() {
			return ""
		}
		b, _ := text.MarshalText() // models.Secret never fails
		return string(b)
	}
	switch v.Kind() {
	case reflect.Struct:
		tree := map[string]any{}
		for field, value := range v.Fields() {
			tree[field.Tag.Get("koanf")] = printable(value)
		}
		return tree
	case reflect.Map:
		tree := map[string]any{}
		for key, value := range v.Seq2() {
			tree[key.String()] = printable(value)
		}
		return tree
	}
	return v.Interface()
}

// printConfig writes the effective configuration as YAML.
func printConfig(c Config) error {
	tree, _ := printable(reflect.ValueOf(c)).(map[string]any)
	text, err := yaml.Parser().Marshal(tree)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

func keyOfFlag(name string) string { return strings.ReplaceAll(name, ".", delimiter) }
