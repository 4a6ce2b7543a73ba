// Package cwmptest holds messages against the schemas of the Broadband Forum, as xmllint reads them. It is for tests only. It knows nothing of
// what a message means, and does not look into what SOAP leaves open: an element of a namespace that declares no such element passes.
package cwmptest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

var namespace = regexp.MustCompile(`"urn:dslforum-org:(cwmp-1-[0-4])"`)

// Validate checks whole envelopes, each by the namespace that it declares, against the schemas cwmp-1-x.xsd in the folder schemas. It writes
// them to the folder scratch. The error holds what xmllint says, and names Debian's package if there is no xmllint.
func Validate(schemas, scratch string, envelopes [][]byte) error {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		return errors.New("xmllint is not installed: install Debian's package libxml2-utils")
	}
	schemas, err = filepath.Abs(schemas)
	if err != nil {
		return fmt.Errorf("find schemas: %w", err)
	}
	files := map[string][]string{} // by schema
	for i, envelope := range envelopes {
		found := namespace.FindSubmatch(envelope)
		if found == nil {
			return fmt.Errorf("no CWMP namespace in %s", envelope)
		}
		name := fmt.Sprintf("%d.xml", i)
		if err := os.WriteFile(filepath.Join(scratch, name), envelope, 0o600); err != nil {
			return fmt.Errorf("write envelope: %w", err)
		}
		files[string(found[1])] = append(files[string(found[1])], name)
	}
	for version, names := range files {
		run := exec.Command(xmllint, append([]string{"--nonet", "--noout", "--schema", filepath.Join(schemas, version+".xsd")}, names...)...)
		run.Dir = scratch
		if said, err := run.CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("xmllint, %s: %w", version, err), refused(scratch, names, said))
		}
	}
	return nil
}

// refused tells what xmllint said of envelopes that it does not take, with their text.
func refused(scratch string, names []string, said []byte) error {
	var all error
	for _, name := range names {
		if bytes.Contains(said, []byte("\n"+name+" validates\n")) || bytes.HasPrefix(said, []byte(name+" validates\n")) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(scratch, name))
		if err != nil {
			return fmt.Errorf("read envelope: %w", err)
		}
		var lines []byte
		for line := range bytes.Lines(said) {
			if bytes.HasPrefix(line, []byte(name)) {
				lines = append(lines, line...)
			}
		}
		all = errors.Join(all, fmt.Errorf("%s%s", lines, text))
	}
	return all
}
