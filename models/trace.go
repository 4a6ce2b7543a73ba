package models

// Trace is the order to record the next sessions of one device.
type Trace struct {
	ID        ID `gorm:"primaryKey"`
	DeviceID  ID
	StartedAt Time
	EndsAt    Time
	// Messages is how many were recorded so far.
	Messages int
}

// CwmpSession is one recorded session of a device. Secrets and personal data are hidden in all its texts.
type CwmpSession struct {
	ID        ID `gorm:"primaryKey"`
	DeviceID  ID
	StartedAt Time
	EndedAt   Time
	// Events are the codes of the Inform as sent, the first few.
	Events Doc[[]string]
	// Outcome is how it ended, such as completed or timeout.
	Outcome string
	// RemoteAddress is the network that it came from, such as 203.0.113.0/24: the address itself is personal data.
	RemoteAddress string
	Messages      []CwmpMessage `gorm:"-"`
}

// CwmpMessage is one message of a recorded session.
type CwmpMessage struct {
	SessionID  ID  `gorm:"primaryKey"`
	N          int `gorm:"primaryKey;autoIncrement:false"` // from 1
	At         Time
	FromDevice bool
	Method     string
	// Body is the XML, or in brackets why it was not kept.
	Body string
}
