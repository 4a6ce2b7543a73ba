package configuration

import (
	"fmt"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/store"
)

// maxProbes is how many values are read back to tell whether a version took effect (i4.md B.10).
const maxProbes = 2

// doubted tells whether a ParameterKey alone does not say that the version in the device's hands took effect: the device was to apply it at its
// start, or an earlier try of it failed.
func (c *current) doubted() bool {
	return c.State == models.ConfigurationCommitted || c.State == models.ConfigurationSent && !c.NextAt.IsZero()
}

// probes are the names of what the version in the device's hands changed and a device tells: mandatory ones first, switches before the rest.
func (r *Room) probes(tx *store.Tx, c *current, content content) ([]string, error) {
	applied, err := readValues(tx, "applied", c.DeviceID, c.Applied)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(r.ordered(content.values), func(name string) bool {
		confirmed, set := applied[name]
		return !r.watched(name) || set && confirmed == content.values[name]
	})
	slices.Reverse(names) // switches are delivered last
	mandatory := make([]string, 0, len(names))
	optional := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		p, known := r.parameter(name)
		if known && !p.Optional {
			mandatory = append(mandatory, name)
			return true
		}
		return false
	})
	names = append(mandatory, optional...)
	return names[:min(len(names), maxProbes)], nil
}

// doubt is the request that reads the probes back. It is asked again in every session until it is answered.
func (c *current) doubt(tx *store.Tx, names []string) (*models.Request, error) {
	if c.NextAt.IsZero() {
		c.NextAt = tx.Now
		if err := c.save(tx); err != nil {
			return nil, err
		}
		if err := devices.SetWork(tx, c.DeviceID, tx.Now); err != nil {
			return nil, err
		}
	}
	objects, err := Moved(tx, c.DeviceID)
	return &models.Request{Method: models.GetParameterValues, Names: names, Moved: objects}, err
}

// Probed judges the answer to the request that Confirm returned. A device that holds what it was sent, or that does not tell, has applied the
// version; it reports false for one that holds something else, which is sent again, after three tries every hour. Optional parameters are given
// up after three tries, as if the device had refused them. ErrOvertaken if there is nothing to judge any more.
func (r *Room) Probed(tx *store.Tx, d *models.Device, epoch int64, reply models.Reply) (applied bool, err error) {
	c, err := r.take(tx, d.ID, epoch)
	if err != nil {
		return false, err
	}
	if !c.doubted() || c.SentVersion != c.DesiredVersion {
		return false, ErrOvertaken
	}
	content, err := r.deliverable(tx, d, c.Configuration)
	if err != nil {
		return false, err
	}
	names, err := r.probes(tx, c, content)
	if err != nil {
		return false, err
	}
	var others []string
	again := false
	for _, v := range reply.Values {
		if !slices.Contains(names, v.Name) || r.canonical(v.Name, v.Value) == r.canonical(v.Name, content.values[v.Name]) {
			continue
		}
		others = append(others, v.Name)
		p, known := r.parameter(v.Name)
		again = again || known && !p.Optional || c.Attempts < maxTries
	}
	if again {
		return false, c.later(tx, fmt.Sprintf("%.256s: not as it was set", r.config.Path(others[0])))
	}
	for _, name := range others {
		delete(content.values, name)
	}
	return true, r.confirm(tx, d, c, content.values, false, append(content.unsupported, others...))
}
