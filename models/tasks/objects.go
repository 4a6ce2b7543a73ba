package tasks

import (
	"slices"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

const (
	nameUnknown = 9005
	// maxListed is how many lines of an answer a result keeps, maxLine how long one of them may be.
	maxListed = 10_000
	maxLine   = 256
)

// once are the kinds that are not asked for again when their answer was lost: a second object would be made, a client that has just been set
// up again would lose everything again (i4.md A.5-7).
var once = map[models.TaskKind]bool{models.AddObject: true, models.FactoryReset: true}

var unknownEnd = &models.Fault{Code: 8002, Message: "the session ended before the device answered, so nobody knows whether it was done; it is not asked for twice"}

// answer is the result of a kind that reads or changes attributes, objects or the device itself (resolutions 23).
func (r *Room) answer(tx *store.Tx, d *models.Device, t *models.Task, reply models.Reply) (map[string]any, error) {
	switch t.Kind {
	case models.GetAttributes:
		list := reply.Attributes[:min(len(reply.Attributes), maxListed)]
		shown := make([]models.ParameterAttribute, 0, len(list))
		told := map[string]int{}
		for _, a := range list {
			if len(a.Path) > maxLine || a.Notification > 2 || strings.HasSuffix(a.Path, ".") { // an object has no attributes (TR-069 A.3.2.5)
				continue
			}
			a.Access = slices.DeleteFunc(slices.Clone(a.Access[:min(len(a.Access), maxPaths)]), func(s string) bool { return len(s) > maxLine })
			shown, told[a.Path] = append(shown, a), a.Notification
		}
		return map[string]any{"attributes": shown}, devices.SaveNotifications(tx, d.ID, told)
	case models.SetAttributes:
		var a models.TaskRequest
		if err := tx.UnsealJSON("tasks", "request", t.ID, t.Request, &a); err != nil {
			return nil, err
		}
		told := map[string]int{}
		for _, path := range a.Paths {
			told[path] = *a.Notification
		}
		return map[string]any{}, devices.SaveNotifications(tx, d.ID, told)
	case models.AddObject:
		return map[string]any{"status": reply.Status, "instance": reply.Instance}, nil
	case models.DeleteObject:
		return map[string]any{"status": reply.Status}, nil
	case models.GetRPCMethods:
		names := append([]string{}, reply.Methods[:min(len(reply.Methods), maxListed)]...)
		return map[string]any{"methods": slices.DeleteFunc(names, func(s string) bool { return len(s) > maxLine })}, nil
	}
	return map[string]any{}, nil
}

// goneAlready ends a DELETE_OBJECT whose answer was lost and whose object is not there when it is asked for again.
func goneAlready(tx *store.Tx, d *models.Device, t *models.Task, f *models.Fault) (done bool, err error) {
	if t.Kind != models.DeleteObject || t.Attempts == 1 || t.Fault.V != nil || f.Code != nameUnknown {
		return false, nil
	}
	return move(tx, d, t, models.TaskSucceeded, map[string]any{
		"result": models.DocOf(map[string]any{"status": 0}), "fault": models.Doc[*models.Fault]{},
	})
}
