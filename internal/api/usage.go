package api

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// usageDays is how many days up to the end are told of where nobody says since when.
const usageDays = 30

// usageView is what one day, developer or destination was used for.
type usageView struct {
	Day         string `json:"day,omitempty"`
	Developer   string `json:"developer,omitempty"`
	Destination string `json:"destination,omitempty"`
	Kind        string `json:"kind,omitempty"`
	countsView
	Attempts *int64 `json:"attempts"` // null: not counted for all of it
	Bytes    *int64 `json:"bytes"`    // likewise
}

// usageAnswer is the answer to a question for usage.
type usageAnswer struct {
	Since   string      `json:"since"`
	Until   string      `json:"until"` // not included
	By      string      `json:"by"`
	Counted string      `json:"counted_from,omitempty"` // the first day from which on attempts and bytes are counted; "": all are
	Items   []usageView `json:"items"`
}

// usage says what was accepted on which days and what became of it.
func (a *API) usage(c *call) error {
	q := &c.query
	today := event.DayOf(time.Now())
	open, until := q.text("until") == "", q.day("until", true, today+1)
	since := q.day("since", false, max(until, usageDays)-usageDays)
	by := cmp.Or(q.text("by"), "day")
	group := usageGroups[by]
	if q.err != nil {
		return q.err
	}
	if group == nil {
		return refuse(400, "invalid_parameter", fmt.Sprintf("by is day, developer or destination, not %q", by))
	}
	if since >= until {
		return refuse(400, "invalid_parameter", "since is not before until: days are whole ones of UTC")
	}
	names, developer, destination := a.Daemon.Names(), q.text("developer"), q.text("destination")
	ask := store.UsageQuery{Since: since, Until: until}
	if open {
		ask.Until = 0 // behind a clock that was set back, today has days after it
	}
	if developer != "" || destination != "" || c.who.developers != nil {
		ask.Dests = append([]uint32{}, names.find(c.who, developer, destination)...)
	}
	sums := map[usageView]*store.UsageRow{}
	counted := event.Day(0)
	err := a.Usage.Usage(c.r.Context(), ask, func(u *store.UsageRow) {
		if *u == (store.UsageRow{Day: u.Day, Dest: u.Dest}) {
			return
		}
		if open {
			until = max(until, u.Day+1)
		}
		if u.Partial {
			counted = max(counted, u.Day+1)
		}
		of := group(u.Day, names.Key(u.Dest))
		if sum := sums[of]; sum != nil {
			addUsage(sum, u)
		} else {
			first := *u
			sums[of] = &first
		}
	})
	if err != nil {
		return err
	}
	answer := usageAnswer{Since: since.Date(), Until: until.Date(), By: by, Items: make([]usageView, 0, len(sums))}
	if counted > 0 {
		answer.Counted = counted.Date()
	}
	for _, of := range slices.SortedFunc(maps.Keys(sums), compareUsage) {
		sum := sums[of]
		of.countsView = viewCounts(&sum.Counts)
		if !sum.Partial {
			of.Attempts, of.Bytes = &sum.Attempts, &sum.Bytes
		}
		answer.Items = append(answer.Items, of)
	}
	return c.json(200, answer)
}

// usageGroups say which rows become one.
var usageGroups = map[string]func(event.Day, store.DestinationKey) usageView{
	"day":       func(day event.Day, _ store.DestinationKey) usageView { return usageView{Day: day.Date()} },
	"developer": func(_ event.Day, k store.DestinationKey) usageView { return usageView{Developer: k.Developer} },
	"destination": func(_ event.Day, k store.DestinationKey) usageView {
		return usageView{Developer: k.Developer, Destination: k.Name, Kind: k.Kind}
	},
}

func compareUsage(a, b usageView) int {
	return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Developer, b.Developer), cmp.Compare(a.Destination, b.Destination), cmp.Compare(a.Kind, b.Kind))
}

func addUsage(sum, u *store.UsageRow) {
	c := &sum.Counts
	c.Accepted += u.Counts.Accepted
	c.Delivered += u.Counts.Delivered
	c.Pending += u.Counts.Pending
	c.Dead += u.Counts.Dead
	c.Cancelled += u.Counts.Cancelled
	sum.Attempts += u.Attempts
	sum.Bytes += u.Bytes
	sum.Partial = sum.Partial || u.Partial
}

// day reads a date or a moment. A moment stands for the day that it lies in or, as an
// end, for the first day that does not begin before it. otherwise is returned where the
// parameter is missing.
func (q *query) day(name string, end bool, otherwise event.Day) event.Day {
	v := q.text(name)
	if v == "" {
		return otherwise
	}
	t, err := time.Parse(time.DateOnly, v)
	if err != nil {
		if t, err = time.Parse(time.RFC3339, v); err != nil {
			q.fault(refuse(400, "invalid_parameter", fmt.Sprintf("%s is a day such as 2026-07-01, or a moment of it such as 2026-07-01T09:12:33Z", name)))
			return 0
		}
	}
	first := t.Truncate(24 * time.Hour)
	if end && t.After(first) {
		first = first.Add(24 * time.Hour)
	}
	// A date that no event.Day can hold becomes the first or the last one.
	return event.Day(min(max(first.Unix()/86400, 0), math.MaxUint16))
}
