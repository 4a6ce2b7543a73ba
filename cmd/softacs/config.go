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
)

// delimiter stands between the parts of a key in here; people write a dot, which logical names contain too.
const delimiter = "/"

func dotted(key string) string { return strings.ReplaceAll(key, delimiter, ".") }

// environment names the variables whose names do not follow from their keys: every other key a.bC is SOFTACS_A_B_C.
var environment = map[string]string{
	"SOFTACS_ADMIN_PASSWORD":   "bootstrap/adminPassword",
	"SOFTACS_API_CLIENT":       "bootstrap/apiClient",
	"SOFTACS_SECRET_KEYS_FILE": "secretKeys",

	"SOFTACS_SOUTH_TLS_CLIENT_CA": "south/tls/clientCA",
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
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToWeakSliceHookFunc(","), mapstructure.TextUnmarshallerHookFunc()),
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
	if _, err := minVersion(*c); err != nil {
		return err
	}
	for key, addr := range map[string]string{
		"north.addr": c.North.Addr, "south.addr": c.South.Addr, "portal.addr": c.Portal.Addr, "aaa.addr": c.AAA.Addr, "admin.addr": c.Admin.Addr,
	} {
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
	}
	if err := c.completePackages(); err != nil {
		return err
	}
	if err := c.checkAAA(); err != nil {
		return err
	}
	if err := c.checkPresence(); err != nil {
		return err
	}
	if err := c.checkStatistics(); err != nil {
		return err
	}
	if err := c.checkWebhooks(); err != nil {
		return err
	}
	if err := c.checkDiagnostics(); err != nil {
		return err
	}
	if err := c.checkDrift(); err != nil {
		return err
	}
	return c.checkSMS()
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
