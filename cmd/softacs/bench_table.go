package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is a scenario's pairs.
type result struct {
	scenario        scenario
	platform, floor []half
	memory          int64 // resident in the platform afterwards
	events          *eventResult
	hooks           *hookResult
}

// median of what f says of each.
func median[E any, T cmp.Ordered](list []E, f func(E) T) T {
	values := make([]T, len(list))
	for i, e := range list {
		values[i] = f(e)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// ratios are the platform's cost as a multiple of the floor's, pair by pair, without and with the database.
func (r result) ratios() (server, all float64) {
	type pair struct{ server, all float64 }
	pairs := make([]pair, len(r.platform))
	for i, p := range r.platform {
		f := r.floor[i]
		pairs[i] = pair{float64(p.server) / float64(f.server), float64(p.server+p.database) / float64(f.server+f.database)}
	}
	return median(pairs, func(p pair) float64 { return p.server }), median(pairs, func(p pair) float64 { return p.all })
}

// table is Markdown.
func (b *benchRun) table(now time.Time) string {
	var t strings.Builder
	fmt.Fprintf(&t, "%s, %s: %s, %d CPUs, Linux %s, %s; database %s. %d pairs of %g s, %d at a time, %d clients, %d devices.\n\n", now.Format("2006-01-02"),
		runtime.Version(), processor(), runtime.NumCPU(), kernel(), runtime.GOARCH, b.database.name, b.Pairs, b.Seconds, b.Workers, b.Clients, max(b.Devices, b.Clients))
	if slices.ContainsFunc(b.results, func(r result) bool { return r.platform != nil }) {
		t.WriteString("| Scenario | per | server CPU | floor CPU | × floor | with database | × floor | statements | allocations | p50 | p99 | resident |\n")
		t.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	}
	for _, r := range b.results {
		if r.platform == nil {
			continue
		}
		server, all := r.ratios()
		us := func(list []half, f func(half) time.Duration) string {
			return fmt.Sprintf("%d µs", median(list, f).Microseconds())
		}
		ms := func(f func(half) time.Duration) string {
			return fmt.Sprintf("%.1f ms", median(r.platform, f).Seconds()*1000)
		}
		target := ""
		if r.scenario.target > 0 {
			target = fmt.Sprintf(" (target %g)", r.scenario.target)
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %.2f%s | %s | %.2f | %.1f | %.0f, %.0f KiB | %s | %s | %d MiB |\n", r.scenario.name, r.scenario.unit,
			us(r.platform, func(h half) time.Duration { return h.server }), us(r.floor, func(h half) time.Duration { return h.server }), server, target,
			us(r.platform, func(h half) time.Duration { return h.server + h.database }), all,
			median(r.platform, func(h half) float64 { return h.statement }), median(r.platform, func(h half) float64 { return h.mallocs }),
			median(r.platform, func(h half) float64 { return h.bytes })/1024,
			ms(func(h half) time.Duration { return h.p50 }), ms(func(h half) time.Duration { return h.p99 }), r.memory>>20)
	}
	for _, r := range b.results {
		if r.events != nil {
			fmt.Fprintf(&t, "\n%s\n", r.events)
		}
		if r.hooks != nil {
			fmt.Fprintf(&t, "\n%s\n", r.hooks)
		}
	}
	t.WriteString("\nWhat is done:\n\n")
	for _, r := range b.results {
		fmt.Fprintf(&t, "- **%s**: %s.", r.scenario.name, r.scenario.what)
		if r.scenario.floor != "" {
			fmt.Fprintf(&t, " The floor %s.", r.scenario.floor)
		}
		t.WriteString("\n")
	}
	return t.String()
}

// processor names the CPU.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

const (
	tableBegin = "<!-- bench -->\n"
	tableEnd   = "<!-- /bench -->\n"
)

// writeTable puts the table between its marks in the file at path, or makes the file; nothing for no path.
func writeTable(path, table string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return os.WriteFile(path, []byte(tableBegin+table+tableEnd), 0o644)
	}
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(tableBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q to write between", path, strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	return os.WriteFile(path, slices.Concat(before, []byte(tableBegin+table+tableEnd), after), 0o644)
}
