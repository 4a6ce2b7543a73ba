package configuration

import (
	"context"
	"slices"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Restore names what an Inform tells as the platform does, where the device has objects under other numbers. It costs a statement if the Inform
// names an instance that the profile does not, of a device with a configuration; else none.
func (r *Room) Restore(ctx context.Context, d *models.Device, in *models.Inform) error {
	names := func(v models.Value) bool { return isPath(r.config.Name(v.Name)) && len(instances(v.Name)) > 0 }
	if d.DesiredVersion == 0 || !slices.ContainsFunc(in.Raw, names) {
		return nil
	}
	var objects []models.Moved
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		objects, err = Moved(tx, d.ID)
		return err
	})
	if err != nil || len(objects) == 0 {
		return err
	}
	// What the device has of such an object stands for ours, even if there is another one under our number.
	values, ours := make(map[string]models.Value, len(in.Values)), map[string]bool{}
	for name, v := range in.Values {
		path := r.config.Path(name)
		back := models.UnmovePath(objects, path)
		v.Name = r.config.Name(back)
		if back != path {
			ours[back], v.Secret = true, r.config.IsSecret(back)
		} else if _, taken := values[v.Name]; taken {
			continue
		}
		values[v.Name] = v
	}
	in.Values = values
	in.Raw = slices.DeleteFunc(slices.Clone(in.Raw), func(v models.Value) bool {
		back := models.UnmovePath(objects, v.Name)
		return back == v.Name && ours[v.Name] || r.config.IsSecret(back)
	})
	for i, v := range in.Raw {
		in.Raw[i].Name = models.UnmovePath(objects, v.Name)
	}
	return nil
}
