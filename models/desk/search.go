package desk

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const (
	maxText = 128
	// minSerial is from how many characters on a text may be the beginning of a serial number.
	minSerial = 4
	// maxRanges bounds the ranges of one beginning: neither engine takes statements of any number of parts (SQLite 500).
	maxRanges = 20
)

// Hit is something that was found: one of the two.
type Hit struct {
	Account *models.Account
	Device  *models.Device
}

// lead is a range of an index in which something may be found; what is in the first ones comes first.
type lead struct {
	where string
	args  []any
	order string // by the same index; empty where it does not matter
}

// Search finds accounts by number in any usual writing, name, identity or id in the BSS, and devices by serial number, MAC address, STB identifier
// or key: first of all those that are named exactly, then those whose name or serial number begins with the text, first of them at most. Accounts
// are those of the regions in which the actor may read accounts, devices likewise; without any permission to read devices none are found.
// BAD_USER_INPUT says what is wrong with the text. It takes two statements and looks at no more rows than it may find.
func (r *Room) Search(ctx context.Context, text string, first int) (hits []Hit, err error) {
	if err := models.Need(ctx, models.AccountRead); err != nil {
		return nil, err
	}
	if text, err = plain(text); err != nil {
		return nil, err
	}
	actor := models.ActorFrom(ctx)
	err = r.store.View(ctx, func(tx *store.Tx) error {
		accounts, err := find[models.Account](tx, "accounts", r.accountLeads(text, actor.Scope(models.AccountRead)), actor.Scope(models.AccountRead), first)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			hits = append(hits, Hit{Account: a})
		}
		if len(hits) == first {
			return nil
		}
		devices, err := find[models.Device](tx, "devices", deviceLeads(text, actor.Scope(models.DeviceRead)), actor.Scope(models.DeviceRead), first-len(hits))
		for _, d := range devices {
			hits = append(hits, Hit{Device: d})
		}
		return err
	})
	return hits, err
}

// plain brings a text to the form in which it is looked for: full-width characters become their usual ones.
func plain(text string) (string, error) {
	if !utf8.ValidString(text) || len(text) > 4*maxText {
		return "", models.E(models.BadUserInput, fmt.Sprintf("the text to look for has at most %d characters", maxText), "text")
	}
	text = strings.TrimSpace(norm.NFKC.String(text))
	switch {
	case text == "":
		return "", models.E(models.BadUserInput, "what shall be looked for?", "text")
	case utf8.RuneCountInString(text) > maxText:
		return "", models.E(models.BadUserInput, fmt.Sprintf("the text to look for has at most %d characters", maxText), "text")
	case strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsGraphic(c) }):
		return "", models.E(models.BadUserInput, "control characters and characters that cannot be seen are not allowed", "text")
	}
	return text, nil
}

// dashes are what people write between the digits of a number beside what models.NumberPlan knows.
var dashes = strings.NewReplacer("\u2010", "", "\u2011", "", "\u2012", "", "\u2013", "", "\u2014", "", "\u2212", "", ".", "", "/", "")

func (r *Room) accountLeads(text string, scope models.Scope) (leads []lead) {
	add := func(where string, args ...any) { leads = append(leads, lead{where: where, args: args}) }
	if number, ok := r.config.Plan.Normalise(dashes.Replace(text)); ok {
		add("live_msisdn = ?", number)
		add("msisdn = ?", number)
		add("bound_mobile = ?", number)
		add("id IN (SELECT account_id FROM account_impus WHERE impu = ?)", "tel:"+number.E164())
	}
	add("external_id = ?", text)
	add("impi = ?", text)
	add("id IN (SELECT account_id FROM account_impus WHERE impu = ?)", text)
	if strings.Contains(text, "@") {
		add("id IN (SELECT account_id FROM account_impus WHERE impu = ?)", "sip:"+text)
	}
	return append(leads, beginning("display_name", text, scope)...)
}

func deviceLeads(text string, scope models.Scope) (leads []lead) {
	leads = append(leads, lead{where: "device_key = ?", args: []any{text}}, lead{where: "serial_number = ?", args: []any{text}})
	if mark, ok := models.MarkOf(text); ok {
		leads = append(leads, lead{where: "id IN (SELECT device_id FROM device_marks WHERE mark = ?)", args: []any{mark}})
	}
	if utf8.RuneCountInString(text) < minSerial {
		return leads
	}
	cases := []string{text}
	for _, other := range []string{strings.ToLower(text), strings.ToUpper(text)} {
		if other != text {
			cases = append(cases, other)
		}
	}
	for _, prefix := range cases {
		leads = append(leads, beginning("serial_number", prefix, scope)...)
	}
	return leads
}

// beginning are the rows whose column begins with a text: a range of an index, in which both engines compare by character. An actor of some
// regions has an index of each; of very many regions nearly all that there is is in reach.
func beginning(column, text string, scope models.Scope) (leads []lead) {
	where, args := column+" >= ? AND "+column+" < ?", []any{text, text + "\U0010FFFF"}
	if scope.All || len(scope.Regions) > maxRanges {
		return []lead{{where, args, " ORDER BY " + column + ", id"}}
	}
	for _, region := range scope.Regions {
		leads = append(leads, lead{"region = ? AND " + where, append([]any{region}, args...), " ORDER BY " + column + ", id"})
	}
	return leads
}

// find reads the rows in the leads, in their order, each once, of the regions of a scope.
func find[T any](tx *store.Tx, table string, leads []lead, scope models.Scope, limit int) (rows []*T, err error) {
	if !scope.All && len(scope.Regions) == 0 {
		return nil, nil
	}
	var parts []string
	var args []any
	for i, l := range leads {
		where := l.where
		args = append(args, l.args...)
		if !scope.All {
			where += " AND region IN ?"
			args = append(args, scope.Regions)
		}
		parts = append(parts, fmt.Sprintf("SELECT id, %d AS place FROM (SELECT id FROM %s WHERE %s%s LIMIT %d) AS part%d", i, table, where, l.order, limit, i))
	}
	query := fmt.Sprintf("SELECT %[1]s.* FROM %[1]s JOIN (SELECT id, MIN(place) AS place FROM (%[2]s) AS leads GROUP BY id) AS found ON found.id = %[1]s.id ORDER BY found.place, %[1]s.id LIMIT ?",
		table, strings.Join(parts, " UNION ALL "))
	if err := tx.DB.Raw(query, append(args, limit)...).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("search the %s: %w", table, err)
	}
	return rows, nil
}
