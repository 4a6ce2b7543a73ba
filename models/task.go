package models

// TaskKind is what a task asks of a device.
type TaskKind string

// The task kinds that exist so far.
const (
	GetValues TaskKind = "GET_VALUES"
	SetValues TaskKind = "SET_VALUES"
	GetNames  TaskKind = "GET_NAMES"
	// GetAttributes, SetAttributes and the kinds below ask for one method of TR-069 A.3 each.
	GetAttributes  TaskKind = "GET_ATTRIBUTES"
	SetAttributes  TaskKind = "SET_ATTRIBUTES"
	AddObject      TaskKind = "ADD_OBJECT"
	DeleteObject   TaskKind = "DELETE_OBJECT"
	Reboot         TaskKind = "REBOOT"
	FactoryReset   TaskKind = "FACTORY_RESET"
	GetRPCMethods  TaskKind = "GET_RPC_METHODS"
	ScheduleInform TaskKind = "SCHEDULE_INFORM"
	// DownloadTask brings a package to a device (i4.md B.7).
	DownloadTask TaskKind = "DOWNLOAD"
)

// TaskState is where a task stands (resolutions 23).
type TaskState string

// The task states of the schema.
const (
	TaskPending      TaskState = "PENDING"
	TaskSent         TaskState = "SENT"
	TaskAcknowledged TaskState = "ACKNOWLEDGED"
	TaskSucceeded    TaskState = "SUCCEEDED"
	TaskFailed       TaskState = "FAILED"
	TaskExpired      TaskState = "EXPIRED"
	TaskCancelled    TaskState = "CANCELLED"
)

// TaskTransitions is the state table of a task; a state without a row is final.
var TaskTransitions = map[TaskState][]TaskState{
	// A device may tell of a download whose answer was lost, or run its version by then.
	TaskPending: {TaskSent, TaskAcknowledged, TaskSucceeded, TaskFailed, TaskExpired, TaskCancelled},
	// A mirror is cancelled when its version did not arrive and a later one is desired.
	TaskSent:         {TaskPending, TaskAcknowledged, TaskSucceeded, TaskFailed, TaskExpired, TaskCancelled},
	TaskAcknowledged: {TaskPending, TaskSucceeded, TaskFailed, TaskExpired, TaskCancelled},
}

// Task is work that waits for a device's session.
type Task struct {
	ID       ID `gorm:"primaryKey"`
	DeviceID ID
	Kind     TaskKind
	State    TaskState
	// Request seals the TaskRequest as it will be sent.
	Request Sealed
	// Shown is the request as the north may see it, and Result the answer; secrets in both are [redacted] (resolutions 79).
	Shown    Doc[TaskRequest]
	Result   Doc[map[string]any]
	Fault    Doc[*Fault]
	Attempts int
	// NextAt is when the task may be sent.
	NextAt Time
	// SentEpoch is the session epoch it was last sent under: a refused task is tried again in another session only.
	SentEpoch     int64
	CreatedAt     Time `gorm:"autoCreateTime:false"`
	ExpiresAt     Time
	SentAt        Time
	CompletedAt   Time
	CreatedByKind ActorKind
	CreatedByID   ID
	CreatedByName string
	// ConfigVersion > 0: the task mirrors what becomes of that version of the device's configuration and is never sent itself (resolutions 56).
	// ConfigTaskID is the ConfigTask that issued it.
	ConfigVersion int64
	ConfigTaskID  ID

	// Steps are the requests of the session that has the task, the first is out or next; in memory only.
	Steps []Request `gorm:"-"`
}

// UnsupportedMethod is an RPC that a firmware answered 9000 to (i4.md A.9).
type UnsupportedMethod struct {
	ProductClass    string `gorm:"primaryKey"`
	SoftwareVersion string `gorm:"primaryKey"`
	Method          Method `gorm:"primaryKey"`
	LearnedAt       Time
}

// TaskRequest is the argument of a task; which fields belong to which kind is resolutions 52.
type TaskRequest struct {
	Paths      []string `json:"paths,omitempty"`
	Values     []Value  `json:"values,omitempty"`
	ObjectPath string   `json:"objectPath,omitempty"`
	NextLevel  bool     `json:"nextLevel,omitempty"`
	// Notification is of SET_ATTRIBUTES.
	Notification *int `json:"notification,omitempty"`
	// PackageID and Mode are of DOWNLOAD, DelaySeconds is its least delay, or when SCHEDULE_INFORM wants to be called.
	PackageID    ID          `json:"packageId,omitzero"`
	Mode         UpgradeMode `json:"mode,omitempty"`
	DelaySeconds int         `json:"delaySeconds,omitempty"`
}
