package models

// PackageState is where a package stands.
type PackageState string

// The package states of the schema; VERIFYING is never seen, because completePackageUpload verifies before it returns (resolutions 28).
const (
	PackageUploading PackageState = "UPLOADING"
	PackageReady     PackageState = "READY"
	PackageRejected  PackageState = "REJECTED"
	PackageRetired   PackageState = "RETIRED"
)

// PackageTransitions is the state table of a package; a state without a row is final.
var PackageTransitions = map[PackageState][]PackageState{
	PackageUploading: {PackageReady, PackageRejected, PackageRetired},
	PackageReady:     {PackageRetired},
	PackageRejected:  {PackageRetired},
}

// FirmwareImage is the file type of what clients install; they report its version afterwards (TR-069 A.3.2.8).
const FirmwareImage = "1 Firmware Upgrade Image"

// Package is a file that clients download, under the name that they shall give it.
type Package struct {
	ID              ID `gorm:"primaryKey"`
	Version         int64
	CreatedAt       Time `gorm:"autoCreateTime:false"`
	UpdatedAt       Time `gorm:"autoUpdateTime:false"`
	Name            string
	SoftwareVersion string
	ClientType      ClientType
	// Models are those that it is for, by model name or product class; none: all of the client type.
	Models   Doc[[]string]
	FileType string
	// Size and Sha256, in lower-case hex, are those that were announced; a file that differs is never kept.
	Size   int64
	Sha256 string
	// Signature is base64 Ed25519 over the file, KeyID names the vendor key that it is by. SignatureValid is nil while nobody has checked it.
	Signature      string
	KeyID          string `gorm:"column:key_id"`
	SignatureValid *bool
	MinFromVersion string
	ReleaseNotes   string
	State          PackageState
	// StoredAt is when the whole file was there; UploadUntil is how long it may be brought.
	StoredAt       Time
	UploadUntil    Time
	UploadedByKind ActorKind
	UploadedByID   ID
	UploadedByName string
}

// UpgradeMode is SC.Upgrade.Mode: how much a client's user has to say about an upgrade (i4.md B.7).
type UpgradeMode string

// The upgrade modes.
const (
	UpgradeSilent     UpgradeMode = "Silent"
	UpgradeOptional   UpgradeMode = "Optional"
	UpgradeMandatory  UpgradeMode = "Mandatory"
	UpgradeNotifyOnly UpgradeMode = "NotifyOnly"
)

// DeviceDownload is what becomes of a task DOWNLOAD once a device was asked: its own states between SENT and SUCCEEDED (i4.md B.7).
type DeviceDownload struct {
	TaskID    ID `gorm:"primaryKey"`
	DeviceID  ID
	PackageID ID
	// TargetVersion is what the device has to report in the end; empty: the transfer is all that counts.
	TargetVersion string
	// Notified: no file was sent; the client's app store has it.
	Notified bool
	// DelaySeconds was told with the last Download.
	DelaySeconds int
	// TransferredAt is when the device said that it has the file; Boots are its starts since then without the version.
	TransferredAt Time
	Boots         int
	// Failures counts failed transfers, ReportedAttempt is the attempt of the task that was reported last, so that a repeated report counts once.
	Failures        int
	ReportedAttempt int
	CreatedAt       Time `gorm:"autoCreateTime:false"`
}

// TransferReport is a transfer that a device told of and that no task asked for.
type TransferReport struct {
	ID           ID `gorm:"primaryKey"`
	DeviceID     ID
	CommandKey   string
	Autonomous   bool
	FileType     string
	URL          string `gorm:"column:url"`
	FaultCode    int
	FaultMessage string
	StartedAt    Time
	EndedAt      Time
	ReceivedAt   Time
}
