package models

// DiagnosticKind is what a diagnostic tests (i4.md B.8); the names are those of the schema.
type DiagnosticKind string

// The kinds.
const (
	IPPing          DiagnosticKind = "IP_PING"
	Traceroute      DiagnosticKind = "TRACEROUTE"
	DownloadSpeed   DiagnosticKind = "DOWNLOAD_SPEED"
	UploadSpeed     DiagnosticKind = "UPLOAD_SPEED"
	NSLookup        DiagnosticKind = "NSLOOKUP"
	SIPRegistration DiagnosticKind = "SIP_REGISTRATION"
	MediaLoopback   DiagnosticKind = "MEDIA_LOOPBACK"
)

// DiagnosticTransitions is the state table of a diagnostic (i4.md B.8, resolutions 24); a state without a row is final. PENDING: queued; SENT: the
// device was asked to run it; ACKNOWLEDGED: it says that it has; what is lost or refused for now goes back to PENDING.
var DiagnosticTransitions = map[TaskState][]TaskState{
	TaskPending:      {TaskSent, TaskAcknowledged, TaskFailed, TaskExpired},
	TaskSent:         {TaskPending, TaskAcknowledged, TaskSucceeded, TaskFailed, TaskExpired},
	TaskAcknowledged: {TaskPending, TaskSucceeded, TaskFailed, TaskExpired},
}

// Diagnostic is one test that a device runs, or ran without being asked.
type Diagnostic struct {
	ID       ID `gorm:"primaryKey"`
	DeviceID ID
	Kind     DiagnosticKind
	State    TaskState
	// TaskID is what the device calls it: our id, or what an unsolicited result came with.
	TaskID string
	// Unsolicited: nobody asked for it here (i4.md B.8).
	Unsolicited bool
	Inputs      Doc[DiagnosticInputs]
	// Dropped are the logical names of the inputs that the device does not know.
	Dropped Doc[[]string]
	// Attempts is how often its inputs were sent, Readings how often its result was asked for. Restarts is how often the device lost it.
	Attempts, Restarts, Readings int
	// Unanswered: whether the inputs arrived is not known.
	Unanswered bool
	// SentEpoch and ReadEpoch are the sessions in which it was sent and read last: what went wrong is tried again in another one.
	SentEpoch, ReadEpoch int64
	// DueAt is when it wants a session.
	DueAt       Time
	CreatedAt   Time `gorm:"autoCreateTime:false"`
	SentAt      Time
	ExpiresAt   Time
	CompletedAt Time
	// ErrorState is the end state if it is an error, as the device wrote it.
	ErrorState    string
	Fault         Doc[*Fault]
	Result        Doc[*DiagnosticResult]
	CreatedByKind ActorKind
	CreatedByID   ID
	CreatedByName string

	// Steps are the requests of the session that has it, the first is out; in memory only.
	Steps []Request `gorm:"-"`
}

// DiagnosticInputs is what a test is run with; which of them a kind takes is RunDiagnosticInput in the schema.
type DiagnosticInputs struct {
	// Host is a name, an address or a URL in its canonical writing; empty for a registration at the configured server.
	Host string `json:"host,omitempty"`
	// Port of Host, 0 for the device's own choice. Server is the name server of a look-up.
	Port   int    `json:"port,omitempty"`
	Server string `json:"server,omitempty"`
	// Bytes of a packet or an upload.
	Bytes int64 `json:"bytes,omitempty"`
	Count int   `json:"count,omitempty"`
	// TimeoutSeconds is how long the whole test may take.
	TimeoutSeconds int `json:"timeoutSeconds,omitempty"`
}

// DiagnosticResult is what a test found: the one of its kind.
type DiagnosticResult struct {
	Ping         *PingResult         `json:"ping,omitempty"`
	Traceroute   *TracerouteResult   `json:"traceroute,omitempty"`
	Transfer     *TransferResult     `json:"transfer,omitempty"`
	Lookup       *LookupResult       `json:"lookup,omitempty"`
	Registration *RegistrationResult `json:"registration,omitempty"`
	Loopback     *LoopbackResult     `json:"loopback,omitempty"`
}

// PingResult counts echo requests and answers; times are in milliseconds, nil if none came.
type PingResult struct {
	Host                string
	Sent, Received      int
	MinMs, AvgMs, MaxMs *float64
}

// TracerouteResult lists the routers on the way in order.
type TracerouteResult struct {
	Host string
	Hops []TracerouteHop
}

// TracerouteHop is one router: an address or a name, empty if it did not answer, its times in milliseconds, and the ICMP error that it sent.
type TracerouteHop struct {
	Index   int
	Address string
	RttMs   []float64
	Error   string
}

// TransferResult is how fast a file came or went (TR-143).
type TransferResult struct {
	Bytes         int64
	DurationMs    int
	BitsPerSecond int64
}

// LookupResult is what the name server said.
type LookupResult struct {
	Name          string
	Answers       []string // addresses
	Authoritative bool
}

// RegistrationResult is how the SIP registrar answered.
type RegistrationResult struct {
	Registered          bool
	SipStatus           *int
	ExpiresInSeconds    *int
	ResponseMs          *int
	ServerUsed, NatType string
}

// LoopbackResult is what became of the packets that were sent to an echo server.
type LoopbackResult struct {
	Sent, Received  int
	LossPercent     *float64
	JitterMs, RttMs *float64
}
