// Package lines knows on which access line an address is, as RADIUS accounting tells it (i4.md B.4, resolutions 10).
//
// It owns the tables access_lines and access_servers: which report of an access server counts when they come late, twice or out of order, and when a line
// that nobody reports any more is forgotten. It refuses to know RADIUS, and what a line means to a screen.
package lines

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// Config bounds what is kept.
type Config struct {
	// MaxAge is for how long a line is known after it was last heard of.
	MaxAge time.Duration
	// Max is how many lines are kept, those that ended within MaxAge included.
	Max int64
}

// Room keeps lines and finds them.
type Room struct {
	store  *store.Store
	config Config
	// rows is how many lines there are; other replicas add to them too, so it is right once in a while only.
	rows     atomic.Int64
	counting sync.RWMutex // no line is added while they are counted
}

// New builds the room on s.
func New(s *store.Store, c Config) *Room { return &Room{store: s, config: c} }

// Kind is what a report tells.
type Kind string

// The kinds of reports (RFC 2866 section 5.1).
const (
	Started Kind = "start"
	Going   Kind = "interim"
	Ended   Kind = "stop"
	// Reset: the access server began or ended its service. Every line of it is over.
	Reset Kind = "reset"
)

// Report is what an access server tells of one of its sessions. Server and Session identify them, At is when it was so.
type Report struct {
	Kind            Kind
	Server, Session [32]byte
	Account         string
	Networks        []netip.Prefix
	At              models.Time
}

// MaxBatch is how many reports Take takes at most, MaxNetworks how many networks one may name.
const (
	MaxBatch    = 500
	MaxNetworks = 8
)

// widest is the shortest IPv6 prefix that may be one line's: anything wider is a mistake, or somebody who claims a city.
const widest = 48

// Fits tells whether a network may be a line's: an IPv4 address, or an IPv6 prefix of at least 48 bits.
func Fits(network netip.Prefix) bool {
	addr := network.Addr()
	switch {
	case !network.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || addr.Is4In6():
		return false
	case addr.Is4():
		return network.IsSingleIP()
	}
	return network.Bits() >= widest
}

// Take commits reports, in their order, and tells which of them were taken: a line beyond Config.Max is not. After an error none was.
func (r *Room) Take(ctx context.Context, reports []Report) (taken []bool, err error) {
	r.counting.RLock()
	defer r.counting.RUnlock()
	var added int64
	err = r.store.InTx(ctx, func(tx *store.Tx) error {
		b, err := load(tx, reports)
		if err != nil {
			return err
		}
		taken = make([]bool, len(reports))
		for i, report := range reports {
			taken[i] = b.apply(report, r.config.Max-r.rows.Load())
		}
		added = b.added
		return b.save(tx)
	})
	if err != nil {
		return nil, fmt.Errorf("take reports of lines: %w", err)
	}
	r.rows.Add(added)
	return taken, nil
}

// batch is the rows that some reports are about.
type batch struct {
	lines   map[string]*models.AccessLine
	servers map[string]*models.AccessServer
	changed map[string]bool // lines by network
	began   map[string]bool // servers
	added   int64
}

func load(tx *store.Tx, reports []Report) (*batch, error) {
	b := &batch{lines: map[string]*models.AccessLine{}, servers: map[string]*models.AccessServer{}, changed: map[string]bool{}, began: map[string]bool{}}
	var networks []string
	var ended, servers [][]byte
	for _, report := range reports {
		for _, network := range report.Networks {
			networks = append(networks, network.String())
		}
		if report.Kind == Ended {
			ended = append(ended, report.Session[:])
		}
		servers = append(servers, report.Server[:])
	}
	slices.Sort(networks) // one order for all replicas
	var rows, others []models.AccessLine
	var known []models.AccessServer
	if err := tx.Locked().Where("network IN ?", slices.Compact(networks)).Order("network").Find(&rows).Error; err != nil {
		return nil, err
	}
	if len(ended) > 0 { // the report of an end need not name every network of its session
		if err := tx.Locked().Where("session IN ?", ended).Order("network").Find(&others).Error; err != nil {
			return nil, err
		}
	}
	if err := tx.DB.Where("server IN ?", servers).Find(&known).Error; err != nil {
		return nil, err
	}
	for _, row := range append(rows, others...) {
		b.lines[row.Network] = &row
	}
	for _, server := range known {
		b.servers[string(server.Server)] = &server
	}
	return b, nil
}

// apply judges one report; false if there is no room for it. Reports of the past change nothing: an older one may arrive later.
func (b *batch) apply(report Report, room int64) bool {
	server := string(report.Server[:])
	reset := b.servers[server]
	if report.Kind == Reset {
		if reset == nil || reset.ResetAt < report.At {
			b.servers[server], b.began[server] = &models.AccessServer{Server: report.Server[:], ResetAt: report.At}, true
		}
		return true
	}
	if reset != nil && reset.ResetAt == report.At {
		report.At++ // it came after the reset, within the same millisecond
	}
	if report.Kind == Ended {
		for network, line := range b.lines {
			if string(line.Session) == string(report.Session[:]) && !line.Ended {
				line.Ended, line.HeardAt, b.changed[network] = true, max(line.HeardAt, report.At), true
			}
		}
	}
	for _, network := range report.Networks {
		if !b.put(network.String(), report, room) {
			return false
		}
	}
	return true
}

// put writes what a report says of one network; false if there is no room.
func (b *batch) put(network string, report Report, room int64) bool {
	line, ended := b.lines[network], report.Kind == Ended
	switch {
	case line == nil && b.added >= room:
		return false
	case line == nil:
		b.added++
	case line.HeardAt > report.At:
		return true
	case string(line.Session) == string(report.Session[:]):
		if line.Ended { // a session does not begin again
			return true
		}
	case ended: // of another session, which has left the address to this one
		return true
	}
	b.lines[network] = &models.AccessLine{
		Network: network, Account: report.Account, Session: report.Session[:], Server: report.Server[:], HeardAt: report.At, Ended: ended,
	}
	b.changed[network] = true
	return true
}

func (b *batch) save(tx *store.Tx) error {
	var lines []models.AccessLine
	for _, network := range slices.Sorted(maps.Keys(b.changed)) {
		lines = append(lines, *b.lines[network])
	}
	var servers []models.AccessServer
	for _, server := range slices.Sorted(maps.Keys(b.began)) {
		servers = append(servers, *b.servers[server])
	}
	if len(lines) > 0 {
		if err := tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(lines, MaxBatch).Error; err != nil {
			return err
		}
	}
	if len(servers) == 0 {
		return nil
	}
	return tx.DB.Clauses(clause.OnConflict{UpdateAll: true}).Create(servers).Error
}

// Account returns the broadband account of the line that an address is on; false if that is not known. The narrowest network counts.
func (r *Room) Account(ctx context.Context, addr netip.Addr) (account string, known bool, err error) {
	networks := around(addr)
	if len(networks) == 0 {
		return "", false, nil
	}
	err = r.store.View(ctx, func(tx *store.Tx) error {
		found, err := gorm.G[models.AccessLine](tx.DB).Where("network IN ? AND heard_at > ? AND ended = ?", networks, tx.Now.Add(-r.config.MaxAge), false).Find(ctx)
		if err != nil {
			return err
		}
		slices.SortFunc(found, func(a, b models.AccessLine) int {
			return cmp.Compare(slices.Index(networks, a.Network), slices.Index(networks, b.Network))
		})
		for _, line := range found {
			server, err := gorm.G[models.AccessServer](tx.DB).Where("server = ?", line.Server).Limit(1).Find(ctx)
			if err != nil {
				return err
			}
			if len(server) == 0 || server[0].ResetAt < line.HeardAt {
				account, known = line.Account, true
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return "", false, fmt.Errorf("look up the line of an address: %w", err)
	}
	return account, known, nil
}

// around lists the networks that may be a line's and hold addr, the narrowest first.
func around(addr netip.Addr) (networks []string) {
	addr = addr.Unmap().WithZone("")
	for bits := addr.BitLen(); bits > 0; bits-- {
		if network, err := addr.Prefix(bits); err == nil && Fits(network) {
			networks = append(networks, network.String())
		}
	}
	return networks
}

// Known is about how many lines there are, those that ended a short while ago included.
func (r *Room) Known() int64 { return r.rows.Load() }

const cleanEvery = 10 * time.Minute

// Watch counts the lines and forgets those that were not heard of for a long time, now and every ten minutes, until ctx ends.
func (r *Room) Watch(ctx context.Context, clock models.Clock) {
	for {
		if err := r.Clean(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "clean up old lines", "error", err)
		}
		if clock.Wait(ctx, cleanEvery) != nil {
			return
		}
	}
}

// Clean deletes the lines and the resets that are too old to count, and counts what is left.
func (r *Room) Clean(ctx context.Context) error {
	if err := r.store.DeleteOld(ctx, &models.AccessLine{}, "heard_at <= ?", r.config.MaxAge); err != nil {
		return fmt.Errorf("clean up old lines: %w", err)
	}
	if err := r.store.DeleteOld(ctx, &models.AccessServer{}, "reset_at <= ?", r.config.MaxAge); err != nil {
		return fmt.Errorf("clean up old resets: %w", err)
	}
	r.counting.Lock()
	defer r.counting.Unlock()
	return r.store.View(ctx, func(tx *store.Tx) error {
		n, err := gorm.G[models.AccessLine](tx.DB).Count(ctx, "heard_at")
		if err == nil {
			r.rows.Store(n)
		}
		return err
	})
}
