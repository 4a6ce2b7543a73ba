package configuration

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/tasks"
)

const (
	maxObjects = 4 // that a session adds
	// objectTries is how often an object is asked for in a day.
	objectTries = 3
	objectDay   = 24 * time.Hour
	// maxInstance is the highest number of an instance, and maxInstances how many of an object are looked at.
	maxInstance  = math.MaxUint32
	maxInstances = 256
)

// Build looks whether objects that a delivery sets exist on the device, and adds those that do not (TR-069 A.3.2.6). Every AddObject is written
// down with the instances of before, so that one whose answer was lost is found again and never asked for twice.
type Build struct {
	// levels are the objects, outer ones first, as the platform names them; the first is being looked at or, if adding, added.
	levels []string
	adding bool
	before models.DeviceObject
	// Changed: the device has an object that it did not have, or has it under a number that was not known.
	Changed bool
	// Later: it will have it after its next start.
	Later bool
}

// instances are the objects of a path that have an instance number, outer ones first.
func instances(path string) (objects []string) {
	for i := 0; i < len(path); i++ {
		if path[i] != '.' {
			continue
		}
		if n, err := strconv.ParseInt(path[strings.LastIndexByte(path[:i], '.')+1:i], 10, 64); err == nil && n > 0 {
			objects = append(objects, path[:i+1])
		}
	}
	return objects
}

// container splits an instance into the object that it is one of and its number.
func container(instance string) (object string, number int64) {
	i := strings.LastIndexByte(strings.TrimSuffix(instance, "."), '.') + 1
	number, _ = strconv.ParseInt(strings.TrimSuffix(instance[i:], "."), 10, 64)
	return instance[:i], number
}

// Unsure begins to build the objects of a delivery of which nobody knows whether the device has them: those that are not of the profile's own
// tree and were never met. nil if there are none.
func (r *Room) Unsure(tx *store.Tx, d *models.Device, delivery *Delivery) (*Build, error) {
	var levels []string
	for _, v := range delivery.Values {
		if isPath(v.Name) {
			levels = append(levels, instances(v.Name)...)
		}
	}
	if len(levels) == 0 {
		return nil, nil
	}
	rows, err := objectsOf(tx, d.ID)
	if err != nil {
		return nil, err
	}
	return newBuild(slices.DeleteFunc(levels, func(object string) bool { return rows[object].Instance != 0 || r.own(object) })), nil
}

// own tells whether an object is of the profile's own tree, which every client is taken to have.
func (r *Room) own(object string) bool {
	return slices.ContainsFunc(r.config.Catalogue.Parameters, func(p Parameter) bool { return strings.HasPrefix(r.config.Path(p.Name), object) })
}

// Missing begins to build the objects all of whose values in the delivery were answered 9005; nil if there are none, or the delivery counts no
// more.
func (r *Room) Missing(delivery *Delivery, fault models.Fault) *Build {
	refused := map[string]bool{}
	for _, offence := range fault.Parameters {
		if offence.Code == invalidName {
			refused[r.config.Path(r.nameOf(offence))] = true
		}
	}
	present, missing := map[string]bool{}, []string{}
	for _, v := range delivery.Values {
		path := r.config.Path(v.Name)
		for _, object := range instances(path) {
			if refused[path] {
				missing = append(missing, object)
			} else {
				present[object] = true
			}
		}
	}
	return newBuild(slices.DeleteFunc(missing, func(object string) bool { return present[object] }))
}

func newBuild(levels []string) *Build {
	slices.SortFunc(levels, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	if levels = slices.Compact(levels); len(levels) == 0 {
		return nil
	}
	return &Build{levels: levels}
}

// NextOf returns what to ask of the device for the build; nil if it is done. It must be committed before it is sent.
func (r *Room) NextOf(tx *store.Tx, d *models.Device, epoch int64, b *Build) (*models.Request, error) {
	if _, err := r.take(tx, d.ID, epoch); err != nil || len(b.levels) == 0 {
		return nil, err
	}
	rows, err := objectsOf(tx, d.ID)
	if err != nil {
		return nil, err
	}
	object, _ := container(b.levels[0])
	object = models.MovePath(moved(rows), object)
	if !b.adding {
		return &models.Request{Method: models.GetParameterNames, Path: object, NextLevel: true}, nil
	}
	lacks, err := tasks.Lacks(tx, d, models.AddObjectTo)
	if err != nil || lacks {
		b.levels = nil
		return nil, err
	}
	b.before.Tries++
	b.before.TriedAt = tx.Now
	if err := saveObject(tx, b.before); err != nil {
		return nil, err
	}
	return &models.Request{Method: models.AddObjectTo, Path: object}, nil
}

// AnsweredOf takes the device's answer to what NextOf asked; added counts what the session has added. A device that cannot tell, or will not
// add, ends the build.
func (r *Room) AnsweredOf(tx *store.Tx, d *models.Device, epoch int64, b *Build, reply models.Reply, added int) error {
	if _, err := r.take(tx, d.ID, epoch); err != nil {
		return err
	}
	if b.adding {
		b.adding = false
		if reply.Fault != nil && reply.Fault.Code == methodNotSupported {
			b.levels = nil
			return tasks.Learn(tx, d, models.AddObjectTo)
		}
		if reply.Fault != nil || reply.Instance < 1 || reply.Instance > maxInstance {
			b.levels = nil
			return nil
		}
		b.Later = b.Later || reply.Status == 1
		b.before.Instance = int64(reply.Instance)
		return b.found(tx)
	}
	if reply.Fault != nil && reply.Fault.Code != invalidName { // an object without instances may be unknown to the client
		b.levels = nil
		return nil
	}
	rows, err := objectsOf(tx, d.ID)
	if err != nil {
		return err
	}
	object, number := container(b.levels[0])
	there := numbers(models.MovePath(moved(rows), object), reply.Names)
	row, met := rows[b.levels[0]]
	if !met {
		row = models.DeviceObject{DeviceID: d.ID, Object: b.levels[0]}
	}
	fresh := slices.DeleteFunc(slices.Clone(there), func(n int64) bool { return slices.Contains(row.Known.V, n) })
	switch {
	case row.Instance != 0 && slices.Contains(there, row.Instance):
		b.levels = b.levels[1:]
		return nil
	case slices.Contains(there, number) && (!met || !slices.Contains(row.Known.V, number)):
		b.Changed = b.Changed || row.Instance != 0 // it was under another number
		row.Instance = number
		b.levels = b.levels[1:]
		return saveObject(tx, row)
	case met && row.Instance == 0 && row.Tries > 0 && len(fresh) > 0: // made by an AddObject whose answer was lost
		row.Instance = fresh[0]
	default:
		if row.TriedAt <= tx.Now.Add(-objectDay) {
			row.Tries = 0
		}
		if row.Tries >= objectTries || added >= maxObjects {
			b.levels = nil
			return nil
		}
		row.Instance, row.Known = 0, models.DocOf(there)
		b.before, b.adding = row, true
		return nil
	}
	b.before = row
	return b.found(tx)
}

// found notes where the object is and goes on with the next.
func (b *Build) found(tx *store.Tx) error {
	b.levels, b.Changed = b.levels[1:], true
	return saveObject(tx, b.before)
}

// Adding tells whether the build is about to add an object.
func (b *Build) Adding() bool { return b.adding }

// numbers are the instances of an object that a device names, the lowest first.
func numbers(object string, names []models.ParameterName) (list []int64) {
	for _, n := range names {
		rest, inside := strings.CutPrefix(n.Path, object)
		text, _, instance := strings.Cut(rest, ".")
		if number, err := strconv.ParseInt(text, 10, 64); inside && instance && err == nil && number > 0 && number <= maxInstance {
			list = append(list, number)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), maxInstances)]
}

func objectsOf(tx *store.Tx, id models.ID) (map[string]models.DeviceObject, error) {
	var rows []models.DeviceObject
	if err := tx.DB.Where("device_id = ?", id).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the objects of device %s: %w", id, err)
	}
	byObject := make(map[string]models.DeviceObject, len(rows))
	for _, row := range rows {
		byObject[row.Object] = row
	}
	return byObject, nil
}

// Moved lists the objects that the device has under other numbers than the platform names them by.
func Moved(tx *store.Tx, id models.ID) ([]models.Moved, error) {
	rows, err := objectsOf(tx, id)
	return moved(rows), err
}

func saveObject(tx *store.Tx, row models.DeviceObject) error {
	if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("save an object of device %s: %w", row.DeviceID, err)
	}
	return nil
}

// moved lists where the device has objects under another number than the platform wants, outer ones first.
func moved(rows map[string]models.DeviceObject) (list []models.Moved) {
	objects := make([]string, 0, len(rows))
	for object, row := range rows {
		if row.Instance != 0 {
			objects = append(objects, object)
		}
	}
	slices.SortFunc(objects, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	for _, from := range objects {
		object, _ := container(from)
		if to := fmt.Sprintf("%s%d.", models.MovePath(list, object), rows[from].Instance); to != from {
			list = append(list, models.Moved{From: from, To: to})
		}
	}
	return list
}
