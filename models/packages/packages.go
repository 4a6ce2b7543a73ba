// Package packages keeps the files that clients download: how they come in and are checked, who may have them, and the links to them.
//
// It owns the table packages and the folder of files. A file is written under a temporary name, flushed and renamed, and offered only when its
// SHA-256 is the announced one: what is half written is never seen. It refuses to know when a device is asked to download and what became of
// it, which is models/tasks', and HTTP, which is the doors'.
package packages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Config is what the room is built with.
type Config struct {
	// Dir holds the files; every replica sees the same one. Without one no package is taken.
	Dir string
	// MaxBytes is the largest package that is taken.
	MaxBytes int64
	// Origin is where devices reach the files, such as https://acs.example.net:7547, without a slash at the end.
	Origin func() string
	// LinkTTL is how long a link is good after the delay that was told with it (i4.upgrade.urlTtl).
	LinkTTL time.Duration
	// VendorKeys verify the signatures of packages; none: no signature is asked for (upgrade.vendorKeys).
	VendorKeys []VendorKey
	// NotifyOnly are the client types whose upgrades come from an app store; InfoURL is where the user finds them.
	NotifyOnly []models.ClientType
	InfoURL    map[models.ClientType]string
}

// Room is all packages.
type Room struct {
	store     *store.Store
	clock     models.Clock
	config    Config
	links     [][32]byte // keys of links, the first signs
	uploads   [][32]byte // keys of upload tokens, the first signs
	uploading chan struct{}
}

const (
	startPackageUpload    = "startPackageUpload"
	completePackageUpload = "completePackageUpload"
	retirePackage         = "retirePackage"

	maxName    = 100 // packages.name
	maxVersion = 64
	maxModels  = 64
	maxNotes   = 16 << 10
	uploadTime = 24 * time.Hour
	// maxUploads is how many files come in at a time.
	maxUploads = 8
	partSuffix = ".part"
)

// New builds the room on s and makes its folder.
func New(s *store.Store, clock models.Clock, c Config) (*Room, error) {
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o750); err != nil {
			return nil, fmt.Errorf("packages.dir: %w", err)
		}
	}
	return &Room{
		store: s, clock: clock, config: c, links: s.DeriveAll("download"), uploads: s.DeriveAll("upload"), uploading: make(chan struct{}, maxUploads),
	}, nil
}

// StartInput is the input of startPackageUpload.
type StartInput struct {
	IdempotencyKey  string
	Name            string
	SoftwareVersion string
	ClientType      models.ClientType
	Models          []string
	FileType        string
	Size            int64
	Sha256          string
	Signature       string
	MinFromVersion  string
	ReleaseNotes    string
}

// done is what the record of a mutation keeps.
type done struct{ Package models.ID }

// Start announces a file and returns its package, with which Upload tells how it may be brought. It needs PACKAGE_WRITE.
func (r *Room) Start(ctx context.Context, in StartInput) (p *models.Package, replayed bool, err error) {
	if err := models.Need(ctx, models.PackageWrite); err != nil {
		return nil, false, err
	}
	if r.config.Dir == "" {
		return nil, false, models.E(models.PolicyDenied, "this platform has no folder for packages (packages.dir)")
	}
	in.Sha256 = strings.ToLower(in.Sha256)
	if err := r.check(in); err != nil {
		return nil, false, err
	}
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		normalised := in
		normalised.IdempotencyKey = ""
		did, again, err := events.Repeat(tx, startPackageUpload, in.IdempotencyKey, normalised, func() (done, error) { return announce(tx, in) })
		if err != nil {
			return err
		}
		replayed = again
		p, err = take(tx.DB, did.Package)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("start the upload of a package: %w", err)
	}
	return p, replayed, nil
}

// announce inserts the package that waits for its file.
func announce(tx *store.Tx, in StartInput) (done, error) {
	actor := models.ActorFrom(tx.Context())
	p := &models.Package{
		ID: models.NewID(), Version: 1, CreatedAt: tx.Now, UpdatedAt: tx.Now, Name: in.Name, SoftwareVersion: in.SoftwareVersion, ClientType: in.ClientType,
		Models: models.DocOf(append([]string{}, in.Models...)), FileType: in.FileType, Size: in.Size, Sha256: in.Sha256, Signature: in.Signature,
		MinFromVersion: in.MinFromVersion, ReleaseNotes: in.ReleaseNotes, State: models.PackageUploading, UploadUntil: tx.Now.Add(uploadTime),
		UploadedByKind: actor.Kind, UploadedByID: actor.ID, UploadedByName: actor.Name,
	}
	if err := gorm.G[models.Package](tx.DB).Create(tx.Context(), p); err != nil {
		return done{}, fmt.Errorf("insert a package: %w", err)
	}
	return done{Package: p.ID}, audit(tx, startPackageUpload, p, map[string]any{
		"name": []any{nil, p.Name}, "softwareVersion": []any{nil, p.SoftwareVersion}, "clientType": []any{nil, p.ClientType}, "sha256": []any{nil, p.Sha256},
	})
}

func audit(tx *store.Tx, action string, p *models.Package, changes map[string]any) error {
	return events.Audit(tx, models.AuditEntry{Action: action, Subject: models.Subject{Kind: models.KindPackage, ID: p.ID}, Changes: models.DocOf(changes)})
}

var (
	sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// fileTypes are those of TR-069 that a soft client can be asked to download; vendors' own are invalid in cwmp-1-0 and 1-1 (i4.md B.7).
	fileTypes = []string{models.FirmwareImage, "2 Web Content", "3 Vendor Configuration File"}
)

func (r *Room) check(in StartInput) error {
	for _, text := range []struct {
		field, value string
		most         int
		needed       bool
	}{
		{"name", in.Name, maxName, true}, {"softwareVersion", in.SoftwareVersion, maxVersion, true}, {"minFromVersion", in.MinFromVersion, maxVersion, false},
		{"releaseNotes", in.ReleaseNotes, maxNotes, false},
	} {
		switch {
		case text.needed && strings.TrimSpace(text.value) == "":
			return models.E(models.Required, "a text is needed", "input", text.field)
		case utf8.RuneCountInString(text.value) > text.most:
			return models.E(models.TooLong, fmt.Sprintf("at most %d characters are allowed", text.most), "input", text.field)
		}
	}
	if !fileName(in.Name) {
		return models.E(models.Invalid, "this is not the name of a file without its path", "input", "name")
	}
	for field, version := range map[string]string{"softwareVersion": in.SoftwareVersion, "minFromVersion": in.MinFromVersion} {
		if strings.TrimSpace(version) != version || !printable(version) {
			return models.E(models.Invalid, "a version is a text without control characters and without white space around it", "input", field)
		}
	}
	if len(in.Models) > maxModels {
		return models.E(models.TooLong, fmt.Sprintf("at most %d models are allowed", maxModels), "input", "models")
	}
	for i, model := range in.Models {
		if model == "" || utf8.RuneCountInString(model) > 64 {
			return models.E(models.Invalid, "a model has 1 to 64 characters", "input", "models", fmt.Sprint(i))
		}
	}
	switch longest := r.link(&models.Package{Name: in.Name}, "", r.clock.Now()); {
	case !slices.Contains(fileTypes, in.FileType):
		return models.E(models.Invalid, "allowed are "+strings.Join(fileTypes, ", "), "input", "fileType")
	case len(longest) > models.MaxDownloadURL:
		return models.E(models.TooLong, fmt.Sprintf("with this name its URL would have more than %d characters", models.MaxDownloadURL), "input", "name")
	case in.Size <= 0:
		return models.E(models.Invalid, "the size of the file in bytes is needed", "input", "size")
	case in.Size > r.config.MaxBytes:
		return models.E(models.LimitByPolicy, fmt.Sprintf("at most %d bytes are allowed", r.config.MaxBytes), "input", "size")
	case !sha256Text.MatchString(in.Sha256):
		return models.E(models.Invalid, "a SHA-256 is 64 hex digits", "input", "sha256")
	}
	return r.checkSignature(in.Signature)
}

// fileName tells whether a client can take name for a file of its own: no path, nothing that a file system takes for something else.
func fileName(name string) bool {
	return printable(name) && !strings.ContainsAny(name, `/\:*?"<>|`) && strings.Trim(name, ". ") != "" && name[0] != '.' && strings.TrimSpace(name) == name
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
}

// take reads a package; NOT_FOUND if there is none.
func take(q *gorm.DB, id models.ID) (*models.Package, error) {
	var p models.Package
	err := q.Where("id = ?", id).Take(&p).Error
	if store.IsMissing(err) {
		return nil, models.E(models.NotFound, "there is no such package")
	}
	if err != nil {
		return nil, fmt.Errorf("read package %s: %w", id, err)
	}
	return &p, nil
}

// Load reads a package within a transaction; NOT_FOUND if there is none.
func Load(tx *store.Tx, id models.ID) (*models.Package, error) { return take(tx.DB, id) }

// path is where the file of a package is, once it is whole.
func (r *Room) path(id models.ID) string { return filepath.Join(r.config.Dir, id.String()) }
