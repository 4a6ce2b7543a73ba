package types

import "github.com/softacs/softacs/models"

// Event is an event of the log with its cursor.
type Event struct {
	models.Event
	Cursor string
}

// ID is the event's own id.
func (e *Event) ID() models.Subject { return models.Subject{Kind: models.KindEvent, ID: e.Event.ID} }

// SubjectID names what it happened to.
func (e *Event) SubjectID() models.Subject { return e.Event.Subject }

// Payload is free JSON; ids in it are global ids, as everywhere in the API.
func (e *Event) Payload() any { return e.PublicPayload() }

// AccountID names the account, if it is about one.
func (e *Event) AccountID() models.Subject {
	return models.Subject{Kind: models.KindAccount, ID: e.Event.AccountID}
}

// DeviceID names the device, if it is about one.
func (e *Event) DeviceID() models.Subject {
	return models.Subject{Kind: models.KindDevice, ID: e.Event.DeviceID}
}

// PayloadVersion is the version of the payload's shape.
func (e *Event) PayloadVersion() int { return models.PayloadVersion }
