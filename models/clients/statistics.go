package clients

import (
	"context"

	"github.com/softacs/softacs/models"
)

// reports tells whether the Inform brings call statistics that the platform takes: at L1, of a client of the IMS profile (i4.md B.9, resolutions 6).
func (v *Visit) reports() bool {
	return v.trust >= models.L1 && v.clientType() != models.Generic && v.in.Has(models.EventStatistics)
}

// onlyReports tells whether STATISTICS is the only event. Such an Inform says nothing of the device itself that the next heartbeat does not say.
func (v *Visit) onlyReports() bool {
	for _, e := range v.in.Events {
		if e.Name != models.EventStatistics {
			return false
		}
	}
	return v.reports()
}

// takeStatistics stores the report before the Inform is answered, because the answer is what lets the client forget it. A report that is none gets
// Status 40 at the empty POST.
func (v *Visit) takeStatistics(ctx context.Context) error {
	if !v.reports() {
		return nil
	}
	wrong, err := v.room.Statistics.Receive(ctx, v.device, v.in)
	if err == nil && wrong != "" {
		v.flows = append(v.flows, &tell{outcome: malformed(wrong)})
	}
	return err
}
