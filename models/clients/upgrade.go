package clients

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/packages"
)

// The part of flow 6.1.7 that a client's own messages play (i4.md B.7); the downloads that it is asked for are tasks.

// Transfer takes a TransferComplete or an AutonomousTransferComplete, before it is answered.
func (v *Visit) Transfer(ctx context.Context, t models.Transfer) error {
	if v.device == nil {
		return nil
	}
	return v.room.Tasks.Transferred(v.as(ctx), v.device, t, v.in.Has(models.EventBoot))
}

// RequestDownload takes a client's wish for an upgrade. There is one only if the client is older than it must be; the others are told that what
// they have is what they shall have, because no answer says so.
func (v *Visit) RequestDownload(ctx context.Context, fileType string) error {
	if v.device == nil || v.clientType() == models.Generic || fileType != models.FirmwareImage {
		return nil
	}
	ctx = v.as(ctx)
	if models.TooOld(v.device.SoftwareVersion, v.room.config.MinVersion[v.device.ClientType]) {
		p, err := v.room.Packages.Newest(ctx, v.device)
		if err != nil {
			return err
		}
		if p != nil {
			queued, err := v.room.Tasks.Offer(ctx, v.device, p, models.UpgradeMandatory)
			if queued {
				v.device.WorkAt = v.room.clock.Now() // as Offer wrote it: it goes out in this session
			}
			return err
		}
	}
	v.flows = append(v.flows, &asking{steps: []models.Request{{
		Method: models.SetParameterValues, Values: []models.Value{{Name: packages.NameTargetVersion, Value: v.device.SoftwareVersion}},
	}}})
	return nil
}

// asking is a flow of messages whose answers change nothing but what follows of them.
type asking struct {
	steps []models.Request
}

func (f *asking) next(context.Context) (*models.Request, error) {
	if len(f.steps) == 0 {
		return nil, nil
	}
	return &f.steps[0], nil
}

func (f *asking) answer(_ context.Context, reply models.Reply) error {
	if reply.Fault != nil && f.steps[0].Method == models.SetParameterValues {
		if retry, ok := packages.Without(f.steps, reply.Fault); ok {
			f.steps = retry
			return nil
		}
		f.steps = nil
		return nil
	}
	f.steps = f.steps[1:]
	return nil
}

func (*asking) broke(context.Context) error { return nil }

// offer follows Status 18 with the newest package that there is for the client, and with nothing else (i4.md B.7, resolutions 15). The client
// believes it by the platform's proof. It may have no row, so that is no task; and if it is refused again, it is asked by the same CommandKey, by which it knows what it has begun.
func (f *registration) offer(ctx context.Context, proofs []models.Value) error {
	d := models.Device{Key: f.in.Key, ProductClass: f.in.ProductClass}
	if f.device != nil {
		d = *f.device
	}
	d.ClientType = f.clientType()
	if version := f.in.Get(softwareName); version != "" {
		d.SoftwareVersion = version
	}
	p, err := f.room.Packages.Newest(ctx, &d)
	if err != nil {
		return err
	}
	f.flows = f.flows[:1]
	if p != nil {
		steps := f.room.Packages.Requests(p, packages.Offer{
			Device: d.Key, ClientType: d.ClientType, CommandKey: minimumKey(d.Key, p.ID), Mode: models.UpgradeMandatory,
		}, f.room.clock.Now())
		if steps[0].Method == models.SetParameterValues {
			steps[0].Values = append(slices.Clone(proofs), steps[0].Values...)
		}
		f.flows = append(f.flows, &asking{steps: steps})
	}
	return nil
}

// minimumKey is the CommandKey of the download that a minimum version asks for.
func minimumKey(device models.DeviceKey, packageID models.ID) string {
	sum := sha256.Sum256([]byte(string(device) + "|" + packageID.String()))
	return "min-" + hex.EncodeToString(sum[:14])
}
