package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Line is one thing that happened to an account.
type Line struct {
	events.Moment
	At    models.Time
	Kind  Kind
	Level Level
	// DeviceID is the device that it was about; zero: none.
	DeviceID models.ID
	// Actor is whoever caused it.
	Actor  models.Actor
	says   words
	detail string
}

// Title says what happened. Errors as words.in.
func (l *Line) Title(locale string) (string, error) { return l.says.in(locale) }

// Detail says more about it, in the terms of the platform; empty if there is no more to say. Errors as Title.
func (l *Line) Detail(locale string) (string, error) { return words{l.detail, l.detail}.in(locale) }

// Asked narrows a timeline; no kinds are all kinds.
type Asked struct {
	Kinds []Kind
	// From is inclusive, To is not; zero: open.
	From, To models.Time
}

// Timeline returns what happened to an account, the newest first. Errors as events.Log.History; a range that ends before it begins is
// BAD_USER_INPUT. It takes at most four statements.
func (r *Room) Timeline(ctx context.Context, a *models.Account, asked Asked, first int, after string) (page store.Slice[Line], err error) {
	if !asked.To.IsZero() && asked.From >= asked.To {
		return page, models.E(models.BadUserInput, "the range ends before it begins", "range")
	}
	filter := events.HistoryFilter{From: asked.From, To: asked.To, Deeds: asked.wants(KindOperator)}
	for t, kind := range kinds {
		if asked.wants(kind) {
			filter.Types = append(filter.Types, t)
		}
	}
	slices.Sort(filter.Types)
	history, err := r.log.History(ctx, a, filter, first, after)
	page = store.Slice[Line]{Cursors: history.Cursors, HasNext: history.HasNext, HasPrevious: history.HasPrevious}
	for _, m := range history.Items {
		if m.Event != nil {
			page.Items = append(page.Items, happened(m))
		} else {
			page.Items = append(page.Items, done(m))
		}
	}
	return page, err
}

func (a Asked) wants(k Kind) bool { return len(a.Kinds) == 0 || slices.Contains(a.Kinds, k) }

// happened is the line of an event.
func happened(m events.Moment) Line {
	e := m.Event
	code, _ := e.Payload.V["code"].(string)
	said, known := titles[code]
	if !known {
		said = told{types[e.Type], Good}
	}
	var parts []string
	for _, name := range details {
		switch value := e.Payload.V[name].(type) {
		case nil:
		case []any:
			for _, one := range value {
				parts = append(parts, fmt.Sprint(one))
			}
		default:
			if text := fmt.Sprint(value); text != "" {
				parts = append(parts, text)
			}
		}
	}
	return Line{
		Moment: m, At: e.OccurredAt, Kind: kinds[e.Type], Level: said.level, DeviceID: e.DeviceID, says: said.says, detail: strings.Join(parts, " · "),
		Actor: models.Actor{Kind: e.ActorKind, ID: e.ActorID, Name: e.ActorName, OnBehalfOf: e.OnBehalfOf},
	}
}

// done is the line of an audit row.
func done(m events.Moment) Line {
	e := m.Audit
	said, known := deeds[e.Action]
	if !known {
		said = words{e.Action, e.Action}
	}
	return Line{
		Moment: m, At: e.At, Kind: KindOperator, Level: Good, says: said,
		Actor: models.Actor{Kind: e.ActorKind, ID: e.ActorID, Name: e.ActorName, OnBehalfOf: e.OnBehalfOf},
	}
}
