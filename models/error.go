package models

import (
	"errors"
	"strings"
)

// Code says what kind of thing went wrong. The first group are business errors (UserErrorCode in the schema), the second are errors of the
// protocol; everything without a code is internal.
type Code string

// Business errors: the caller can act on them.
const (
	Invalid              Code = "INVALID"
	Required             Code = "REQUIRED"
	TooLong              Code = "TOO_LONG"
	NotFound             Code = "NOT_FOUND"
	AlreadyExists        Code = "ALREADY_EXISTS"
	VersionConflict      Code = "VERSION_CONFLICT"
	StateConflict        Code = "STATE_CONFLICT"
	QuotaExceeded        Code = "QUOTA_EXCEEDED"
	IdempotencyKeyReused Code = "IDEMPOTENCY_KEY_REUSED"
	DependencyFailed     Code = "DEPENDENCY_FAILED"
	UnsupportedByDevice  Code = "UNSUPPORTED_BY_DEVICE"
	PolicyDenied         Code = "POLICY_DENIED"
	NumberQuarantined    Code = "NUMBER_QUARANTINED"
	LimitByPolicy        Code = "LIMIT_BY_POLICY"
	SecretRequired       Code = "SECRET_REQUIRED"
)

// Errors of the protocol: the request itself cannot be served.
const (
	Unauthenticated Code = "UNAUTHENTICATED"
	Forbidden       Code = "FORBIDDEN"
	BadUserInput    Code = "BAD_USER_INPUT"
	CursorExpired   Code = "CURSOR_EXPIRED"
	Throttled       Code = "THROTTLED"
	Unavailable     Code = "UNAVAILABLE"
)

// Error is an error that a caller may read: a code, a sentence and, where there is one, the field it is about.
type Error struct {
	Code    Code
	Message string
	// Field is the path of the input it is about, e.g. ["input","msisdn"].
	Field []string
	// RetryAfterSeconds > 0: the same request may succeed after so long.
	RetryAfterSeconds int

	CurrentVersion     int64    // VERSION_CONFLICT
	CurrentState       string   // STATE_CONFLICT
	AllowedActions     []string // STATE_CONFLICT: names of mutations
	Existing           Subject  // ALREADY_EXISTS
	ExistingExternalID string   // ALREADY_EXISTS
	Horizon            string   // CURSOR_EXPIRED: the oldest cursor still kept
	Reason             string   // CURSOR_EXPIRED: RETENTION or RESTORED
}

// E makes an Error about a field.
func E(code Code, message string, field ...string) *Error {
	return &Error{Code: code, Message: message, Field: field}
}

func (e *Error) Error() string {
	if len(e.Field) == 0 {
		return string(e.Code) + ": " + e.Message
	}
	return string(e.Code) + ": " + strings.Join(e.Field, ".") + ": " + e.Message
}

// Business tells whether the caller gets it as a userError rather than as an error of the protocol.
func (e *Error) Business() bool {
	switch e.Code {
	case Unauthenticated, Forbidden, BadUserInput, CursorExpired, Throttled, Unavailable:
		return false
	}
	return true
}

// Retryable tells whether the same input may succeed later without anybody changing it.
func (e *Error) Retryable() bool {
	return e.RetryAfterSeconds > 0 || e.Code == DependencyFailed || e.Code == VersionConflict || e.Code == Throttled || e.Code == Unavailable
}

// CodeOf returns the code of err, or "" for an internal error.
func CodeOf(err error) Code {
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return ""
}
