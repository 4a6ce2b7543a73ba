package graph

import (
	"context"
	"net/http"
	"sync"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/desk"
	"github.com/softacs/softacs/models/passwords"
)

// request is what lives as long as one HTTP request: who asks, the HTTP side for the mutations that deal in cookies, what was disclosed, and
// the loaders.
type request struct {
	caller      caller
	w           http.ResponseWriter
	refresh     models.Secret
	roots       []string // names of the root fields, for the audit log
	disclosures *disclosures

	families struct{ accounts, devices, bindings, tasks, packages, messages, operators, clients, roles, audited family }

	accounts       *loader[*models.Account]
	devices        *loader[*models.Device]
	bindings       *loader[*models.Binding]
	tasks          *loader[*models.Task]
	packages       *loader[*models.Package]
	messages       *loader[*models.SmsMessage]
	operators      *loader[*models.Operator]
	clients        *loader[*models.APIClient]
	roles          *loader[*models.Role]
	audited        *loader[*models.AuditEntry]
	health         *loader[*desk.Health]
	passwords      *loader[passwords.State]
	suspensions    *loader[[]*models.Suspension]
	owing          *loader[bool]
	presence       *loader[models.DevicePresence]
	configurations *loader[*configuration.View]

	mu sync.Mutex
	// Pages of bindings by what was asked of them; fields with the same arguments share a loader.
	ofAccount, ofDevice map[bindingsAsked]*loader[*model.BindingConnection]
}

type bindingsAsked struct {
	state models.BindingState
	first int
}

type requestKey struct{}

// requestFrom returns the request of ctx; an empty one where none was begun, as in a panic before identify.
func requestFrom(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{disclosures: &disclosures{}}
}

func (s *server) newRequest(w http.ResponseWriter) *request {
	r := &request{w: w, disclosures: &disclosures{}, ofAccount: map[bindingsAsked]*loader[*model.BindingConnection]{}, ofDevice: map[bindingsAsked]*loader[*model.BindingConnection]{}}
	f := &r.families
	r.accounts = newLoader(&f.accounts, s.Accounts.ByIDs)
	r.devices = newLoader(&f.devices, s.Devices.ByIDs)
	r.bindings = newLoader(&f.bindings, s.Bindings.ByIDs)
	r.tasks = newLoader(&f.tasks, s.Tasks.ByIDs)
	r.packages = newLoader(&f.packages, s.Packages.ByIDs)
	r.messages = newLoader(&f.messages, s.Sms.ByIDs)
	r.operators = newLoader(&f.operators, s.Operators.OperatorsByID)
	r.clients = newLoader(&f.clients, s.Operators.APIClientsByID)
	r.roles = newLoader(&f.roles, s.Operators.RolesByID)
	r.audited = newLoader(&f.audited, s.Events.AuditByIDs)
	r.health = newLoader(&f.accounts, s.health(r))
	r.passwords = newLoader(&f.accounts, s.Passwords.States)
	r.suspensions = newLoader(&f.accounts, s.Accounts.Suspensions)
	r.owing = newLoader(&f.accounts, s.Accounts.OwingProof)
	r.presence = newLoader(&f.devices, s.Devices.PresenceByIDs)
	r.configurations = newLoader(&f.devices, func(ctx context.Context, ids []models.ID) (map[models.ID]*configuration.View, error) {
		views, err := s.Configuration.Get(ctx, ids)
		found := make(map[models.ID]*configuration.View, len(views))
		for id, view := range views {
			found[id] = &view
		}
		return found, err
	})
	return r
}

// bindingsOfAccounts is the loader of first pages of bindings.
func (s *server) bindingsOfAccounts(r *request, asked bindingsAsked) *loader[*model.BindingConnection] {
	return r.bindingsLoader(r.ofAccount, &r.families.accounts, asked, func(ctx context.Context, ids []models.ID) (map[models.ID]*model.BindingConnection, error) {
		pages, err := s.Bindings.ForAccounts(ctx, ids, asked.state, asked.first)
		found := make(map[models.ID]*model.BindingConnection, len(pages))
		for id, page := range pages {
			found[id] = bindingConnection(ctx, page.Items, page.Cursors, page.HasNext, page.HasPrevious)
		}
		return found, err
	})
}

// bindingsOfDevices is bindingsOfAccounts for devices.
func (s *server) bindingsOfDevices(r *request, asked bindingsAsked) *loader[*model.BindingConnection] {
	return r.bindingsLoader(r.ofDevice, &r.families.devices, asked, func(ctx context.Context, ids []models.ID) (map[models.ID]*model.BindingConnection, error) {
		pages, err := s.Bindings.ForDevices(ctx, ids, asked.state, asked.first)
		found := make(map[models.ID]*model.BindingConnection, len(pages))
		for id, page := range pages {
			found[id] = bindingConnection(ctx, page.Items, page.Cursors, page.HasNext, page.HasPrevious)
		}
		return found, err
	})
}

func (r *request) bindingsLoader(loaders map[bindingsAsked]*loader[*model.BindingConnection], f *family, asked bindingsAsked,
	fetch func(context.Context, []models.ID) (map[models.ID]*model.BindingConnection, error),
) *loader[*model.BindingConnection] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if loaders[asked] == nil {
		loaders[asked] = newLoader(f, fetch)
	}
	return loaders[asked]
}
