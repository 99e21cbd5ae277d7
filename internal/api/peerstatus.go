package api

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// standingAt is how one daemon finds a destination: what goes out from there, and what came of it.
type standingAt struct {
	daemon string

	ID         uint32
	Reason     string
	WaitsUntil time.Time
	Wait       delivery.Wait
	Apart      bool
	Oldest     time.Time
	InFlight   int
	Open       bool // the breaker
	Last       store.Last
	Dead       int64
	Check      *checkView
}

func (a *API) standingHere(s *delivery.Status) standingAt {
	at := standingAt{
		ID: s.ID, Reason: s.Reason, WaitsUntil: s.WaitsUntil, Wait: s.Wait, Apart: s.Apart, Oldest: s.OldestPending, InFlight: s.InFlight,
		Open: s.Breaker == "open", Last: s.Last, Dead: s.Dead,
	}
	if r, ok := a.Checks.LastCheck(s.Key); ok {
		at.Check = viewCheck(&r, false)
	}
	return at
}

// joined is how several daemons together find a destination. It does not depend on which of
// them is asked.
func joined(all []standingAt) standingAt {
	slices.SortFunc(all, func(x, y standingAt) int { return strings.Compare(x.daemon, y.daemon) })
	sum := all[0]
	for _, s := range all[1:] {
		sum.InFlight += s.InFlight
		sum.Open = sum.Open || s.Open
		sum.Apart = sum.Apart || s.Apart
		if sum.Wait.For == "" || s.Wait.For == sum.Wait.For && s.Wait.Until.After(sum.Wait.Until) {
			sum.Wait = cmp.Or(s.Wait, sum.Wait)
		}
		if s.WaitsUntil.After(sum.WaitsUntil) {
			sum.WaitsUntil, sum.Reason = s.WaitsUntil, s.Reason
		}
		sum.Reason = cmp.Or(sum.Reason, s.Reason)
		if !s.Oldest.IsZero() && (sum.Oldest.IsZero() || s.Oldest.Before(sum.Oldest)) {
			sum.Oldest = s.Oldest
		}
		success := max(sum.Last.Success, s.Last.Success)
		if s.Last.Answer.At > sum.Last.Answer.At {
			sum.Last = s.Last
		}
		sum.Last.Success = success
		sum.Dead = max(sum.Dead, s.Dead) // each of them has taken over what was stored
		if sum.Check == nil || s.Check != nil && s.Check.At.After(sum.Check.At) {
			sum.Check = s.Check
		}
	}
	return sum
}

// everywhere returns the destinations of a list as all daemons together find them.
func (a *API) everywhere(c *call, list []delivery.Status) []destinationView {
	found := make([][]standingAt, len(list))
	at := make(map[uint32]int, len(list))
	var ask struct{ IDs []uint32 }
	for i := range list {
		found[i] = append(found[i], a.standingHere(&list[i]))
		at[list[i].ID] = i
		ask.IDs = append(ask.IDs, list[i].ID)
	}
	if a.Peers != nil && len(list) > 0 {
		for _, d := range a.Peers.Daemons() {
			for i := range found {
				if d.Self {
					found[i][0].daemon = d.Name + d.ID
				}
			}
		}
		askPeers(a, c, "/peer/status", ask, 0, func(o store.Daemon, theirs []standingAt) {
			for _, s := range theirs {
				if i, asked := at[s.ID]; asked {
					s.daemon = o.Name + o.ID
					found[i] = append(found[i], s)
				}
			}
		})
	}
	views := make([]destinationView, len(list))
	for i := range list {
		views[i] = viewTogether(list[i], joined(found[i]))
	}
	return views
}

// viewTogether shows a destination with what all daemons know of it.
func viewTogether(d delivery.Status, s standingAt) destinationView {
	d.Reason, d.WaitsUntil, d.Wait, d.Apart, d.OldestPending, d.InFlight, d.Last, d.Dead = s.Reason, s.WaitsUntil, s.Wait, s.Apart, s.Oldest, s.InFlight, s.Last, s.Dead
	if d.Breaker = "closed"; s.Open {
		d.Breaker = "open"
	}
	v := viewDestination(&d)
	v.Check = s.Check
	return v
}

// peerStatus answers how this daemon finds destinations.
func (a *API) peerStatus(c *call, body []byte) error {
	var ask struct{ IDs []uint32 }
	if err := question(body, &ask); err != nil {
		return err
	}
	wanted := make(map[uint32]bool, len(ask.IDs))
	for _, id := range ask.IDs {
		wanted[id] = true
	}
	answer := []standingAt{}
	for _, s := range a.Scheduler.Status() {
		if wanted[s.ID] {
			answer = append(answer, a.standingHere(&s))
		}
	}
	return c.json(200, answer)
}

// waitsOf says why nothing of some queues is tried now: at this daemon or, where nothing keeps it
// here, at another.
func (a *API) waitsOf(c *call, queues []store.QueueID) []delivery.Wait {
	waits := a.Scheduler.Waits(queues)
	askPeers(a, c, "/peer/waits", queues, 0, func(_ store.Daemon, theirs []delivery.Wait) {
		for i := range min(len(theirs), len(waits)) {
			if waits[i].For == "" {
				waits[i] = theirs[i]
			}
		}
	})
	return waits
}

func (a *API) peerWaits(c *call, body []byte) error {
	var queues []store.QueueID
	if err := question(body, &queues); err != nil {
		return err
	}
	return c.json(200, a.Scheduler.Waits(queues))
}
