// Package replay makes deliveries of stored events again. It finds what a filter means and has the
// store make new deliveries, at a rate that leaves live traffic alone. It keeps its progress in
// the store, so that a restart goes on where the last process stopped and makes nothing twice.
package replay

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Bounds of a replay.
const (
	DefaultRate = 100    // deliveries a second
	MaxRate     = 10_000 // what one may ask for
	MaxRunning  = 8      // at once
	mostKept    = 200    // replays in the list; the oldest that have ended go first
	mostNames   = 1000   // types and users of a filter, each
	MostEvents  = 100    // named one by one: they are found in one step
)

// Unmatched, among the states of a filter, means events that never had a delivery to the
// destination: they matched no destination, or the destination or its filter is newer.
const Unmatched = "unmatched"

// Filter says what is replayed. Where an event has several deliveries to a destination, the one
// that changed last counts: a delivery that a replay or a retry has delivered since is not dead.
type Filter struct {
	Developer   string     `json:"developer,omitempty"`   // "": all
	Destination string     `json:"destination,omitempty"` // name; "": all in the settings
	Events      []event.ID `json:"events,omitempty"`      // these alone; none: all that the rest means
	Types       []string   `json:"types,omitempty"`       // none: what the destination's own events filter wants
	Users       []string   `json:"users,omitempty"`       // none: all; forgotten when the replay ends
	States      []string   `json:"states"`                // dead, delivered, cancelled, unmatched
	Since       time.Time  `json:"since,omitzero"`        // acceptance of the event
	Until       time.Time  `json:"until,omitzero"`
}

// Request asks for a replay.
type Request struct {
	Filter
	Rate   float64 // deliveries a second; 0: DefaultRate
	DryRun bool    // only count
	By     string  // who asks
}

// State of a replay.
type State string

// States of a replay.
const (
	Running   State = "running"
	Finished  State = "finished"
	Cancelled State = "cancelled"
	Failed    State = "failed"
)

// Replay is one replay and how far it is.
type Replay struct {
	ID uint32 `json:"id"`
	Filter
	Rate    float64   `json:"rate"`
	DryRun  bool      `json:"dry_run"`
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	State   State     `json:"state"`
	Ended   time.Time `json:"ended,omitzero"`
	Counts
	Waiting string `json:"waiting,omitempty"` // why nothing is made just now
	Error   string `json:"error,omitempty"`   // why it failed
}

// Counts are the progress of a replay. Found = Made + Pending + Gone when it has ended, except for
// a dry run, which makes nothing.
type Counts struct {
	Found   int64 `json:"found"`   // deliveries that the filter means
	Made    int64 `json:"made"`    // new deliveries
	Pending int64 `json:"pending"` // left out: one is on its way already
	Gone    int64 `json:"gone"`    // left out: the body was erased or has expired
}

// Errors of Create and Cancel.
var (
	ErrInvalid = errors.New("invalid replay")               // the request makes no sense; the text says why
	ErrUnknown = errors.New("no such destination")          // not in the settings
	ErrBusy    = errors.New("too many replays are running") // wait for one to end, or cancel one
	ErrEnded   = errors.New("the replay has ended")
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// check fills in what is left out.
func (r *Request) check(now time.Time) error {
	if len(r.States) == 0 {
		r.States = []string{store.Dead.String()}
	}
	for _, s := range r.States {
		if !slices.Contains([]string{"dead", "delivered", "cancelled", Unmatched}, s) {
			return invalid("there is no state %q: want dead, delivered, cancelled or unmatched", s)
		}
	}
	if r.Rate == 0 {
		r.Rate = DefaultRate
	}
	if r.Until.IsZero() || r.Until.After(now) {
		r.Until = now // what arrives later is not replayed, or a replay would never end
	}
	switch {
	case r.Destination != "" && r.Developer == "":
		return invalid("a destination needs its developer")
	case !(r.Rate > 0 && r.Rate <= MaxRate):
		return invalid("the rate must be above 0 and at most %d a second", MaxRate)
	case len(r.Types) > mostNames || len(r.Users) > mostNames:
		return invalid("at most %d types and %d users", mostNames, mostNames)
	case len(r.Events) > MostEvents:
		return invalid("at most %d events", MostEvents)
	case slices.Contains(r.Types, "") || slices.Contains(r.Users, ""):
		return invalid("a type and a user have a name")
	case !r.Since.IsZero() && !r.Since.Before(r.Until):
		return invalid("since is not before until")
	}
	r.Events = distinct(r.Events)
	slices.Sort(r.States)
	r.States = slices.Compact(r.States)
	return nil
}

// distinct leaves out what stands there again: the store would be asked for the same delivery twice.
func distinct(ids []event.ID) []event.ID {
	var out []event.ID
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}
