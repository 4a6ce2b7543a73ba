package cwmp_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/cwmp/cwmptest"
)

const schemas = "testdata/xsd"

// TestSchemas holds what the codec writes against the whole schemas, with the facets of text that schema_test.go does not look at: each golden
// file, and one message of each type in each version that declares it.
func TestSchemas(t *testing.T) {
	t.Parallel()
	var envelopes [][]byte
	for _, x := range examples {
		envelopes = append(envelopes, example(t, filepath.Join("golden", x.file)))
	}
	for _, version := range []cwmp.Version{cwmp.V1_0, cwmp.V1_1, cwmp.V1_2} {
		for _, m := range everything() {
			if since12(m) && version != cwmp.V1_2 {
				continue
			}
			envelopes = append(envelopes, encode(t, &cwmp.Envelope{Version: version, ID: "<5003>", Body: m}))
		}
	}
	if err := cwmptest.Validate(schemas, t.TempDir(), envelopes); err != nil {
		t.Error(err)
	}
}

// A message that breaks its schema is found among others that do not.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	good := example(t, "golden/16-challenge-set-parameter-values")
	for name, x := range map[string]struct{ old, fresh string }{
		"an element too many":  {"<ParameterKey>", "<Extra/><ParameterKey>"},
		"a name too long":      {"<Name>", "<Name>" + strings.Repeat("a", 256)},
		"a key too long":       {"<ParameterKey>", "<ParameterKey>" + strings.Repeat("k", 33)},
		"a value of its type":  {`xsi:type="xsd:unsignedInt">`, `xsi:type="xsd:unsignedInt">x`},
		"no message":           {"</soap-env:Envelope>", ""},
		"no CWMP namespace":    {"urn:dslforum-org:", "urn:another:"},
		"not the SOAP we know": {"http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"},
	} {
		bad := bytes.Replace(good, []byte(x.old), []byte(x.fresh), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("%s: nothing was changed", name)
		}
		err := cwmptest.Validate(schemas, t.TempDir(), [][]byte{good, bad, good})
		if err == nil || !strings.Contains(err.Error(), string(bad)) || strings.Contains(err.Error(), string(good)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemasWithoutXmllint(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := cwmptest.Validate(schemas, t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "libxml2-utils") {
		t.Errorf("without xmllint: %v", err)
	}
}
