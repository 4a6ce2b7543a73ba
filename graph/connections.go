package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/graph/types"
	"github.com/softacs/softacs/models"
)

// page is how every room asks for a part of a list.
type page = struct {
	First, Last   int
	After, Before string
}

// forward is the page of fields that only go forward.
func forward(first int, after *string) page { return page{First: first, After: deref(after)} }

// window is the page of fields that go both ways; without first and last it is the first 20.
func window(first *int, after *string, last *int, before *string) page {
	p := page{First: deref(first), Last: deref(last), After: deref(after), Before: deref(before)}
	if p.First == 0 && p.Last == 0 {
		p.First = defaultPage
	}
	return p
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// given is the value of an input field; zero if it is absent or null.
func given[T any](o graphql.Omittable[*T]) T { return deref(o.Value()) }

func pageInfo(cursors []string, next, previous bool) *types.PageInfo {
	info := &types.PageInfo{HasNextPage: next, HasPreviousPage: previous}
	if n := len(cursors); n > 0 {
		info.StartCursor, info.EndCursor = cursors[0], cursors[n-1]
	}
	return info
}

// spread makes the nodes and edges of a connection.
func spread[T, E any](items []T, cursors []string, edge func(cursor string, node *T) *E) (nodes []*T, edges []*E) {
	nodes, edges = make([]*T, len(items)), make([]*E, len(items))
	for i := range items {
		nodes[i], edges[i] = &items[i], edge(cursors[i], &items[i])
	}
	return nodes, edges
}

// bindingConnection expects that the bindings' accounts and devices will be asked for.
func bindingConnection(ctx context.Context, items []models.Binding, cursors []string, next, previous bool) *model.BindingConnection {
	f := &requestFrom(ctx).families
	for i := range items {
		f.accounts.expect(items[i].AccountID)
		f.devices.expect(items[i].DeviceID)
	}
	c := &model.BindingConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.Binding) *model.BindingEdge {
		return &model.BindingEdge{Cursor: cursor, Node: node}
	})
	return c
}

func accountConnection(ctx context.Context, items []models.Account, cursors []string, next, previous bool, count types.Count) *types.AccountConnection {
	r := requestFrom(ctx)
	c := &types.AccountConnection{PageInfo: pageInfo(cursors, next, previous), Count: count}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.Account) *types.AccountEdge {
		r.accounts.put(node.ID, node)
		r.families.accounts.expect(node.ID)
		return &types.AccountEdge{Cursor: cursor, Node: node}
	})
	return c
}

func deviceConnection(ctx context.Context, items []models.Device, cursors []string, next, previous bool, count types.Count) *types.DeviceConnection {
	r := requestFrom(ctx)
	c := &types.DeviceConnection{PageInfo: pageInfo(cursors, next, previous), Count: count}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.Device) *types.DeviceEdge {
		r.devices.put(node.ID, node)
		r.families.devices.expect(node.ID)
		return &types.DeviceEdge{Cursor: cursor, Node: node}
	})
	return c
}

// eventConnection expects that the events' subjects will be asked for. The end of an empty page is where it began (resolutions 76).
func eventConnection(ctx context.Context, items []models.Event, cursors []string, next bool, after, end, horizon string) *model.EventConnection {
	r := requestFrom(ctx)
	c := &model.EventConnection{PageInfo: pageInfo(cursors, next, after != ""), Horizon: &horizon, Nodes: make([]*types.Event, len(items)), Edges: make([]*model.EventEdge, len(items))}
	c.PageInfo.EndCursor = end
	for i := range items {
		c.Nodes[i] = &types.Event{Event: items[i], Cursor: cursors[i]}
		c.Edges[i] = &model.EventEdge{Cursor: cursors[i], Node: c.Nodes[i]}
		if f := r.familyOf(items[i].Subject.Kind); f != nil {
			f.expect(items[i].Subject.ID)
		}
	}
	return c
}

// orEmpty is the connection of a row that has nothing in it.
func orEmpty(c *model.BindingConnection, err error) (*model.BindingConnection, error) {
	if c == nil {
		c = &model.BindingConnection{PageInfo: &types.PageInfo{}}
	}
	return c, err
}

func packageConnection(ctx context.Context, items []models.Package, cursors []string, next, previous bool) *model.PackageConnection {
	r := requestFrom(ctx)
	c := &model.PackageConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.Package) *model.PackageEdge {
		r.packages.put(node.ID, node)
		return &model.PackageEdge{Cursor: cursor, Node: node}
	})
	return c
}

func deliveryConnection(items []models.WebhookDelivery, cursors []string, next, previous bool) *model.WebhookDeliveryConnection {
	deliveries := make([]model.WebhookDelivery, len(items))
	for i, d := range items {
		deliveries[i] = model.WebhookDelivery{
			ID: models.Subject{Kind: models.KindWebhookDelivery, ID: d.ID}, Cursor: d.Cursor, Events: d.Events, Attempt: int(d.Attempt),
			Error: optional(d.Error), At: d.At,
		}
		if d.StatusCode > 0 {
			deliveries[i].StatusCode = &d.StatusCode
		}
	}
	c := &model.WebhookDeliveryConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(deliveries, cursors, func(cursor string, node *model.WebhookDelivery) *model.WebhookDeliveryEdge {
		return &model.WebhookDeliveryEdge{Cursor: cursor, Node: node}
	})
	return c
}

// configTaskConnection expects that the tasks' progress will be asked for.
func configTaskConnection(ctx context.Context, items []models.ConfigTask, cursors []string, next, previous bool) *model.ConfigTaskConnection {
	r := requestFrom(ctx)
	c := &model.ConfigTaskConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.ConfigTask) *model.ConfigTaskEdge {
		r.configTasks.put(node.ID, node)
		r.families.configTasks.expect(node.ID)
		return &model.ConfigTaskEdge{Cursor: cursor, Node: node}
	})
	return c
}

func smsConnection(items []models.SmsMessage, cursors []string, next, previous bool) *model.SmsMessageConnection {
	c := &model.SmsMessageConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.SmsMessage) *model.SmsMessageEdge {
		return &model.SmsMessageEdge{Cursor: cursor, Node: node}
	})
	return c
}

func parameterConnection(items []models.DeviceParameter, cursors []string, next, previous bool) *model.DeviceParameterConnection {
	c := &model.DeviceParameterConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.DeviceParameter) *model.DeviceParameterEdge {
		return &model.DeviceParameterEdge{Cursor: cursor, Node: node}
	})
	return c
}

func presenceConnection(items []models.ReachabilityChange, cursors []string, next, previous bool) *model.PresenceChangeConnection {
	changes := make([]model.PresenceChange, len(items))
	for i, c := range items {
		changes[i] = model.PresenceChange{
			At: c.At, State: c.State, PreviousState: c.PreviousState, Reason: optional(c.Reason), LoginSessionID: optional(c.LoginSessionID),
			DurationSeconds: int(c.DurationSeconds),
		}
	}
	c := &model.PresenceChangeConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(changes, cursors, func(cursor string, node *model.PresenceChange) *model.PresenceChangeEdge {
		return &model.PresenceChangeEdge{Cursor: cursor, Node: node}
	})
	return c
}

// taskConnection expects that the tasks' device will be asked for.
func taskConnection(ctx context.Context, items []models.Task, cursors []string, next, previous bool) *model.DeviceTaskConnection {
	for i := range items {
		requestFrom(ctx).families.devices.expect(items[i].DeviceID)
	}
	c := &model.DeviceTaskConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.Task) *model.DeviceTaskEdge {
		return &model.DeviceTaskEdge{Cursor: cursor, Node: node}
	})
	return c
}

// diagnosticConnection expects that the diagnostics' device will be asked for.
func diagnosticConnection(ctx context.Context, items []models.Diagnostic, cursors []string, next, previous bool) *model.DiagnosticConnection {
	for i := range items {
		requestFrom(ctx).families.devices.expect(items[i].DeviceID)
	}
	c := &model.DiagnosticConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.Diagnostic) *model.DiagnosticEdge {
		return &model.DiagnosticEdge{Cursor: cursor, Node: node}
	})
	return c
}

// sessionConnection expects that the sessions' messages will be asked for.
func sessionConnection(ctx context.Context, items []models.CwmpSession, cursors []string, next, previous bool) *model.CwmpSessionConnection {
	for i := range items {
		requestFrom(ctx).families.sessions.expect(items[i].ID)
	}
	c := &model.CwmpSessionConnection{PageInfo: pageInfo(cursors, next, previous)}
	c.Nodes, c.Edges = spread(items, cursors, func(cursor string, node *models.CwmpSession) *model.CwmpSessionEdge {
		return &model.CwmpSessionEdge{Cursor: cursor, Node: node}
	})
	return c
}
