package session

import (
	"context"

	"github.com/softacs/softacs/models"
)

// Visit is one device's stay, as the rules behind the door see it. Its methods are called one at a time, and each may take the time of a
// database transaction, not more (i4.md H11). An error other than of End breaks the session: the door answers 503.
type Visit interface {
	// Next says what to ask of the device; nil when nothing is left. It is not called again before Answer.
	Next(ctx context.Context) (*models.Request, error)
	// Answer takes the reply to the last Request. A request that cannot be written is answered by a fault 9003 that the device never saw.
	Answer(ctx context.Context, reply models.Reply) error
	// RequestDownload takes the client's wish for a file of a type, at L1 only; what it brings comes with Next.
	RequestDownload(ctx context.Context, fileType string) error
	// Transfer takes a TransferComplete or an AutonomousTransferComplete, at L1 only; it may come after End too, when a client goes on after our 204.
	Transfer(ctx context.Context, t models.Transfer) error
	// End is called once. err is nil if nothing was left open, else why the session broke while a request was with the device.
	End(ctx context.Context, err error)
}

// Clients opens visits. d is the device's row, nil for an unknown device, which is at L0 or, with a certificate, at L2. previousCredential says
// that the device presented an older one of its credentials. Arrive decides nothing that needs the device's empty POST.
type Clients interface {
	Arrive(ctx context.Context, in *models.Inform, d *models.Device, trust models.Trust, previousCredential bool) (Visit, error)
}
