package statistics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

const (
	// frequent is the interval below which a report counts in the limit (resolutions 12).
	frequent = 15 * time.Minute
	// races is how often a report is taken anew because another one of the device came between.
	races = 10
)

// errRaced says that the chain was changed since it was read.
var errRaced = errors.New("another report of the device came between")

// Receive takes the report that an Inform of d at L1 carries, at most once, with three statements at most. wrong is the logical name of the
// parameter that makes it no report (Status 40). What is dropped is acknowledged all the same.
func (r *Room) Receive(ctx context.Context, d *models.Device, in *models.Inform) (wrong string, err error) {
	report, wrong := Parse(in)
	var outcome Outcome
	for try := 1; ; try++ {
		err = r.store.InTx(ctx, func(tx *store.Tx) (err error) {
			if wrong != "" {
				outcome, err = r.refuse(tx, d, &report, wrong)
			} else {
				outcome, err = r.take(tx, d, &report, in.CurrentTime)
			}
			return err
		})
		if !errors.Is(err, errRaced) || try == races {
			break
		}
	}
	if err != nil {
		return wrong, fmt.Errorf("take the statistics of device %s: %w", d.ID, err)
	}
	r.count(outcome)
	return wrong, nil
}

// take puts the report into the chain of its BootId.
func (r *Room) take(tx *store.Tx, d *models.Device, report *Report, current models.Time) (Outcome, error) {
	known, err := r.read(tx, d, report)
	if err != nil {
		return "", err
	}
	hash := report.hash()
	if same := known.same; same != nil {
		if bytes.Equal(same.Hash, hash) {
			return Duplicate, nil
		}
		return Conflicting, conflict(tx, d, same, known.externalID)
	}
	row := &models.StatisticsReport{
		DeviceID: d.ID, BootID: report.BootID, Seq: report.Seq, AccountID: d.AccountID, ReceivedAt: tx.Now, Hash: hash,
		Frequent: report.End-report.Start < models.Time(frequent.Milliseconds()), Gauges: models.DocOf(report.Gauges), Raw: models.DocOf(report.Raw),
	}
	if row.Frequent && known.often {
		return TooOften, nil
	}
	row.StartedAt, row.EndedAt, row.Flags.V = place(report, current, tx.Now)
	if row.EndedAt < tx.Now.Add(-acceptable) {
		return TooLate, nil
	}
	if report.Malformed {
		row.Flags.V = append(row.Flags.V, models.StatisticsMalformed)
	}
	row.DueAt = tx.Now.Add(patience(row))
	insert(known.before, row, known.after, report.Counters)
	if err := save(tx, row, known.after); err != nil {
		return "", err
	}
	return Received, events.Append(tx, eventOf(d, "stats.received", row, known.externalID))
}

// neighbours are what is known where a report belongs.
type neighbours struct {
	before, same, after *models.StatisticsReport
	// externalID is that of the device's account. often: a report that counts in the limit came a short time ago.
	externalID string
	often      bool
}

const (
	ofBoot = "SELECT * FROM statistics_reports WHERE device_id = ? AND boot_id = ? AND seq"
	// aRow is there even if no report is.
	neighbourhood = "SELECT a.external_id AS account_external_id, " +
		"EXISTS (SELECT 1 FROM statistics_reports WHERE device_id = ? AND received_at > ? AND frequent = TRUE) OR" +
		" EXISTS (SELECT 1 FROM statistics_refusals WHERE device_id = ? AND received_at > ?) AS often, r.*" +
		" FROM (SELECT 1 AS one) o LEFT JOIN accounts a ON a.id = ? LEFT JOIN (" +
		ofBoot + " = ? UNION ALL" +
		" SELECT * FROM (" + ofBoot + " < ? ORDER BY seq DESC LIMIT 1) b UNION ALL" +
		" SELECT * FROM (" + ofBoot + " > ? ORDER BY seq LIMIT 1) n) r ON 1 = 1"
)

// read reads everything that decides about a report, in one statement.
func (r *Room) read(tx *store.Tx, d *models.Device, report *Report) (known neighbours, err error) {
	var rows []struct {
		models.StatisticsReport `gorm:"embedded"`
		AccountExternalID       string
		Often                   bool
	}
	since := tx.Now.Add(-r.config.Spacing)
	err = tx.DB.Raw(neighbourhood, d.ID, since, d.ID, since, d.AccountID, d.ID, report.BootID, report.Seq, d.ID, report.BootID, report.Seq,
		d.ID, report.BootID, report.Seq).Scan(&rows).Error
	if err != nil {
		return known, fmt.Errorf("read the chain of reports: %w", err)
	}
	for i := range rows {
		known.externalID, known.often = rows[i].AccountExternalID, rows[i].Often && r.config.Spacing > 0
		switch row := &rows[i].StatisticsReport; {
		case row.DeviceID.IsZero():
		case row.Seq < report.Seq:
			known.before = row
		case row.Seq == report.Seq:
			known.same = row
		default:
			known.after = row
		}
	}
	return known, nil
}

// ofChain are the columns of a report that follow from the one before it.
var ofChain = []string{"previous_seq", "flags", "counters", "deltas"}

// save writes a report and the changed one after it. errRaced: the chain is not what it was when it was read; the unique key of PreviousSeq tells.
func save(tx *store.Tx, row, after *models.StatisticsReport) error {
	if after == nil {
		err := tx.DB.Create(row).Error
		if store.IsDuplicate(err) {
			return errRaced
		}
		return err
	}
	done := tx.DB.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "device_id"}, {Name: "boot_id"}, {Name: "seq"}},
		DoUpdates: clause.AssignmentColumns(ofChain),
	}).Create([]models.StatisticsReport{*after, *row})
	if store.IsDuplicate(done.Error) {
		return errRaced
	}
	if done.Error != nil {
		return fmt.Errorf("save a report: %w", done.Error)
	}
	// MySQL counts an insert as one row and an update as two. Anything else means that a row was updated which ought to be new.
	if mysql := tx.DB.Name() == "mysql"; mysql && done.RowsAffected != 3 || !mysql && done.RowsAffected != 2 {
		return errRaced
	}
	return nil
}

// conflict notes that a report came again with other values, once a report.
func conflict(tx *store.Tx, d *models.Device, row *models.StatisticsReport, externalID string) error {
	if slices.Contains(row.Flags.V, models.StatisticsConflict) {
		return nil
	}
	before := row.Flags
	row.Flags.V = append(slices.Clone(row.Flags.V), models.StatisticsConflict)
	slices.Sort(row.Flags.V)
	done := only(tx, row).Where("flags = ?", before).Update("flags", row.Flags)
	if done.Error != nil {
		return fmt.Errorf("mark a report: %w", done.Error)
	}
	if done.RowsAffected == 0 {
		return errRaced
	}
	return events.Append(tx, eventOf(d, "stats.conflict", row, externalID))
}

// only is the one row of a report. GORM would leave a Seq of 0 out of the key by itself.
func only(tx *store.Tx, row *models.StatisticsReport) *gorm.DB {
	return tx.DB.Model(&models.StatisticsReport{}).Where("device_id = ? AND boot_id = ? AND seq = ?", row.DeviceID, row.BootID, row.Seq)
}

// refuse keeps a report that is none.
func (r *Room) refuse(tx *store.Tx, d *models.Device, report *Report, wrong string) (Outcome, error) {
	known, err := r.read(tx, d, report)
	if err != nil || known.often {
		return TooOften, err
	}
	row := models.StatisticsRefusal{DeviceID: d.ID, ReceivedAt: tx.Now, Parameter: wrong, Raw: models.DocOf(report.Raw)}
	return Refused, tx.DB.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
}

// eventOf is an event about a report. The external id was read with the chain.
func eventOf(d *models.Device, code string, row *models.StatisticsReport, externalID string) models.Event {
	fields := map[string]any{"bootId": row.BootID, "seq": row.Seq, "intervalStart": row.StartedAt, "intervalEnd": row.EndedAt}
	if len(row.Flags.V) > 0 {
		fields["flags"] = row.Flags.V
	}
	e := devices.EventOf(d, models.StatisticsReceived, code, fields)
	e.AccountExternalID = externalID
	return e
}
