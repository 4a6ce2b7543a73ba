package models

import (
	"context"
	"slices"
)

// Permission is a right that a role grants; the names are those of the schema.
type Permission string

// The permissions of the northbound schema.
const (
	AccountRead    Permission = "ACCOUNT_READ"
	AccountWrite   Permission = "ACCOUNT_WRITE"
	AccountCare    Permission = "ACCOUNT_CARE"
	SecretRead     Permission = "SECRET_READ"
	PIIRead        Permission = "PII_READ"
	DeviceRead     Permission = "DEVICE_READ"
	DeviceWrite    Permission = "DEVICE_WRITE"
	DiagRun        Permission = "DIAG_RUN"
	TraceRun       Permission = "TRACE_RUN"
	PackageWrite   Permission = "PACKAGE_WRITE"
	UpgradeRead    Permission = "UPGRADE_READ"
	UpgradeWrite   Permission = "UPGRADE_WRITE"
	UpgradeApprove Permission = "UPGRADE_APPROVE"
	StatsRead      Permission = "STATS_READ"
	StatsWrite     Permission = "STATS_WRITE"
	EventRead      Permission = "EVENT_READ"
	AuditRead      Permission = "AUDIT_READ"
	OperatorAdmin  Permission = "OPERATOR_ADMIN"
	BulkRun        Permission = "BULK_RUN"
	BulkApprove    Permission = "BULK_APPROVE"
	ExportRun      Permission = "EXPORT_RUN"
	ExportPII      Permission = "EXPORT_PII"
	WebhookAdmin   Permission = "WEBHOOK_ADMIN"
	AlarmRead      Permission = "ALARM_READ"
	AlarmAck       Permission = "ALARM_ACK"
	SecurityAdmin  Permission = "SECURITY_ADMIN"
	SystemAdmin    Permission = "SYSTEM_ADMIN"
)

// Permissions lists every permission in the order of the schema.
var Permissions = []Permission{
	AccountRead, AccountWrite, SecretRead, DeviceRead, DeviceWrite, PackageWrite, UpgradeRead, UpgradeWrite, UpgradeApprove,
	StatsRead, StatsWrite, DiagRun, EventRead, AuditRead, OperatorAdmin, BulkRun, ExportRun, WebhookAdmin,
	AccountCare, PIIRead, ExportPII, BulkApprove, AlarmRead, AlarmAck, TraceRun, SecurityAdmin, SystemAdmin,
}

// ActorKind tells who acts.
type ActorKind string

// The kinds of the schema's union Actor.
const (
	OperatorActor  ActorKind = "OPERATOR"
	APIClientActor ActorKind = "API_CLIENT"
	DeviceActor    ActorKind = "DEVICE"
	SystemActor    ActorKind = "SYSTEM"
)

// Grant is what one role gives: permissions, in the regions named or, when none is named, everywhere (resolutions 68).
type Grant struct {
	Permissions []Permission
	Regions     []string
}

// Actor is whoever causes something: a person, an API client, a device or a part of the platform itself.
type Actor struct {
	Kind ActorKind
	// ID of the operator, API client or device; zero for the system.
	ID ID
	// Name is the user name, the client id, the device key or the component.
	Name string
	// OnBehalfOf is the staff member that an API client vouches for; kept, never used for permission.
	OnBehalfOf string
	Grants     []Grant
}

// System is the platform acting on its own; it may do everything everywhere.
func System(component string) Actor {
	return Actor{Kind: SystemActor, Name: component, Grants: []Grant{{Permissions: Permissions}}}
}

// ByDevice is a device acting through the south door; it holds no northbound permission.
func ByDevice(id ID, key string) Actor { return Actor{Kind: DeviceActor, ID: id, Name: key} }

// Can tells whether the actor holds p in any region.
func (a Actor) Can(p Permission) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return slices.Contains(g.Permissions, p) })
}

// Scope returns the regions in which the actor holds p.
func (a Actor) Scope(p Permission) Scope {
	var s Scope
	for _, g := range a.Grants {
		if !slices.Contains(g.Permissions, p) {
			continue
		}
		if len(g.Regions) == 0 {
			return Scope{All: true}
		}
		s.Regions = append(s.Regions, g.Regions...)
	}
	slices.Sort(s.Regions)
	s.Regions = slices.Compact(s.Regions)
	return s
}

// Scope is a set of regions; the zero Scope covers nothing.
type Scope struct {
	All     bool
	Regions []string
}

// Covers tells whether a row of that region is in scope. Rows without region are for all-region actors only (resolutions 68).
func (s Scope) Covers(region string) bool {
	return s.All || region != "" && slices.Contains(s.Regions, region)
}

// Origin is the request that an action came with.
type Origin struct {
	RequestID     string
	RemoteAddress string
}

type ctxKey int

const (
	actorKey ctxKey = iota
	originKey
)

// WithActor returns a context in which a acts.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey, a)
}

// ActorFrom returns who acts; without one, an actor that may do nothing.
func ActorFrom(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey).(Actor)
	return a
}

// WithOrigin returns a context that remembers the request.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey, o)
}

// OriginFrom returns the request that ctx remembers.
func OriginFrom(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey).(Origin)
	return o
}

// Need returns a FORBIDDEN error unless the actor of ctx holds p somewhere.
func Need(ctx context.Context, p Permission) error {
	if ActorFrom(ctx).Can(p) {
		return nil
	}
	return E(Forbidden, "permission "+string(p)+" is needed")
}
