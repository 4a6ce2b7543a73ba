package packages_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

const origin = "https://acs.example.net:7547"

// shelf is the room with its folder.
type shelf struct {
	*testing.T
	*packages.Room
	clock *storetest.Clock
	dir   string
}

func each(t *testing.T, keys []packages.VendorKey, f func(s *shelf)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, opened *store.Store, clock *storetest.Clock) {
		s := &shelf{T: t, clock: clock, dir: filepath.Join(t.TempDir(), "packages")}
		var err error
		s.Room, err = packages.New(opened, clock, packages.Config{
			Dir: s.dir, MaxBytes: 1 << 20, Origin: func() string { return origin }, LinkTTL: 24 * time.Hour, VendorKeys: keys,
			NotifyOnly: []models.ClientType{models.Mobile}, InfoURL: map[models.ClientType]string{models.Mobile: "https://store.example.net/ims"},
		})
		if err != nil {
			t.Fatal(err)
		}
		f(s)
	})
}

const content = "the content of a package"

func input(key string) packages.StartInput {
	sum := sha256.Sum256([]byte(content))
	return packages.StartInput{
		IdempotencyKey: key, Name: "imspc-2.1.0.exe", SoftwareVersion: "2.1.0", ClientType: models.PC, FileType: models.FirmwareImage, Size: int64(len(content)),
		Sha256: strings.ToUpper(hex.EncodeToString(sum[:])),
	}
}

func (s *shelf) start(in packages.StartInput) *models.Package {
	s.Helper()
	p, _, err := s.Start(storetest.As(s.T), in)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *shelf) put(p *models.Package, body io.Reader) error {
	return s.Put(s.Context(), p.ID, s.UploadToken(p.ID), -1, body)
}

func (s *shelf) complete(p *models.Package) *models.Package {
	s.Helper()
	done, _, err := s.Complete(storetest.As(s.T), packages.ActionInput{ID: p.ID})
	if err != nil {
		s.Fatal(err)
	}
	return done
}

// ready takes a package to READY.
func (s *shelf) ready(in packages.StartInput) *models.Package {
	s.Helper()
	p := s.start(in)
	if err := s.put(p, strings.NewReader(content)); err != nil {
		s.Fatal(err)
	}
	if p = s.complete(p); p.State != models.PackageReady {
		s.Fatalf("%+v", p)
	}
	return p
}

// files are what lies in the folder.
func (s *shelf) files() (names []string) {
	s.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestUpload(t *testing.T) {
	each(t, nil, func(s *shelf) {
		p := s.start(input("a"))
		again, replayed, err := s.Start(storetest.As(s.T), input("a"))
		if err != nil || !replayed || again.ID != p.ID || p.State != models.PackageUploading {
			s.Fatalf("%+v %v %v", again, replayed, err)
		}
		if err := s.Put(s.Context(), p.ID, s.UploadToken(models.NewID()), -1, strings.NewReader(content)); !errors.Is(err, packages.ErrNoUpload) {
			s.Errorf("the token of another upload: %v", err)
		}
		if err := s.Put(s.Context(), p.ID, s.UploadToken(p.ID), p.Size+1, nil); !errors.Is(err, packages.ErrTooLarge) {
			s.Errorf("announced as too large: %v", err)
		}
		torn := errors.New("torn")
		for name, x := range map[string]struct {
			body io.Reader
			want error
		}{
			"too large":  {strings.NewReader(content + "!"), packages.ErrTooLarge},
			"too short":  {strings.NewReader(content[1:]), packages.ErrDiffers},
			"other":      {strings.NewReader(strings.ToUpper(content)), packages.ErrDiffers},
			"broken off": {io.MultiReader(strings.NewReader(content[:5]), iotest.ErrReader(torn)), torn},
			"nothing":    {strings.NewReader(""), packages.ErrDiffers},
		} {
			if err := s.put(p, x.body); !errors.Is(err, x.want) {
				s.Errorf("%s: %v", name, err)
			}
			if left := s.files(); len(left) > 0 {
				s.Errorf("%s leaves %v", name, left)
			}
		}
		if err := s.put(p, iotest.OneByteReader(strings.NewReader(content))); err != nil {
			s.Fatal(err)
		}
		if err := s.put(p, strings.NewReader(content)); !errors.Is(err, packages.ErrStored) {
			s.Errorf("a second body: %v", err)
		}
		for range 2 {
			if got := s.complete(p); got.State != models.PackageReady || got.Version != 2 || got.SignatureValid != nil {
				s.Errorf("%+v", got)
			}
		}
		if err := s.put(p, strings.NewReader(content)); !errors.Is(err, packages.ErrStored) {
			s.Errorf("a body for a complete one: %v", err)
		}
		if got := s.files(); !slices.Equal(got, []string{p.ID.String()}) {
			s.Errorf("the folder holds %v", got)
		}
	})
}

func TestUploadThatNeverCame(t *testing.T) {
	each(t, nil, func(s *shelf) {
		p := s.start(input("a"))
		if err := s.put(p, strings.NewReader("other")); !errors.Is(err, packages.ErrDiffers) {
			s.Fatal(err)
		}
		if got := s.complete(p); got.State != models.PackageRejected {
			s.Errorf("%+v", got)
		}
		p = s.start(input("b"))
		s.clock.Advance(25 * time.Hour)
		if err := s.put(p, strings.NewReader(content)); !errors.Is(err, packages.ErrOver) {
			s.Errorf("too late: %v", err)
		}
		part := filepath.Join(s.dir, p.ID.String()+"-1.part")
		if err := os.WriteFile(part, []byte(content[:4]), 0o600); err != nil {
			s.Fatal(err)
		}
		old := time.Now().Add(-25 * time.Hour)
		for _, want := range []int{1, 0} { // a young one may still come in
			if err := s.Clean(s.Context()); err != nil || len(s.files()) != want {
				s.Errorf("%v, %v", s.files(), err)
			}
			_ = os.Chtimes(part, old, old)
		}
	})
}

func TestStartIsChecked(t *testing.T) {
	each(t, nil, func(s *shelf) {
		for name, x := range map[string]struct {
			change func(*packages.StartInput)
			code   models.Code
			field  string
		}{
			"no name":       {func(in *packages.StartInput) { in.Name = " " }, models.Required, "name"},
			"a path":        {func(in *packages.StartInput) { in.Name = "../../etc/passwd" }, models.Invalid, "name"},
			"a drive":       {func(in *packages.StartInput) { in.Name = `c:\a.exe` }, models.Invalid, "name"},
			"dots":          {func(in *packages.StartInput) { in.Name = ".." }, models.Invalid, "name"},
			"hidden":        {func(in *packages.StartInput) { in.Name = ".profile" }, models.Invalid, "name"},
			"a line":        {func(in *packages.StartInput) { in.Name = "a\nb" }, models.Invalid, "name"},
			"a long name":   {func(in *packages.StartInput) { in.Name = strings.Repeat("n", 101) }, models.TooLong, "name"},
			"a long URL":    {func(in *packages.StartInput) { in.Name = strings.Repeat("名", 40) }, models.TooLong, "name"},
			"no version":    {func(in *packages.StartInput) { in.SoftwareVersion = "" }, models.Required, "softwareVersion"},
			"odd version":   {func(in *packages.StartInput) { in.SoftwareVersion = "2.1 " }, models.Invalid, "softwareVersion"},
			"no model":      {func(in *packages.StartInput) { in.Models = []string{""} }, models.Invalid, "models"},
			"file type":     {func(in *packages.StartInput) { in.FileType = "X CT-COM Skin" }, models.Invalid, "fileType"},
			"no size":       {func(in *packages.StartInput) { in.Size = 0 }, models.Invalid, "size"},
			"size":          {func(in *packages.StartInput) { in.Size = 1<<20 + 1 }, models.LimitByPolicy, "size"},
			"sum":           {func(in *packages.StartInput) { in.Sha256 = "abc" }, models.Invalid, "sha256"},
			"signature":     {func(in *packages.StartInput) { in.Signature = "AAAA" }, models.Invalid, "signature"},
			"no key":        {func(in *packages.StartInput) { in.IdempotencyKey = "" }, models.Required, "idempotencyKey"},
			"another input": {func(in *packages.StartInput) { in.IdempotencyKey, in.Name = "used", "other" }, models.IdempotencyKeyReused, "idempotencyKey"},
		} {
			used := input("used")
			s.start(used)
			in := input(name)
			x.change(&in)
			_, _, err := s.Start(storetest.As(s.T), in)
			var e *models.Error
			if !errors.As(err, &e) || e.Code != x.code || e.Field[1] != x.field {
				s.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := s.Start(storetest.As(s.T, models.UpgradeRead), input("x")); models.CodeOf(err) != models.Forbidden {
			s.Errorf("without permission: %v", err)
		}
	})
}

func vendorKey(t *testing.T, seed byte, file string) (ed25519.PrivateKey, packages.VendorKey) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := packages.ReadVendorKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return private, key
}

func TestSignatures(t *testing.T) {
	_, older := vendorKey(t, 1, "vendor-2011.pem")
	private, newer := vendorKey(t, 2, "vendor-2012.pem")
	each(t, []packages.VendorKey{older, newer}, func(s *shelf) {
		if _, _, err := s.Start(storetest.As(s.T), input("none")); models.CodeOf(err) != models.Required {
			s.Errorf("without a signature: %v", err)
		}
		for name, x := range map[string]struct {
			signature []byte
			state     models.PackageState
		}{
			"right": {ed25519.Sign(private, []byte(content)), models.PackageReady}, "wrong": {ed25519.Sign(private, []byte("other")), models.PackageRejected},
			"nobody's": {make([]byte, 64), models.PackageRejected},
		} {
			in := input(name)
			in.Signature = base64.StdEncoding.EncodeToString(x.signature)
			p := s.start(in)
			if err := s.put(p, strings.NewReader(content)); err != nil {
				s.Fatal(err)
			}
			good := x.state == models.PackageReady
			p = s.complete(p)
			if p.State != x.state || p.SignatureValid == nil || *p.SignatureValid != good || (p.KeyID == "vendor-2012") != good {
				s.Errorf("%s: %+v", name, p)
			}
			if _, err := os.Stat(filepath.Join(s.dir, p.ID.String())); (err == nil) != good {
				s.Errorf("%s: the file: %v", name, err)
			}
			if !good {
				continue
			}
			steps := s.Requests(p, packages.Offer{ClientType: models.PC, Mode: models.UpgradeSilent}, s.clock.Now())
			var told []string
			for _, v := range steps[0].Values {
				told = append(told, v.Name)
			}
			if !slices.Contains(told, "softClient.upgrade.signature") || !slices.Contains(told, "softClient.upgrade.keyId") {
				s.Errorf("the device is told %v", told)
			}
		}
	})
}

func TestVendorKeysAreChecked(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "no key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		path := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := packages.ReadVendorKey(path); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if _, err := packages.ReadVendorKey("nowhere"); err == nil {
		t.Error("a missing file passes")
	}
}

func TestActions(t *testing.T) {
	each(t, nil, func(s *shelf) {
		ctx, p := storetest.As(s.T), s.ready(input("a"))
		stale := p.Version - 1
		_, _, err := s.Retire(ctx, packages.ActionInput{ID: p.ID, ExpectedVersion: &stale})
		if models.CodeOf(err) != models.VersionConflict {
			s.Errorf("a stale version: %v", err)
		}
		if _, _, err := s.Retire(ctx, packages.ActionInput{ID: models.NewID()}); models.CodeOf(err) != models.NotFound {
			s.Errorf("no package: %v", err)
		}
		if _, _, err := s.Retire(storetest.As(s.T, models.UpgradeRead), packages.ActionInput{ID: p.ID}); models.CodeOf(err) != models.Forbidden {
			s.Errorf("without permission: %v", err)
		}
		for i := range 2 {
			got, replayed, err := s.Retire(ctx, packages.ActionInput{ID: p.ID, IdempotencyKey: "k", Note: "withdrawn"})
			if err != nil || got.State != models.PackageRetired || replayed != (i == 1) {
				s.Errorf("%+v %v %v", got, replayed, err)
			}
		}
		if len(s.files()) > 0 {
			s.Errorf("left are %v", s.files())
		}
		_, _, err = s.Complete(ctx, packages.ActionInput{ID: p.ID})
		var e *models.Error
		if !errors.As(err, &e) || e.Code != models.StateConflict || e.CurrentState != "RETIRED" {
			s.Errorf("completing a retired one: %v", err)
		}
		page, err := s.List(ctx, packages.Filter{ClientType: models.PC, States: []models.PackageState{models.PackageRetired}}, store.Page{First: 5})
		if err != nil || len(page.Items) != 1 {
			s.Errorf("%+v %v", page, err)
		}
		if _, err := s.List(storetest.As(s.T, models.DeviceRead), packages.Filter{}, store.Page{First: 5}); models.CodeOf(err) != models.Forbidden {
			s.Errorf("without permission: %v", err)
		}
	})
}

func TestLinks(t *testing.T) {
	each(t, nil, func(s *shelf) {
		p := s.ready(input("a"))
		steps := s.Requests(p, packages.Offer{Device: "00005E-IMSPC-1", ClientType: models.PC, CommandKey: "k", Mode: models.UpgradeSilent, DelaySeconds: 60}, s.clock.Now())
		u, err := url.Parse(steps[1].Download.URL)
		if err != nil || !strings.HasPrefix(steps[1].Download.URL, origin+"/p/") || len(steps[1].Download.URL) > models.MaxDownloadURL {
			s.Fatalf("%+v %v", steps[1].Download, err)
		}
		id := p.ID.String()
		file, err := s.Open(s.Context(), id, p.Name, u.Query())
		if err != nil {
			s.Fatal(err)
		}
		got, err := io.ReadAll(file)
		if string(got) != content || err != nil || file.Device != models.DeviceHash("00005E-IMSPC-1") {
			s.Errorf("%q %v", got, err)
		}
		_ = file.Close()
		for _, name := range []string{"other", "../" + id, ".."} {
			if _, err := s.Open(s.Context(), id, name, u.Query()); !errors.Is(err, packages.ErrForged) {
				s.Errorf("%s: %v", name, err)
			}
		}
		s.clock.Advance(24*time.Hour + time.Minute)
		if _, err := s.Open(s.Context(), id, p.Name, u.Query()); !errors.Is(err, packages.ErrGone) {
			s.Errorf("over: %v", err)
		}
		unready := s.start(input("b"))
		link := func(p *models.Package) url.Values {
			u, _ := url.Parse(s.Requests(p, packages.Offer{ClientType: models.Generic}, s.clock.Now())[0].Download.URL)
			return u.Query()
		}
		if _, err := s.Open(s.Context(), unready.ID.String(), unready.Name, link(unready)); !errors.Is(err, packages.ErrMissing) {
			s.Errorf("half there: %v", err)
		}
		if _, _, err := s.Retire(storetest.As(s.T), packages.ActionInput{ID: p.ID}); err != nil {
			s.Fatal(err)
		}
		if _, err := s.Open(s.Context(), id, p.Name, link(p)); !errors.Is(err, packages.ErrGone) {
			s.Errorf("retired: %v", err)
		}
	})
}

func TestNewest(t *testing.T) {
	each(t, nil, func(s *shelf) {
		for key, change := range map[string]func(*packages.StartInput){
			"older": func(in *packages.StartInput) { in.SoftwareVersion = "2.9" }, "newest": func(in *packages.StartInput) { in.SoftwareVersion = "2.10" },
			"other model": func(in *packages.StartInput) { in.SoftwareVersion, in.Models = "3.0", []string{"X"} },
			"other type":  func(in *packages.StartInput) { in.SoftwareVersion, in.ClientType = "3.1", models.Mobile },
			"not over it": func(in *packages.StartInput) { in.SoftwareVersion, in.MinFromVersion = "3.2", "2.5" },
			"settings":    func(in *packages.StartInput) { in.SoftwareVersion, in.FileType = "3.3", "3 Vendor Configuration File" },
			"no number":   func(in *packages.StartInput) { in.SoftwareVersion = "beta" },
		} {
			in := input(key)
			change(&in)
			s.ready(in)
		}
		in := input("unready")
		in.SoftwareVersion = "4.0"
		s.start(in)
		d := &models.Device{ClientType: models.PC, ProductClass: "IMSPC", SoftwareVersion: "2.0.3"}
		if p, err := s.Newest(s.Context(), d); err != nil || p == nil || p.SoftwareVersion != "2.10" {
			s.Errorf("%+v %v", p, err)
		}
		d.SoftwareVersion = "2.10.0"
		if p, err := s.Newest(s.Context(), d); err != nil || p == nil || p.SoftwareVersion != "3.2" { // it can be installed over this one
			s.Errorf("%+v %v", p, err)
		}
		d.SoftwareVersion = "5"
		if p, err := s.Newest(s.Context(), d); err != nil || p != nil {
			s.Errorf("%+v %v", p, err)
		}
	})
}

func TestNotifyOnly(t *testing.T) {
	each(t, nil, func(s *shelf) {
		in := input("a")
		in.ClientType = models.Mobile
		steps := s.Requests(s.ready(in), packages.Offer{ClientType: models.Mobile, Mode: models.UpgradeSilent}, s.clock.Now())
		if len(steps) != 1 || len(steps[0].Values) != 3 || steps[0].Values[1].Value != "NotifyOnly" || steps[0].Values[2].Value != "https://store.example.net/ims" {
			s.Errorf("%+v", steps)
		}
	})
}

func TestWithout(t *testing.T) {
	t.Parallel()
	steps := func() []models.Request {
		return []models.Request{{Values: []models.Value{{Name: packages.NameTargetVersion}, {Name: "b"}}}, {Method: models.DownloadFile}}
	}
	fault := func(code int, names ...string) *models.Fault {
		f := &models.Fault{Code: 9003}
		for _, n := range names {
			f.Parameters = append(f.Parameters, models.ParameterFault{Name: n, Code: code})
		}
		return f
	}
	for name, x := range map[string]struct {
		fault  *models.Fault
		left   int
		values int
		ok     bool
	}{
		"one unknown":     {fault(9005, "b"), 2, 1, true},
		"all unknown":     {fault(9008, "b", packages.NameTargetVersion), 1, 0, true},
		"a value":         {fault(9007, "b"), 0, 0, false},
		"something else":  {fault(9005, "c"), 0, 0, false},
		"without a list":  {&models.Fault{Code: 9005}, 1, 0, true},
		"another refusal": {&models.Fault{Code: 9001}, 0, 0, false},
	} {
		left, ok := packages.Without(steps(), x.fault)
		if ok != x.ok || len(left) != x.left || x.left > 0 && len(left[0].Values) != x.values {
			t.Errorf("%s: %+v %v", name, left, ok)
		}
	}
	if _, ok := packages.Without(steps()[:1], fault(9005, packages.NameTargetVersion)); ok {
		t.Error("a client that shall only be told was told nothing")
	}
}
