package pgstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Settle records outcomes: see store.Queue. Those of a further primary that does not answer are
// recorded when it does; until then the engine hears that somebody else goes on with them.
func (p *Primaries) Settle(ctx context.Context, now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	home, at := p.sort(len(outcomes), func(i int) event.ID { return outcomes[i].Item.ID.Event })
	if len(at) == 0 {
		return p.home.Settle(ctx, now, outcomes)
	}
	out := make([]store.Settled, len(outcomes))
	settle := func(which []int, by func([]store.Outcome) ([]store.Settled, error)) error {
		got, err := by(pick(outcomes, which))
		for k, i := range which {
			if err == nil {
				out[i] = got[k]
			}
		}
		return err
	}
	err := settle(home, func(some []store.Outcome) ([]store.Settled, error) { return p.home.Settle(ctx, now, some) })
	if err != nil {
		return nil, err
	}
	for m, which := range at {
		if err := settle(which, func(some []store.Outcome) ([]store.Settled, error) { return m.settle(ctx, now, some) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sort sorts what has ids by database.
func (p *Primaries) sort(n int, id func(i int) event.ID) (home []int, at map[*primary][]int) {
	at = map[*primary][]int{}
	for i := range n {
		if m := p.of(id(i)); m != nil {
			at[m] = append(at[m], i)
		} else {
			home = append(home, i)
		}
	}
	return home, at
}

// Move applies one change to the deliveries named: see store.Queue.
func (p *Primaries) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	return p.change(len(ids), func(i int) event.ID { return ids[i].Event }, func(s *Store, which []int) ([]store.Moved, error) {
		return s.Move(ctx, now, c, pick(ids, which))
	})
}

// Replay makes new deliveries of stored events: see store.Queue.
func (p *Primaries) Replay(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	return p.change(len(wants), func(i int) event.ID { return wants[i].Event }, func(s *Store, which []int) ([]store.Moved, error) {
		return s.Replay(ctx, now, replay, pick(wants, which))
	})
}

// change has every database change what it has. Nothing begins where one cannot be reached.
func (p *Primaries) change(n int, id func(i int) event.ID, do func(s *Store, which []int) ([]store.Moved, error)) ([]store.Moved, error) {
	home, at := p.sort(n, id)
	for m := range at {
		if _, err := m.writable(); err != nil {
			return nil, err
		}
	}
	out := make([]store.Moved, n)
	run := func(s *Store, which []int) error {
		got, err := do(s, which)
		for k, i := range which {
			if err == nil {
				out[i] = got[k]
			}
		}
		return err
	}
	for m, which := range at {
		s, err := m.writable()
		if err == nil {
			err = run(s, which)
		}
		if err != nil {
			return nil, err
		}
		for _, i := range which {
			if errors.Is(out[i].Err, store.ErrNotFound) { // see Primaries.of
				home = append(home, i)
			}
		}
	}
	slices.Sort(home)
	if len(home) > 0 || n == 0 {
		if err := run(p.home, home); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Due reads what is pending in q: see store.Queue. A further primary that does not answer is left
// out, and the engine is told of all it has when it does.
func (p *Primaries) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	items, next, err := p.home.Due(ctx, q, from, until, limit)
	if err != nil {
		return nil, 0, err
	}
	first := int64(0)
	note := func(due int64) {
		if due != 0 && (first == 0 || due < first) {
			first = due
		}
	}
	note(next)
	for _, m := range p.more {
		err := m.show(ctx, func(ctx context.Context, s *Store) error {
			there, next, err := s.Due(ctx, q, from, until, limit)
			if err == nil {
				items = append(items, there...)
				note(next)
			}
			return err
		})
		if err != nil {
			return nil, 0, err
		}
	}
	slices.SortFunc(items, func(a, b store.Item) int { return comparePositions(a.Position(), b.Position()) })
	if len(items) > limit {
		note(items[limit].Due)
		items = items[:limit]
	}
	return items, first, nil
}

// show has the engine shown what is pending, if the database answers.
func (m *primary) show(ctx context.Context, ask func(context.Context, *Store) error) error {
	s, err := m.up()
	if err != nil || !s.Owned() {
		m.miss()
		return nil
	}
	if m.misses() {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, m.p.patience)
	defer cancel()
	err = ask(bounded, s)
	if err == nil || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrFenced) || ctx.Err() != nil {
		return err
	}
	m.p.log.Warn("a further primary does not answer: what is pending there stands still", "primary", m.name, "error", err)
	m.miss()
	return nil
}

func comparePositions(a, b store.Position) int {
	return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(string(a.Event[:]), string(b.Event[:])), cmp.Compare(a.Replay, b.Replay))
}

// Queues lists every queue that has something pending: see store.Queue.
func (p *Primaries) Queues(ctx context.Context) ([]store.Head, error) {
	heads, err := p.home.Queues(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range p.more {
		err := m.show(ctx, func(ctx context.Context, s *Store) error {
			there, err := s.Queues(ctx)
			heads = append(heads, there...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(heads, func(a, b store.Head) int { return comparePositions(a.From, b.From) })
	at := map[store.QueueID]int{}
	all := heads[:0]
	for _, h := range heads {
		if i, seen := at[h.Queue]; seen {
			all[i].Unclean = max(all[i].Unclean, h.Unclean)
			continue
		}
		at[h.Queue] = len(all)
		all = append(all, h)
	}
	return all, nil
}

// Owned tells whether attempts may begin: see store.Shared.
func (p *Primaries) Owned() bool { return p.home.Owned() }

// Holds tells whether attempts for an event may begin: see store.Shared.
func (p *Primaries) Holds(id event.ID) bool {
	if !p.home.Owned() {
		return false
	}
	m := p.of(id)
	if m == nil {
		return true
	}
	s := m.store.Load()
	return s != nil && s.Owned()
}

// OwnPending is how many deliveries for dest are pending in slots of this daemon.
func (p *Primaries) OwnPending(dest uint32) (n int64) {
	for _, s := range p.open() {
		n += s.OwnPending(dest)
	}
	return n
}

// open are the databases that were reached since the start.
func (p *Primaries) open() []*Store {
	all := []*Store{p.home}
	for _, m := range p.more {
		if s := m.store.Load(); s != nil {
			all = append(all, s)
		}
	}
	return all
}

// each are all databases, or the error of one that was not reached since the start.
func (p *Primaries) each() ([]*Store, error) {
	all := []*Store{p.home}
	if err := p.home.open(); err != nil {
		return nil, err
	}
	for _, m := range p.more {
		s, err := m.reached()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
