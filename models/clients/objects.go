package clients

import (
	"context"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
)

// maxBuilds is how often a session looks for objects that a delivery lacks: a client that has other ones each time is not followed for ever.
const maxBuilds = 3

// tryLater is the fault of a whole request that is tried again in the next sessions (TR-069 A.5.1: request denied).
const tryLater = 9001

// building adds the objects that a delivery sets and a device does not have, before the delivery goes out or after it was refused for them.
type building struct {
	build *configuration.Build
	// refused is why the delivery has to be repeated; nil before it went out.
	refused *models.Fault
	builds  int
	added   int
}

// begin takes up a build, if there is one; it reports false when there is nothing to build or the session has built enough.
func (b *building) begin(build *configuration.Build, refused *models.Fault) bool {
	if build == nil || b.builds >= maxBuilds {
		return false
	}
	b.build, b.refused = build, refused
	b.builds++
	return true
}

// next is what to ask for the build; nil when it is done.
func (b *building) next(ctx context.Context, v *Visit) (request *models.Request, err error) {
	before := *b.build
	err = v.room.store.InTx(ctx, func(tx *store.Tx) (err error) {
		*b.build = before
		request, err = v.room.Configuration.NextOf(tx, v.device, v.epoch, b.build)
		return err
	})
	if request != nil && b.build.Adding() {
		b.added++
	}
	return request, err
}

func (b *building) answer(ctx context.Context, v *Visit, reply models.Reply) error {
	before := *b.build
	return v.room.store.InTx(ctx, func(tx *store.Tx) error {
		*b.build = before
		return v.room.Configuration.AnsweredOf(tx, v.device, v.epoch, b.build, reply, b.added)
	})
}

// done ends the build and returns the delivery that is to go out now, nil for none: the same with the objects where the device has them or, if
// nothing could be done about its refusal, what is left of it.
func (b *building) done(ctx context.Context, v *Visit, delivery *configuration.Delivery) (next *configuration.Delivery, err error) {
	build, refused := b.build, b.refused
	b.build, b.refused = nil, nil
	err = v.room.store.InTx(ctx, func(tx *store.Tx) (err error) {
		switch {
		case refused != nil && build.Later: // another session finds what it will have after its start
			_, err = v.room.Configuration.Refused(tx, v.device, v.epoch, delivery, models.Fault{Code: tryLater})
		case refused != nil && !build.Changed:
			next, err = v.room.Configuration.Refused(tx, v.device, v.epoch, delivery, *refused)
		default:
			again := *delivery
			next = &again
			next.Moved, err = configuration.Moved(tx, v.device.ID)
		}
		return err
	})
	return next, err
}
