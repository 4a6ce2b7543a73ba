package graph

import (
	"context"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/graph/types"
	"github.com/softacs/softacs/models"
)

func (r *request) familyOf(kind models.Kind) *family {
	f := &r.families
	switch kind {
	case models.KindAccount:
		return &f.accounts
	case models.KindDevice:
		return &f.devices
	case models.KindBinding:
		return &f.bindings
	case models.KindTask:
		return &f.tasks
	case models.KindDiagnostic:
		return &f.diagnostics
	case models.KindPackage:
		return &f.packages
	case models.KindConfigTask:
		return &f.configTasks
	case models.KindSms:
		return &f.messages
	case models.KindOperator:
		return &f.operators
	case models.KindAPIClient:
		return &f.clients
	case models.KindRole:
		return &f.roles
	case models.KindAuditEntry:
		return &f.audited
	case models.KindWebhook:
		return &f.webhooks
	}
	return nil
}

// nodeNeeds is @need of the types that a Node may be, for values whose type the document does not name. A test holds it against the schema.
var nodeNeeds = map[models.Kind]models.Permission{
	models.KindAccount: models.AccountRead, models.KindSms: models.AccountRead,
	models.KindDevice: models.DeviceRead, models.KindBinding: models.DeviceRead, models.KindTask: models.DeviceRead, models.KindConfigTask: models.DeviceRead,
	models.KindDiagnostic: models.DiagRun, models.KindAuditEntry: models.AuditRead, models.KindWebhook: models.WebhookAdmin,
	models.KindPackage: models.UpgradeRead, models.KindOperator: models.OperatorAdmin, models.KindAPIClient: models.OperatorAdmin, models.KindRole: models.OperatorAdmin,
}

// node loads what s names: nil if there is nothing of the kind in scope, FORBIDDEN for a kind that the actor may not read (resolutions 78).
func node(ctx context.Context, s models.Subject) (types.Node, error) {
	permission, known := nodeNeeds[s.Kind]
	if !known {
		return nil, nil
	}
	if err := models.Need(ctx, permission); err != nil {
		return nil, err
	}
	r := requestFrom(ctx)
	switch s.Kind {
	case models.KindAccount:
		return found(r.accounts.get(ctx, s.ID))
	case models.KindDevice:
		return found(r.devices.get(ctx, s.ID))
	case models.KindBinding:
		return found(r.bindings.get(ctx, s.ID))
	case models.KindTask:
		return found(r.tasks.get(ctx, s.ID))
	case models.KindDiagnostic:
		return found(r.diagnostics.get(ctx, s.ID))
	case models.KindPackage:
		return found(r.packages.get(ctx, s.ID))
	case models.KindConfigTask:
		return found(r.configTasks.get(ctx, s.ID))
	case models.KindSms:
		return found(r.messages.get(ctx, s.ID))
	case models.KindOperator:
		return found(r.operators.get(ctx, s.ID))
	case models.KindAPIClient:
		return found(r.clients.get(ctx, s.ID))
	case models.KindAuditEntry:
		return found(r.audited.get(ctx, s.ID))
	case models.KindWebhook:
		return found(r.webhooks.get(ctx, s.ID))
	default:
		return found(r.roles.get(ctx, s.ID))
	}
}

// found keeps a nil pointer from becoming a Node that is not nil.
func found[T any](row *T, err error) (types.Node, error) {
	if row == nil {
		return nil, err
	}
	return row, err
}

// subject is the global id of a row.
func subject(kind models.Kind, id models.ID) (*models.Subject, error) {
	return &models.Subject{Kind: kind, ID: id}, nil
}

// idOf is the id of a row of that kind; the zero ID, which no row has, for an id of another kind.
func idOf(kind models.Kind, s models.Subject) models.ID {
	if s.Kind != kind {
		return models.ID{}
	}
	return s.ID
}

func idsOf(kind models.Kind, list []*models.Subject) []models.ID {
	ids := make([]models.ID, len(list))
	for i, s := range list {
		ids[i] = idOf(kind, *s)
	}
	return ids
}

// actorOf is who did something. Everybody sees the names of operators and API clients; whoever may see more gets the row (resolutions 61).
func actorOf(ctx context.Context, kind models.ActorKind, id models.ID, name string) (types.Actor, error) {
	r, whole := requestFrom(ctx), models.ActorFrom(ctx).Can(models.OperatorAdmin)
	switch kind {
	case models.OperatorActor:
		if whole {
			if row, err := r.operators.get(ctx, id); row != nil || err != nil {
				return row, err
			}
		}
		return &models.Operator{ID: id, Username: name}, nil
	case models.APIClientActor:
		if whole {
			if row, err := r.clients.get(ctx, id); row != nil || err != nil {
				return row, err
			}
		}
		return &models.APIClient{ID: id, ClientID: name}, nil
	case models.DeviceActor:
		return &model.DeviceActor{DeviceID: models.Subject{Kind: models.KindDevice, ID: id}}, nil
	case models.SystemActor:
		return &model.SystemActor{Component: name}, nil
	}
	return nil, nil
}

// inReach refuses a row that must be shown but is not in the actor's reach, such as the account of a binding without ACCOUNT_READ in its region.
func inReach[T any](row *T, err error) (*T, error) {
	if row == nil && err == nil {
		return nil, models.E(models.Forbidden, "the row is in a region that you may not read")
	}
	return row, err
}

func rolesOf(ctx context.Context, ids []models.ID) ([]*models.Role, error) {
	r := requestFrom(ctx)
	r.families.roles.expect(ids...)
	list := make([]*models.Role, 0, len(ids))
	for _, id := range ids {
		role, err := r.roles.get(ctx, id)
		if err != nil {
			return nil, err
		}
		if role != nil {
			list = append(list, role)
		}
	}
	return list, nil
}
