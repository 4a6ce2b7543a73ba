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
	// NextAt is when a refused delivery may be tried again.
	NextAt Time
	// FailedFirmware is the software version that refused DesiredVersion; another one is tried again.
	FailedFirmware string
	ChangedAt      Time
}

// UnsupportedParameter is a parameter that a firmware answered 9005 for.
type UnsupportedParameter struct {
	ProductClass    string `gorm:"primaryKey"`
	SoftwareVersion string `gorm:"primaryKey"`
	Name            string `gorm:"primaryKey"`
	LearnedAt       Time
}
