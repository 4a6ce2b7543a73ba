package models

import (
	"fmt"
	"strconv"
	"strings"
)

// ConfigurationState is how far the desired configuration of a device has come.
type ConfigurationState string

// The configuration states of the schema.
const (
	ConfigurationNone      ConfigurationState = "NONE"
	ConfigurationPending   ConfigurationState = "PENDING"
	ConfigurationSent      ConfigurationState = "SENT"
	ConfigurationCommitted ConfigurationState = "COMMITTED"
	ConfigurationApplied   ConfigurationState = "APPLIED"
	ConfigurationFailed    ConfigurationState = "FAILED"
)

// ParameterKey writes a configuration version as the device keeps it: cfg- and nine digits (i4.md B.10).
func ParameterKey(version int64) string {
	if version == 0 {
		return ""
	}
	return fmt.Sprintf("cfg-%09d", version)
}

// VersionOf reads a ParameterKey; 0 if it is none of ours.
func VersionOf(parameterKey string) int64 {
	digits, ok := strings.CutPrefix(parameterKey, "cfg-")
	if !ok || len(digits) != 9 {
		return 0
	}
	version, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0
	}
	return int64(version)
}

// Configuration is the desired and the applied state of one device. Values are keyed by logical name, or by path in the device layer.
type Configuration struct {
	DeviceID       ID `gorm:"primaryKey"`
	DesiredVersion int64
	// Desired and Applied seal map[string]string documents.
	Desired        Sealed
	AppliedVersion int64
	Applied        Sealed
	// SentVersion is in the device's hands, its answer not yet known.
	SentVersion int64
	State       ConfigurationState
	Failure     string
	Attempts    int
	// NextAt is when a delivery that failed may be tried again. While it is in the device's hands: its ParameterKey alone does not tell that it was
	// applied, as values are to be read back.
	NextAt Time
	// FailedFirmware is the software version that refused a version for good, - if it is not known; another one is tried again. Until a later version
	// is applied there is an alarm about it.
	FailedFirmware string
	ChangedAt      Time
	// DeviceLayer seals what was set for this device alone: map[string]Value, by logical name or by path. It outlives a binding.
	DeviceLayer Sealed
	// Mirrored: open tasks mirror what becomes of the versions.
	Mirrored bool
	// SampleAt is when some of the applied values are read back next; zero: not.
	SampleAt Time
	// Drifts counts the drifts of DriftDay (days since 1970 UTC); Drifting: there were too many, and the alarm was raised.
	DriftDay int64
	Drifts   int
	Drifting bool
}

// JobState is where a job about many devices stands.
type JobState string

// The job states of the schema that exist so far.
const (
	JobRunning               JobState = "RUNNING"
	JobAborted               JobState = "ABORTED"
	JobCompleted             JobState = "COMPLETED"
	JobCompletedWithFailures JobState = "COMPLETED_WITH_FAILURES"
)

// JobTransitions is the state table of a job; a state without a row is final.
var JobTransitions = map[JobState][]JobState{JobRunning: {JobAborted, JobCompleted, JobCompletedWithFailures}}

// ConfigTask is one set of parameters that is written to the device layer of many devices, at a rate (resolutions 56).
type ConfigTask struct {
	ID        ID `gorm:"primaryKey"`
	Version   int64
	CreatedAt Time `gorm:"autoCreateTime:false"`
	UpdatedAt Time `gorm:"autoUpdateTime:false"`
	Name      string
	// Layer seals the []Value that are written; Shown are the same with secrets [redacted].
	Layer Sealed
	Shown Doc[[]Value]
	// Filter is the DeviceFilter as it was given. Matched counts the devices that passed it at CreatedAt.
	Filter    Doc[map[string]any]
	Matched   int64
	PerMinute int
	State     JobState
	// NextAt is when the next device may be begun: moving it is what claims the devices up to there.
	NextAt        Time
	CompletedAt   Time
	CreatedByKind ActorKind
	CreatedByID   ID
	CreatedByName string
}

// TargetState is where a device of a job stands.
type TargetState string

// The target states of a ConfigTask. From TargetBegun on, the task that mirrors the version tells.
const (
	TargetWaiting   TargetState = "WAITING"
	TargetBegun     TargetState = "BEGUN"
	TargetSkipped   TargetState = "SKIPPED" // it has no configuration
	TargetFailed    TargetState = "FAILED"
	TargetCancelled TargetState = "CANCELLED"
)

// ConfigTarget is one device of a ConfigTask.
type ConfigTarget struct {
	ConfigTaskID ID `gorm:"primaryKey"`
	DeviceID     ID `gorm:"primaryKey"`
	State        TargetState
}

// DeviceObject is an instance of an object that the platform asked a device to make (TR-069 A.3.2.6).
type DeviceObject struct {
	DeviceID ID `gorm:"primaryKey"`
	// Object is the path by which the platform names it, with the instance number that it wants.
	Object string `gorm:"primaryKey"`
	// Instance is the number that the device gave it; 0 while that is not known.
	Instance int64
	// Known are the instances that the device had before the first try, so that one whose answer was lost is found again.
	Known   Doc[[]int64]
	Tries   int
	TriedAt Time
}

// UnsupportedParameter is a parameter that a firmware answered 9005 for.
type UnsupportedParameter struct {
	ProductClass    string `gorm:"primaryKey"`
	SoftwareVersion string `gorm:"primaryKey"`
	Name            string `gorm:"primaryKey"`
	LearnedAt       Time
}
