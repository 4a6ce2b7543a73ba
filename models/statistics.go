package models

import "strings"

// StatisticsFlag says what was found odd about a report of call statistics (i4.md B.9).
type StatisticsFlag string

// The flags.
const (
	// StatisticsGap: reports before it are missing, so that its deltas cover a longer time than its interval.
	StatisticsGap StatisticsFlag = "gap"
	// StatisticsWrap: a counter of 32 bits began anew at 0. StatisticsReset: one decreased otherwise within a BootId.
	StatisticsWrap  StatisticsFlag = "wrap"
	StatisticsReset StatisticsFlag = "reset"
	// StatisticsClock: the client's clock is unknown or more than a day wrong; the interval ends when the report was received.
	StatisticsClock StatisticsFlag = "clock"
	// StatisticsFuture: the interval ends more than ten minutes after the report was received.
	StatisticsFuture StatisticsFlag = "future"
	// StatisticsImplausible: its counters cannot be true; it is in no aggregate.
	StatisticsImplausible StatisticsFlag = "implausible"
	// StatisticsMalformed: values that cannot be read were left out.
	StatisticsMalformed StatisticsFlag = "malformed"
	// StatisticsConflict: it came again with other values; the first ones stand.
	StatisticsConflict StatisticsFlag = "conflict"
)

// StatisticsReport is one report of call statistics and the interval that it tells of. The reports of a BootId are a chain in the order of their
// Seq: each has the deltas to the one before it.
type StatisticsReport struct {
	DeviceID ID     `gorm:"primaryKey"`
	BootID   string `gorm:"primaryKey"`
	Seq      int64  `gorm:"primaryKey;autoIncrement:false"`
	// PreviousSeq is the Seq of the report before it in the chain, -1 for the first. It is unique within a BootId, which keeps the chain whole.
	PreviousSeq int64
	// AccountID is the account that the device was bound to when the report came; zero: none.
	AccountID ID
	// ReceivedAt is by the platform's clock; StartedAt and EndedAt are the interval after correction of the client's.
	ReceivedAt Time
	StartedAt  Time
	EndedAt    Time
	// DueAt is when to look whether the reports after it are missing; zero: never.
	DueAt Time
	// Frequent: its interval is so short that it counts in the limit of reports.
	Frequent bool
	// Hash is that of the values as sent.
	Hash  []byte
	Flags Doc[[]StatisticsFlag]
	// Counters are the cumulative counters after this report, Deltas what they grew by since the previous one, and Gauges what was sampled, all by
	// logical name; release causes are counters whose names begin with StatisticsCause.
	Counters Doc[map[string]int64]
	Deltas   Doc[map[string]int64]
	Gauges   Doc[map[string]int64]
	// Raw are the values as sent, by logical name.
	Raw Doc[map[string]string]
}

// StatisticsRefusal is a report that no interval could be made of; it is kept as it came.
type StatisticsRefusal struct {
	DeviceID   ID   `gorm:"primaryKey"`
	ReceivedAt Time `gorm:"primaryKey;autoIncrement:false"`
	// Parameter is the logical name of the first value that is missing or cannot be read.
	Parameter string
	Raw       Doc[map[string]string]
}

// FixedSetting is a setting that must never change once rows depend on it.
type FixedSetting struct {
	Name  string `gorm:"primaryKey"`
	Value string
}

// StatisticsCause is how the names of the counters of release causes begin; the SIP status or the client's own word follows.
const StatisticsCause = "cause."

// IsStatistic tells whether a logical name is one of those that a report of call statistics brings: the objects ST. and LN.Stats.
func IsStatistic(name string) bool {
	return strings.HasPrefix(name, "statistics.") || strings.HasPrefix(name, "line.stats.")
}
