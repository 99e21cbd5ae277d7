package replay

import (
	"context"
	"errors"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// pageRows is how many rows are looked at between two positions to go on from.
const pageRows = 100

// page is what was found in one step of a walk.
type page struct {
	wants   []store.Want
	pending int64 // of the wants; known only in a dry run
	gone    int64
	user    int
	cursor  string
	last    bool
}

// find takes one step. A filter by states alone walks the store's index of deliveries by state. A
// filter that names users, or events that never had a delivery, walks events.
func (r *Runner) find(ctx context.Context, rec *record) (page, error) {
	s := search{Runner: r, ctx: ctx, rec: rec, targets: r.targets()}
	if len(rec.Events) > 0 {
		return s.named()
	}
	if len(rec.Users) == 0 && !slices.Contains(rec.States, Unmatched) {
		return s.deliveries()
	}
	return s.events()
}

// search is one step.
type search struct {
	*Runner
	ctx     context.Context
	rec     *record
	targets *Targets
	page    page
}

func (s *search) deliveries() (page, error) {
	var states []store.State
	for _, name := range s.rec.States {
		st, err := store.ParseState(name)
		if err != nil {
			return page{}, err
		}
		states = append(states, st)
	}
	list, err := s.store.Deliveries(s.ctx, store.DeliveryQuery{Dests: s.rec.Dests, States: states,
		Since: s.rec.Since, Until: s.rec.Until, Limit: pageRows, Cursor: s.rec.Cursor})
	if err != nil {
		return page{}, err
	}
	for i := range list.Items {
		id := list.Items[i].ID
		d := s.targets.byID[id.Dest]
		if d == nil || id.Replay == s.rec.ID {
			continue
		}
		e, err := s.envelope(id)
		if errors.Is(err, store.ErrNotFound) {
			continue // retention removed it while we looked
		}
		if err != nil {
			return page{}, err
		}
		if !s.rec.wants(d, e.Event.Type) {
			continue
		}
		stand, err := s.standing(id.Event, []uint32{id.Dest})
		if err != nil {
			return page{}, err
		}
		// A delivery that a newer one of the same event has replaced does not count. The newer one has a
		// place of its own in the list, if it is in one of the states.
		if st := stand[id.Dest]; st != nil && st.newest.ID == id && s.states(st) {
			if err := s.add(id.Event, id.Day, id.Dest, st, e); err != nil {
				return page{}, err
			}
		}
	}
	s.page.cursor, s.page.last = list.Next, list.Next == ""
	return s.page, nil
}

func (s *search) events() (page, error) {
	q := store.EventQuery{Types: s.rec.Types, Since: s.rec.Since, Until: s.rec.Until, Limit: pageRows, Cursor: s.rec.Cursor}
	if s.rec.Developer != "" {
		q.Developers = []string{s.rec.Developer}
	}
	if len(q.Types) == 0 {
		q.Types = nil
	}
	if len(s.rec.Users) > 0 {
		q.User = s.rec.Users[s.rec.User]
	}
	list, err := s.store.Events(s.ctx, q)
	if err != nil {
		return page{}, err
	}
	for i := range list.Items {
		if err := s.event(&list.Items[i]); err != nil {
			return page{}, err
		}
	}
	s.page.user, s.page.cursor = s.rec.User, list.Next
	if list.Next == "" {
		s.page.user++
		s.page.last = s.page.user >= len(s.rec.Users)
	}
	return s.page, nil
}

// named looks at the events that the filter names, all in one step. What else it says holds, too.
func (s *search) named() (page, error) {
	for _, id := range s.rec.Events {
		e, err := s.store.EventRecord(s.ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue // retention removed it
		}
		if err != nil {
			return page{}, err
		}
		at, foreign := id.Time(), s.rec.Developer != "" && e.Event.Developer != s.rec.Developer
		if foreign || at.Before(s.rec.Since) || !at.Before(s.rec.Until) || len(s.rec.Users) > 0 && !slices.Contains(s.rec.Users, e.Event.UserID) {
			continue
		}
		if err := s.event(&e); err != nil {
			return page{}, err
		}
	}
	s.page.last = true
	return s.page, nil
}

// event finds the destinations that get e.
func (s *search) event(e *store.EventRecord) error {
	var to []uint32
	for _, d := range s.targets.byDeveloper[e.Event.Developer] {
		if (s.rec.Dests == nil || slices.Contains(s.rec.Dests, d.ID)) && s.rec.wants(d, e.Event.Type) {
			to = append(to, d.ID)
		}
	}
	if len(s.rec.States) == 1 && s.rec.States[0] == Unmatched {
		to = slices.DeleteFunc(to, func(dest uint32) bool { return slices.Contains(e.To, dest) })
	}
	if len(to) == 0 {
		return nil
	}
	stand, err := s.standing(e.Event.ID, to)
	if err != nil {
		return err
	}
	for _, dest := range to {
		st, day := stand[dest], e.Event.ID.Day()
		switch {
		case st == nil:
			if slices.Contains(e.To, dest) || !slices.Contains(s.rec.States, Unmatched) {
				continue
			}
		case !s.states(st):
			continue
		default:
			day = st.newest.ID.Day
		}
		if err := s.add(e.Event.ID, day, dest, st, e); err != nil {
			return err
		}
	}
	return nil
}

// standing is how an event stands at a destination, apart from this replay's own deliveries.
type standing struct {
	newest  store.DeliveryRecord // the delivery that changed last
	pending bool                 // some delivery is
}

func (s *search) states(st *standing) bool {
	return slices.Contains(s.rec.States, st.newest.State.String())
}

func (s *search) standing(id event.ID, dests []uint32) (map[uint32]*standing, error) {
	all := map[uint32]*standing{}
	q := store.DeliveryQuery{Event: id, Dests: dests, Limit: 1000}
	for {
		list, err := s.store.Deliveries(s.ctx, q)
		if err != nil {
			return nil, err
		}
		for _, d := range list.Items {
			if d.ID.Replay == s.rec.ID {
				continue
			}
			st := all[d.ID.Dest]
			if st == nil {
				st = &standing{newest: d}
				all[d.ID.Dest] = st
			}
			if d.Changed > st.newest.Changed || d.Changed == st.newest.Changed && d.ID.Replay > st.newest.ID.Replay {
				st.newest = d
			}
			st.pending = st.pending || d.State == store.Pending
		}
		if q.Cursor = list.Next; list.Next == "" {
			return all, nil
		}
	}
}

// add wants a delivery. A dry run has to look whether it is pending or gone, because the store
// is not asked to make it.
func (s *search) add(id event.ID, day event.Day, dest uint32, st *standing, e *store.EventRecord) error {
	s.page.wants = append(s.page.wants, store.Want{Event: id, Day: day, Dest: dest})
	switch {
	case !s.rec.DryRun:
	case st != nil && st.pending:
		s.page.pending++
	case day == id.Day():
		if e.Gone != "" {
			s.page.gone++
		}
	default:
		_, err := s.store.Event(s.ctx, day, id)
		if errors.Is(err, store.ErrNotFound) {
			s.page.gone++
			err = nil
		}
		return err
	}
	return nil
}

// envelope returns the event of a delivery. A copy that a replay carried forward
// may have outlived the event itself.
func (s *search) envelope(id store.DeliveryID) (*store.EventRecord, error) {
	e, err := s.store.EventRecord(s.ctx, id.Event)
	if !errors.Is(err, store.ErrNotFound) || id.Day == id.Event.Day() {
		return &e, err
	}
	full, err := s.store.Event(s.ctx, id.Day, id.Event)
	if err != nil {
		return nil, err
	}
	return &store.EventRecord{Event: *full, Size: len(full.Body)}, nil
}
