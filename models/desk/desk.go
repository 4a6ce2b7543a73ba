// Package desk answers what a care desk asks when a customer calls: who it is that the caller means, how the account is, and what happened to it.
//
// It owns no table and changes nothing: it reads what other rooms wrote, in statements whose number does not depend on how much there is. It owns
// the table of conditions of an account's health and the words for what happened, in Chinese and English. It refuses to know GraphQL, and how
// anything that it tells of came about.
package desk

import (
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// Config is what the room is built with.
type Config struct {
	// Plan is how numbers are typed at home.
	Plan models.NumberPlan
	// MinVersion is the software version below which a client type is refused; a type left out has none.
	MinVersion map[models.ClientType]string
}

// Room is the desk.
type Room struct {
	store   *store.Store
	devices *devices.Room
	log     *events.Log
	clock   models.Clock
	config  Config
}

// New builds the room on s; d knows how a device can be reached, l what happened.
func New(s *store.Store, clock models.Clock, d *devices.Room, l *events.Log, config Config) *Room {
	return &Room{store: s, devices: d, log: l, clock: clock, config: config}
}

// words are a text in the languages of the desk.
type words struct{ zh, en string }

// In returns the text in a language, by its BCP 47 tag: any kind of Chinese or English. Another one is BAD_USER_INPUT.
func (w words) in(locale string) (string, error) {
	language, _, _ := strings.Cut(strings.ToLower(locale), "-")
	switch language {
	case "zh":
		return w.zh, nil
	case "en":
		return w.en, nil
	}
	return "", models.E(models.BadUserInput, "the languages are zh-CN and en", "locale")
}

// with puts a detail into both texts, in place of {}.
func (w words) with(detail words) words {
	return words{strings.ReplaceAll(w.zh, "{}", detail.zh), strings.ReplaceAll(w.en, "{}", detail.en)}
}
