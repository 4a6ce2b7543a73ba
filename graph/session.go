package graph

import (
	"context"
	"slices"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/operators"
)

// signedIn hands out the access token and the refresh cookie of a session, or says why there is none.
func (s *server) signedIn(ctx context.Context, session operators.Session, err error) (*model.SignInPayload, error) {
	refused, err := refusal(err)
	if err != nil || refused != nil {
		return &model.SignInPayload{UserErrors: refused}, err
	}
	actor, err := s.Operators.Actor(ctx, models.OperatorActor, session.Operator.ID)
	if err != nil {
		return nil, err
	}
	text, expires, err := s.tokens.issue(models.OperatorActor, session.Operator.ID)
	if err != nil {
		return nil, err
	}
	v, err := viewer(models.WithActor(ctx, actor))
	if err != nil {
		return nil, err
	}
	s.setRefresh(ctx, session.RefreshToken, session.ExpiresAt)
	return &model.SignInPayload{Viewer: v, AccessToken: &text, ExpiresAt: &expires}, nil
}

// viewer shows who acts to themselves. No regions means everywhere, as in a role.
func viewer(ctx context.Context) (*model.Viewer, error) {
	a := models.ActorFrom(ctx)
	actor, err := actorOf(ctx, a.Kind, a.ID, a.Name)
	v := &model.Viewer{Actor: actor, Permissions: []models.Permission{}, Regions: []string{}}
	everywhere := false
	for _, g := range a.Grants {
		everywhere = everywhere || len(g.Regions) == 0
		v.Regions = append(v.Regions, g.Regions...)
	}
	for _, p := range models.Permissions {
		if a.Can(p) {
			v.Permissions = append(v.Permissions, p)
		}
	}
	slices.Sort(v.Regions)
	if v.Regions = slices.Compact(v.Regions); everywhere {
		v.Regions = []string{}
	}
	return v, err
}
