package models

// WebhookState is how deliveries to a webhook stand.
type WebhookState string

// The states of a webhook.
const (
	// WebhookActive: the last delivery was taken, or there was none yet.
	WebhookActive WebhookState = "ACTIVE"
	// WebhookRetrying: the last attempt failed, the next one comes.
	WebhookRetrying WebhookState = "RETRYING"
	// WebhookGivenUp: the platform switched it off, because nothing was taken for a day or what it waited for is no longer kept.
	WebhookGivenUp WebhookState = "GIVEN_UP"
	// WebhookDisabled: somebody switched it off.
	WebhookDisabled WebhookState = "DISABLED"
)

// Webhook is a receiver that the event log is pushed to, in the order of the log.
type Webhook struct {
	ID        ID `gorm:"primaryKey"`
	Version   int64
	CreatedAt Time `gorm:"autoCreateTime:false"`
	UpdatedAt Time `gorm:"autoUpdateTime:false"`
	// Whoever made it may read what it tells: it sees the events of its maker's regions, as they are now.
	CreatedByKind ActorKind
	CreatedByID   ID
	CreatedByName string
	URL           string `gorm:"column:url"`
	// URLKey is SHA-256 over the maker's id and the URL: nobody has two webhooks of one URL.
	URLKey []byte `gorm:"column:url_key"`
	Types  Doc[[]EventType]
	Filter Doc[WebhookFilter]
	// Secret signs deliveries; PreviousSecret does so too until PreviousUntil.
	Secret         Sealed
	PreviousSecret Sealed
	PreviousUntil  Time
	Enabled        bool

	// What follows belongs to the deliveries: it moves without Version.

	// AckedCursor is the place in the log up to which everything was taken or is not for this webhook.
	AckedCursor         string
	ConsecutiveFailures int64
	FailingSince        Time
	NextAttemptAt       Time
	LastError           string
	GivenUp             bool
	// Attempts counts all deliveries ever; the newest have the highest numbers.
	Attempts int64
	// One replica delivers, until LeaseUntil; each that begins raises Fence and writes only while it is the highest.
	LeaseUntil Time
	Fence      int64
}

// State tells how deliveries stand.
func (w *Webhook) State() WebhookState {
	switch {
	case w.GivenUp:
		return WebhookGivenUp
	case !w.Enabled:
		return WebhookDisabled
	case w.ConsecutiveFailures > 0:
		return WebhookRetrying
	}
	return WebhookActive
}

// WebhookFilter narrows what a webhook hears of beside the types; an empty list does not narrow.
type WebhookFilter struct {
	Subjects    []Subject    `json:"subjects,omitempty"`
	ClientTypes []ClientType `json:"clientTypes,omitempty"`
	Accounts    []ID         `json:"accounts,omitempty"`
	Devices     []ID         `json:"devices,omitempty"`
	Regions     []string     `json:"regions,omitempty"`
}

// WebhookDelivery is one attempt to hand a batch of events over.
type WebhookDelivery struct {
	ID        ID `gorm:"primaryKey"`
	WebhookID ID
	// N is Webhook.Attempts at this one.
	N int64
	// Cursor is the place in the log that is reached when the batch is taken.
	Cursor string `gorm:"column:log_cursor"`
	Events int
	// Attempt counts from 1, again after each success.
	Attempt int64
	// StatusCode is that of the answer; zero if there was none, and Error says why.
	StatusCode int
	Error      string
	At         Time
}
