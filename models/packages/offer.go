package packages

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Logical names of what a client is told beside a Download (i4.md B.7, resolutions 55).
const (
	NameTargetVersion = "softClient.upgrade.targetVersion"
	nameMode          = "softClient.upgrade.mode"
	nameSha256        = "softClient.upgrade.sha256"
	nameSize          = "softClient.upgrade.size"
	nameInfoURL       = "softClient.upgrade.infoURL"
	nameSignature     = "softClient.upgrade.signature"
	nameKeyID         = "softClient.upgrade.keyId"
)

// Fits says why a package is not for a device; the empty string if it is. allowDowngrade lets an older version pass.
func Fits(p *models.Package, d *models.Device, allowDowngrade bool) string {
	older := func(a, b string) bool {
		order, ok := models.CompareVersions(a, b)
		return a != "" && b != "" && ok && order < 0
	}
	switch {
	case p.ClientType != d.ClientType:
		return "the package is for another client type"
	case !suits(p, d.Model, d.ProductClass):
		return "the package is for other models"
	case older(d.SoftwareVersion, p.MinFromVersion):
		return "the device has an older version than the package can be installed over"
	case !allowDowngrade && p.FileType == models.FirmwareImage && older(p.SoftwareVersion, d.SoftwareVersion):
		return "the device has a newer version than the package"
	}
	return ""
}

func suits(p *models.Package, model, productClass string) bool {
	return len(p.Models.V) == 0 || slices.Contains(p.Models.V, model) || slices.Contains(p.Models.V, productClass)
}

// Newest returns the newest READY firmware for what d is and runs, nil if there is none that is newer and fits. d may be no row yet.
func (r *Room) Newest(ctx context.Context, d *models.Device) (newest *models.Package, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) error {
		ready, err := gorm.G[models.Package](tx.DB).
			Where("client_type = ? AND state = ? AND file_type = ?", d.ClientType, models.PackageReady, models.FirmwareImage).Order("id").Find(ctx)
		for i := range ready {
			p := &ready[i]
			order, ok := models.CompareVersions(p.SoftwareVersion, d.SoftwareVersion)
			if !ok || order <= 0 || Fits(p, d, false) != "" {
				continue
			}
			if newest != nil {
				if order, _ := models.CompareVersions(p.SoftwareVersion, newest.SoftwareVersion); order < 0 {
					continue
				}
			}
			newest = p
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for the newest package: %w", err)
	}
	return newest, nil
}

// Offer is how a device gets a package.
type Offer struct {
	Device       models.DeviceKey
	ClientType   models.ClientType
	CommandKey   string
	Mode         models.UpgradeMode
	DelaySeconds int
}

// NotifyOnly tells whether clients of that type are only told of a version, because an app store brings it (i4.md B.7).
func (r *Room) NotifyOnly(t models.ClientType, p *models.Package) bool {
	return p.FileType == models.FirmwareImage && slices.Contains(r.config.NotifyOnly, t)
}

// Requests are what to ask of the device, one after the other: what it has to know, which is no configuration, and the Download. Plain TR-069
// devices know nothing of the first (resolutions 6), clients of an app store get nothing but it.
func (r *Room) Requests(p *models.Package, o Offer, now models.Time) []models.Request {
	told := []models.Value{{Name: NameTargetVersion, Value: p.SoftwareVersion}}
	if r.NotifyOnly(o.ClientType, p) {
		told = append(told, models.Value{Name: nameMode, Value: string(models.UpgradeNotifyOnly)})
		if info := r.config.InfoURL[o.ClientType]; info != "" {
			told = append(told, models.Value{Name: nameInfoURL, Value: info})
		}
		return []models.Request{{Method: models.SetParameterValues, Values: told}}
	}
	download := models.Request{Method: models.DownloadFile, CommandKey: o.CommandKey, Download: &models.Download{
		FileType: p.FileType, URL: r.link(p, o.Device, now.Add(time.Duration(o.DelaySeconds)*time.Second+r.config.LinkTTL)), FileName: p.Name, Size: p.Size,
		DelaySeconds: o.DelaySeconds,
	}}
	if o.ClientType == models.Generic {
		return []models.Request{download}
	}
	told = append(told, models.Value{Name: nameMode, Value: string(o.Mode)}, models.Value{Name: nameSha256, Value: p.Sha256},
		models.Value{Name: nameSize, Value: fmt.Sprint(p.Size)})
	if p.Signature != "" {
		told = append(told, models.Value{Name: nameSignature, Value: p.Signature})
	}
	if p.KeyID != "" {
		told = append(told, models.Value{Name: nameKeyID, Value: p.KeyID})
	}
	return []models.Request{{Method: models.SetParameterValues, Values: told}, download}
}

// Without leaves out of the first step what the device does not have: everything beside the Download is optional (resolutions 38). Where
// nothing is left, the Download goes out alone. ok is false for any other fault, and for a client that shall only be told.
func Without(steps []models.Request, f *models.Fault) (retry []models.Request, ok bool) {
	const unknown, readOnly = 9005, 9008
	values := slices.Clone(steps[0].Values)
	for _, p := range f.Parameters {
		if p.Code != unknown && p.Code != readOnly {
			return nil, false
		}
		before := len(values)
		values = slices.DeleteFunc(values, func(v models.Value) bool { return v.Name == p.Name || v.Name == p.Path })
		if len(values) == before {
			return nil, false
		}
	}
	switch {
	case len(f.Parameters) == 0 && f.Code == unknown:
		values = nil
	case len(f.Parameters) == 0:
		return nil, false
	}
	if len(values) == 0 {
		return steps[1:], len(steps) > 1
	}
	told := slices.ContainsFunc(values, func(v models.Value) bool { return v.Name == NameTargetVersion })
	first := steps[0]
	first.Values = values
	return append([]models.Request{first}, steps[1:]...), told || len(steps) > 1
}

func (r *Room) link(p *models.Package, device models.DeviceKey, until models.Time) string {
	l := models.DownloadLink{FileID: p.ID.String(), Name: p.Name, Device: models.DeviceHash(device), ExpiresAt: until}
	return l.URL(r.config.Origin(), r.links[0])
}

// File is a package's file, open for whoever presented a link to it. Device is the hash of the device that the link is for.
type File struct {
	*os.File
	Package *models.Package
	Device  string
}

// Why a link leads nowhere.
var (
	ErrForged  = models.E(models.Forbidden, "the link is not one of ours")
	ErrGone    = models.E(models.StateConflict, "the link is over, or the package is retired")
	ErrMissing = models.E(models.NotFound, "there is no such file")
)

// Open returns the file that a link leads to: ErrForged for one that nobody signed, ErrGone for one whose time is over or whose package is
// retired, ErrMissing for one without file. Nothing of a link that is not signed reaches the file system.
func (r *Room) Open(ctx context.Context, fileID, name string, query url.Values) (*File, error) {
	link, ok := models.ParseDownloadLink(fileID, name, query, r.links)
	if !ok {
		return nil, ErrForged
	}
	if link.ExpiresAt <= r.clock.Now() {
		return nil, ErrGone
	}
	id, err := models.ParseID(fileID)
	if err != nil {
		return nil, ErrMissing
	}
	var p *models.Package
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		p, err = take(tx.DB, id)
		return err
	})
	switch {
	case models.CodeOf(err) == models.NotFound:
		return nil, ErrMissing
	case err != nil:
		return nil, err
	case p.State == models.PackageRetired:
		return nil, ErrGone
	case p.State != models.PackageReady || p.Name != name:
		return nil, ErrMissing
	}
	file, err := os.Open(r.path(id))
	if err != nil {
		return nil, fmt.Errorf("open package %s: %w", id, err)
	}
	return &File{File: file, Package: p, Device: link.Device}, nil
}
