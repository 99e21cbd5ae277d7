package api

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var destinationStates = []string{"active", "paused", "disabled", "held", "removed"}

// totalsView is how many destinations are how, and what they have to deliver.
type totalsView struct {
	Destinations  int            `json:"destinations"`
	States        map[string]int `json:"states"`
	Failing       int            `json:"failing"` // active, and the last attempt failed
	Waiting       int            `json:"waiting"` // active, and something keeps attempts from starting
	Pending       int64          `json:"pending"`
	OldestPending time.Time      `json:"oldest_pending,omitzero"`
	InFlight      int            `json:"in_flight"`
	Dead          int64          `json:"dead_24h"`
}

// outcomesView is what a small picture shows: attempts over a day, in half hours.
type outcomesView struct {
	From      time.Time `json:"from"`
	Step      int       `json:"step_seconds"`
	Delivered []*int64  `json:"delivered"`
	Failed    []*int64  `json:"failed"`
}

const outcomesStep = 30 * time.Minute

func viewOutcomes(p *series.Points) *outcomesView {
	each := max(1, int(outcomesStep/p.Step))
	return &outcomesView{p.First, each * int(p.Step/time.Second), sums(p.Delivered, each), sums(p.Failed, each)}
}

// sums adds up every each values; nil where none of them is known.
func sums(values []*int64, each int) []*int64 {
	out := make([]*int64, 0, (len(values)+each-1)/each)
	for chunk := range slices.Chunk(values, each) {
		var sum *int64
		for _, v := range chunk {
			if v != nil {
				if sum == nil {
					sum = new(int64)
				}
				*sum += *v
			}
		}
		out = append(out, sum)
	}
	return out
}

func (t *totalsView) add(s *delivery.Status) {
	t.Destinations++
	t.States[s.State]++
	if failing(s) {
		t.Failing++
	}
	if s.State == "active" && s.Wait.For != "" && s.Wait.For != delivery.WaitRate {
		t.Waiting++
	}
	t.Pending += s.Pending
	t.InFlight += s.InFlight
	t.Dead += s.Dead
	if o := s.OldestPending; !o.IsZero() && (t.OldestPending.IsZero() || o.Before(t.OldestPending)) {
		t.OldestPending = o.UTC()
	}
}

func failing(s *delivery.Status) bool { return s.State == "active" && s.Last.Failed > 0 }

// listed is a destination and where it stands in a list.
type listed struct {
	key string
	delivery.Status
}

// place is where a destination stands in the list.
func place(s *delivery.Status) string {
	return fmt.Sprintf("%s\x00%s\x00%010d", s.Key.Developer, s.Key.Name, s.ID)
}

// isPlace tells whether s is of the form that place returns.
func isPlace(s string) bool {
	parts := strings.Split(s, "\x00")
	return len(parts) == 3 && event.ValidName(parts[0]) && event.ValidName(parts[1]) && len(parts[2]) == 10 && digits(parts[2])
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

const (
	mostRanked = 999_999_999_999
	rankLength = 1 + 12 + 12
)

// rank orders destinations by how much they need somebody: by what is wrong, then by what
// died, then by what waits.
func rank(s *delivery.Status) string {
	need := 0
	switch {
	case s.State == "held":
		need = 6
	case failing(s):
		need = 5
	case s.State == "active" && (s.Dead > 0 || s.Reason != ""):
		need = 4
	case s.State == "paused":
		need = 3
	case s.State != "active" && s.Pending > 0:
		need = 2
	}
	return fmt.Sprintf("%d%012d%012d", 9-need, mostRanked-min(s.Dead, mostRanked), mostRanked-min(s.Pending, mostRanked))
}

// listDestinations lists by developer and name, which is what people look for, or with
// those first that need somebody. It is one list for all who look, so that what a page
// shows of many daemons has to be gathered once.
func (a *API) listDestinations(c *call) error {
	q := &c.query
	limit, developer, state, part := q.limit(), q.text("developer"), q.text("state"), strings.ToLower(q.text("q"))
	onlyFailing, withTotals, withOutcomes, sort := q.flag("failing"), q.flag("totals"), q.flag("outcomes"), q.text("sort")
	after, err := base64.RawURLEncoding.Strict().DecodeString(q.text("cursor"))
	switch {
	case err != nil || len(after) > 0 && !isCursor(string(after), sort):
		return store.ErrCursor
	case q.err != nil:
		return q.err
	case state != "" && !slices.Contains(destinationStates, state):
		return refuse(400, "invalid_parameter", fmt.Sprintf("unknown state %q: want active, paused, disabled, held or removed", state))
	case sort != "" && sort != "name" && sort != "worst":
		return refuse(400, "invalid_parameter", fmt.Sprintf("unknown sort %q: want name or worst", sort))
	}
	totals := totalsView{States: map[string]int{}}
	var found []listed
	for _, s := range a.Scheduler.Status() {
		if !c.who.sees(s.Key.Developer) || developer != "" && s.Key.Developer != developer || part != "" && !names(&s, part) {
			continue
		}
		totals.add(&s)
		if state != "" && s.State != state || onlyFailing && !failing(&s) {
			continue
		}
		key := place(&s)
		if sort == "worst" {
			key = rank(&s) + key
		}
		if key > string(after) {
			found = append(found, listed{key, s})
		}
	}
	slices.SortFunc(found, func(a, b listed) int { return strings.Compare(a.key, b.key) })
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(found[limit-1].key))
	}
	status := make([]delivery.Status, len(found))
	for i := range found {
		status[i] = found[i].Status
	}
	list := struct {
		page[destinationView]
		Totals *totalsView `json:"totals,omitempty"`
	}{page: page[destinationView]{Items: a.everywhere(c, status), Next: next}}
	for i := range list.Items {
		if p, known := a.Series.Peek(found[i].ID, time.Now()); known && withOutcomes {
			list.Items[i].Outcomes = viewOutcomes(&p)
		}
	}
	if withTotals {
		list.Totals = &totals
	}
	return c.json(200, list)
}

// names tells whether part, in small letters, is a part of what a destination is called.
func names(s *delivery.Status, part string) bool {
	return strings.Contains(strings.ToLower(s.Key.Developer+"/"+s.Key.Name+" "+s.Key.Kind), part)
}

// isCursor tells whether a list in this order made the cursor.
func isCursor(s, sort string) bool {
	if sort == "worst" {
		return len(s) > rankLength && digits(s[:rankLength]) && isPlace(s[rankLength:])
	}
	return isPlace(s)
}
