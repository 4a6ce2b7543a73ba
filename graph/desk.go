package graph

import (
	"context"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/graph/types"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/desk"
	"github.com/softacs/softacs/models/events"
)

// health is how each of the accounts is. What the request has read of them and of their passwords is not read again, and what is read of their
// devices is there for whoever asks for them.
func (s *server) health(r *request) func(context.Context, []models.ID) (map[models.ID]*desk.Health, error) {
	return func(ctx context.Context, ids []models.ID) (map[models.ID]*desk.Health, error) {
		patients := make([]desk.Patient, 0, len(ids))
		for _, id := range ids {
			a, err := r.accounts.get(ctx, id)
			if err != nil {
				return nil, err
			}
			password, err := r.passwords.get(ctx, id)
			if err != nil {
				return nil, err
			}
			if a != nil {
				patients = append(patients, desk.Patient{Account: a, Password: password})
			}
		}
		return s.Desk.Health(ctx, patients)
	}
}

func asked(kinds []desk.Kind, span *model.TimeRange) desk.Asked {
	return desk.Asked{Kinds: kinds, From: deref(span).From, To: deref(span).To}
}

// timelineConnection expects that the lines' devices will be asked for.
func timelineConnection(ctx context.Context, items []desk.Line, cursors []string, next, previous bool) *model.TimelineConnection {
	lines := make([]types.Line, len(items))
	for i, l := range items {
		lines[i] = types.Line{Line: l, Cursor: cursors[i]}
		requestFrom(ctx).families.devices.expect(l.DeviceID)
	}
	c := &model.TimelineConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(lines, cursors, func(cursor string, node *types.Line) *model.TimelineEdge {
		return &model.TimelineEdge{Cursor: cursor, Node: node}
	})
	return c
}

// eventOf is the event of a line, if the caller might read it in the log.
func eventOf(ctx context.Context, l *types.Line) *types.Event {
	if l.Event == nil || l.EventCursor == "" || !models.ActorFrom(ctx).Scope(models.EventRead).Covers(l.Event.Region) {
		return nil
	}
	return &types.Event{Event: *l.Event, Cursor: l.EventCursor}
}

// deviceInReach is the device, nil if it is none or the caller may not read it.
func deviceInReach(ctx context.Context, id models.ID) (*models.Device, error) {
	if !models.ActorFrom(ctx).Can(models.DeviceRead) {
		return nil, nil
	}
	return requestFrom(ctx).devices.get(ctx, id)
}

// shownDevice is a device that was read with something else, nil if the caller may not read it.
func shownDevice(ctx context.Context, d *models.Device) *models.Device {
	if d == nil || !models.ActorFrom(ctx).Scope(models.DeviceRead).Covers(d.Region) {
		return nil
	}
	r := requestFrom(ctx)
	r.devices.put(d.ID, d)
	r.families.devices.expect(d.ID)
	return d
}

// hits remembers what was found and expects that more of it will be asked for.
func hits(ctx context.Context, found []desk.Hit) []types.SearchHit {
	r := requestFrom(ctx)
	list := make([]types.SearchHit, len(found))
	for i, h := range found {
		if h.Account != nil {
			r.accounts.put(h.Account.ID, h.Account)
			r.families.accounts.expect(h.Account.ID)
			list[i] = h.Account
		} else {
			r.devices.put(h.Device.ID, h.Device)
			r.families.devices.expect(h.Device.ID)
			list[i] = h.Device
		}
	}
	return list
}

func revealPayload(values map[string]any, until models.Time, err error) (*model.RevealPayload, error) {
	refused, err := refusal(err)
	p := &model.RevealPayload{UserErrors: refused}
	if values != nil {
		p.Values, p.ExpiresAt = values, &until
	}
	return p, err
}

func auditFilter(f *model.AuditFilter) events.AuditFilter {
	if f == nil {
		return events.AuditFilter{}
	}
	at := given(f.At)
	filter := events.AuditFilter{Actions: f.Actions.Value(), Outcomes: f.Outcomes.Value(), From: at.From, To: at.To}
	if s := f.ActorID.Value(); s != nil {
		filter.Actor = &s.ID
	}
	if s := f.SubjectID.Value(); s != nil {
		filter.Subject = &s.ID
	}
	return filter
}

func auditConnection(ctx context.Context, items []models.AuditEntry, cursors []string, next, previous bool) *model.AuditEntryConnection {
	c := &model.AuditEntryConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.AuditEntry) *model.AuditEntryEdge {
		return &model.AuditEntryEdge{Cursor: cursor, Node: node}
	})
	for i := range items {
		if f := requestFrom(ctx).familyOf(kindOfActor[items[i].ActorKind]); f != nil {
			f.expect(items[i].ActorID)
		}
	}
	return c
}

// whoDid is who did it; nobody is known of an attempt to sign in that failed.
func whoDid(ctx context.Context, e *models.AuditEntry) (types.Actor, error) {
	if by, err := actorOf(ctx, e.ActorKind, e.ActorID, e.ActorName); by != nil || err != nil {
		return by, err
	}
	return &model.SystemActor{Component: "anonymous"}, nil
}

// kindOfActor is the row that an actor is.
var kindOfActor = map[models.ActorKind]models.Kind{models.OperatorActor: models.KindOperator, models.APIClientActor: models.KindAPIClient}
