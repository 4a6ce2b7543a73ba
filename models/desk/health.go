package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/passwords"
	"github.com/softacs/softacs/models/store"
)

// Health is how an account is.
type Health struct {
	Level Level
	// Since is when the first of the causes of that level began; zero: not known, or nothing is wrong.
	Since  models.Time
	Causes []Cause
}

// Cause is one thing that is wrong.
type Cause struct {
	// Code is stable.
	Code   string
	Level  Level
	Since  models.Time // zero: not known
	Device *models.Device
	// SuggestedActions are names of mutations.
	SuggestedActions []string
	says             words
}

// Message says it in a language. Errors as words.in.
func (c *Cause) Message(locale string) (string, error) { return c.says.in(locale) }

// Patient is an account whose health is asked for, and what passwords knows of it.
type Patient struct {
	Account  *models.Account
	Password passwords.State
}

// picture is what is known of one account.
type picture struct {
	now      models.Time
	account  *models.Account
	password passwords.State
	devices  []*standing
	signs    []sign
}

// standing is a device of the account with its presence, its configuration and its first line.
type standing struct {
	models.Device `gorm:"embedded"`
	LastInformAt  models.Time
	State         models.ConfigurationState // of the configuration; empty for none
	Failure       string
	ChangedAt     models.Time
	Drifting      bool
	Line          models.LineRegistration `gorm:"embedded;embeddedPrefix:line_"`
	reach         models.Reachability
}

// sign is one piece of evidence.
type sign struct {
	Kind      string
	AccountID models.ID
	DeviceID  models.ID
	At        models.Time
	// Word is a state; of a report "due" while the next one is waited for, of a screen that waits why it does.
	Word     string
	Flags    models.Doc[[]models.StatisticsFlag]
	Counters models.Doc[map[string]int64]
	Deltas   models.Doc[map[string]int64]
	Gauges   models.Doc[map[string]int64]
}

func (s *sign) report() *models.StatisticsReport {
	return &models.StatisticsReport{Flags: s.Flags, Counters: s.Counters, Deltas: s.Deltas, Gauges: s.Gauges}
}

const (
	signSMS      = "sms"
	signDownload = "download"
	signSIM      = "sim"
	signReport   = "report"
	signScreen   = "screen"
)

// Health judges each of the accounts, which the actor may read. It takes two statements, however many accounts, devices and events there are, and
// looks at the newest row of each kind only.
func (r *Room) Health(ctx context.Context, patients []Patient) (map[models.ID]*Health, error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	pictures := make(map[models.ID]*picture, len(patients))
	var ids []models.ID
	for _, p := range patients {
		pictures[p.Account.ID] = &picture{now: r.clock.Now(), account: p.Account, password: p.Password}
		if p.Account.State == models.AccountActive {
			ids = append(ids, p.Account.ID)
		}
	}
	err := r.store.View(ctx, func(tx *store.Tx) error { return r.look(tx, ids, pictures) })
	if err != nil {
		return nil, err
	}
	found := make(map[models.ID]*Health, len(patients))
	for id, p := range pictures {
		found[id] = r.judge(p)
	}
	return found, nil
}

// look reads what there is to know about the accounts.
func (r *Room) look(tx *store.Tx, ids []models.ID, pictures map[models.ID]*picture) error {
	if len(ids) == 0 {
		return nil
	}
	var list []*standing
	err := tx.DB.Table("devices").Select("devices.*, device_presence.last_inform_at, configurations.state, configurations.failure, configurations.changed_at, configurations.drifting, "+
		"line_registrations.status AS line_status, line_registrations.since AS line_since, line_registrations.sip_status AS line_sip_status").
		Joins("LEFT JOIN device_presence ON device_presence.device_id = devices.id").
		Joins("LEFT JOIN configurations ON configurations.device_id = devices.id").
		Joins("LEFT JOIN line_registrations ON line_registrations.device_id = devices.id AND line_registrations.line_index = 1").
		Where("devices.account_id IN ?", ids).Order("devices.id").Find(&list).Error
	if err != nil {
		return fmt.Errorf("read the devices of accounts: %w", err)
	}
	for _, d := range list {
		d.reach = r.devices.Reachability(&d.Device, models.DevicePresence{LastInformAt: d.LastInformAt})
		pictures[d.AccountID].devices = append(pictures[d.AccountID].devices, d)
	}
	signs, err := evidence(tx, ids)
	for _, s := range signs {
		pictures[s.AccountID].signs = append(pictures[s.AccountID].signs, s)
	}
	return err
}

const (
	nothing = "NULL AS flags, NULL AS counters, NULL AS deltas, NULL AS gauges"
	// The newest of each is found from the account or the device, by the end of a range of an index.
	newestSMS = "SELECT 'sms' AS kind, a.id AS account_id, NULL AS device_id, s.final_at AS at, s.state AS word, " + nothing + ` FROM accounts a
		JOIN sms_messages s ON s.id = (SELECT MAX(m.id) FROM sms_messages m WHERE m.account_id = a.id) WHERE a.id IN @ids`
	newestDownload = "SELECT 'download', d.account_id, d.id, t.completed_at, t.state, " + nothing + ` FROM devices d
		JOIN tasks t ON t.id = (SELECT MAX(x.task_id) FROM device_downloads x WHERE x.device_id = d.id) WHERE d.account_id IN @ids`
	foreignSIM = "SELECT 'sim', e.account_id, e.device_id, MAX(e.occurred_at), '', " + nothing + ` FROM events e
		WHERE e.account_id IN @ids AND e.type = @security AND e.occurred_at > @lately
		AND (INSTR(e.payload, '"security.sim_changed"') > 0 OR INSTR(e.payload, '"security.imsi_mismatch"') > 0) GROUP BY e.account_id, e.device_id`
	newestReport = `SELECT 'report', d.account_id, d.id, s.received_at, CASE WHEN s.due_at > 0 THEN 'due' ELSE '' END, s.flags, s.counters, s.deltas, s.gauges
		FROM devices d JOIN statistics_reports s ON s.device_id = d.id
		AND s.received_at = (SELECT MAX(n.received_at) FROM statistics_reports n WHERE n.device_id = d.id) WHERE d.account_id IN @ids`
	// A screen is an account's when it is bound to it, or when the order names it.
	screenKept = "SELECT 'screen', d.account_id, d.id, d.waiting_at, " + screenWord + `, ` + nothing + ` FROM devices d
		LEFT JOIN screens s ON s.device_id = d.id WHERE d.account_id IN @ids AND (d.waiting_at > 0 OR d.stock_state = @stolen)`
	screenNamed = "SELECT 'screen', a.id, d.id, d.waiting_at, " + screenWord + `, ` + nothing + ` FROM accounts a
		JOIN devices d ON d.serial_number = a.screen_serial AND (d.account_id IS NULL OR d.account_id <> a.id) LEFT JOIN screens s ON s.device_id = d.id
		WHERE a.id IN @ids AND a.screen_serial <> '' AND (d.waiting_at > 0 OR d.stock_state = @stolen)`
	screenWord = "CASE WHEN d.stock_state = @stolen THEN d.stock_state ELSE COALESCE(s.noted, '') END"
)

// evidence reads the newest message of each account and the newest download and report of each device, whether a foreign SIM card was told of, and
// which screens are not served.
func evidence(tx *store.Tx, ids []models.ID) (signs []sign, err error) {
	query := strings.Join([]string{newestSMS, newestDownload, foreignSIM, newestReport, screenKept, screenNamed}, " UNION ALL ")
	err = tx.DB.Raw(query, map[string]any{
		"ids": ids, "security": models.Security, "lately": tx.Now.Add(-lately), "stolen": models.Stolen,
	}).Scan(&signs).Error
	if err != nil {
		return nil, fmt.Errorf("read what tells of the health of accounts: %w", err)
	}
	return signs, nil
}

// judge goes through the table.
func (r *Room) judge(p *picture) *Health {
	h := &Health{Level: Good}
	table := closed
	if p.account.State == models.AccountActive {
		table = conditions
	}
	for _, c := range table {
		for _, f := range c.hold(r, p) {
			h.Causes = append(h.Causes, Cause{Code: c.code, Level: c.level, Since: f.since, Device: f.device, SuggestedActions: c.actions, says: c.says.with(f.detail)})
			switch {
			case badness[c.level] > badness[h.Level]:
				h.Level, h.Since = c.level, f.since
			case c.level == h.Level && !f.since.IsZero() && (h.Since.IsZero() || f.since < h.Since):
				h.Since = f.since
			}
		}
	}
	return h
}

// device is that of the account, nil if it is none of its devices.
func (p *picture) device(id models.ID) *standing {
	for _, d := range p.devices {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// there tells whether the device can be reached, as far as anybody knows.
func (d *standing) there() bool { return d.reach == models.Online || d.reach == models.Stale }

// best is the reachability of the device that can be reached best; empty if there is none.
func (p *picture) best() (best models.Reachability) {
	order := []models.Reachability{"", models.NeverSeen, models.Offline, models.Stale, models.Online}
	for _, d := range p.devices {
		if slices.Index(order, d.reach) > slices.Index(order, best) {
			best = d.reach
		}
	}
	return best
}

// lastLeft is when the last of the devices went offline.
func (p *picture) lastLeft() (last models.Time) {
	for _, d := range p.devices {
		last = max(last, d.ReachabilityAt)
	}
	return last
}

// lastHeard is when any of the devices was last heard of.
func (p *picture) lastHeard() (last models.Time) {
	for _, d := range p.devices {
		last = max(last, d.LastInformAt)
	}
	return last
}
