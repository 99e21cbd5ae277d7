package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	thawFirst = time.Second
	thawMost  = time.Minute
	rebindRun = 500       // deliveries of one change
	allTimes  = never - 1 // every due time there can be
)

// thawing is how far the settings of a lane are from being open.
type thawing struct {
	running bool
	pace    policy.Pacer
}

// thawed tells whether the settings of l are open. If not it has them opened,
// which takes reads and so is done aside.
func (s *Scheduler) thawed(l *lane) bool {
	if l.inst != nil {
		return true
	}
	if !l.thaw.running {
		l.thaw.running = true
		s.work.Go(func() { s.thawLane(l) })
	}
	return false
}

func (s *Scheduler) thawLane(l *lane) {
	settings, err := s.callThaw(l.dest.id, l.hash)
	var rebound bool
	if errors.Is(err, store.ErrNotFound) {
		rebound = true
		s.log.Warn("frozen settings are gone; their deliveries go out with current ones", "destination", l.dest.id)
		_, err = s.rebindQueue(s.io, store.QueueID{Dest: l.dest.id, Settings: l.hash})
	}
	now := s.lock()
	defer s.unlock(now)
	l.thaw.running = false
	switch {
	case err != nil:
		l.thaw.pace.Next(now.mono, thawFirst, thawMost)
		if s.io.Err() == nil {
			s.log.Error("opening frozen settings failed; their deliveries wait", "destination", l.dest.id, "error", err)
		}
	case rebound:
		if l == l.dest.current { // nothing opens them; only a reload can help
			l.thaw.pace.Next(now.mono, thawFirst, thawMost)
		}
	case l.inst != nil || s.phase != running:
		s.retire(open(settings.Destination)) // a reload was faster
	default:
		l.settings, l.inst, l.thaw.pace = settings, open(settings.Destination), policy.Pacer{}
	}
	s.consider(l, now)
	s.tidyLane(l)
}

func (s *Scheduler) callThaw(dest uint32, hash uint64) (settings *Settings, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.logPanic(v)
			err = errors.New("opening the destination panicked")
		}
	}()
	if s.thaw == nil {
		return nil, store.ErrNotFound
	}
	settings, err = s.thaw(s.io, dest, hash)
	if err == nil && (settings == nil || settings.Destination == nil) {
		err = errors.New("no destination was opened")
	}
	return settings, err
}

// Rebind moves every pending delivery with frozen settings to the current ones and returns how many.
func (s *Scheduler) Rebind(ctx context.Context, dest uint32) (int, error) {
	barrier, err := s.unfreeze(dest)
	if err != nil {
		return 0, err
	}
	s.TryNow(dest)
	// Outcomes that were on their way to the store may freeze more behind the first pass.
	sum := 0
	for range 2 {
		queues, err := s.store.Queues(ctx)
		if err != nil {
			return sum, fmt.Errorf("listing queues: %w", err)
		}
		for i := range queues {
			q := queues[i].Queue
			if q.Dest != dest || q.Settings == 0 {
				continue
			}
			n, err := s.rebindQueue(ctx, q)
			if sum += n; err != nil {
				return sum, err
			}
		}
		select {
		case <-barrier:
		case <-ctx.Done():
			return sum, context.Cause(ctx)
		}
	}
	return sum, nil
}

// unfreeze keeps calls in flight, and outcomes not yet written, from
// freezing their deliveries. What it returns is closed once every outcome that
// was being written is.
func (s *Scheduler) unfreeze(dest uint32) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dests[dest]
	if d == nil || !d.stateKnown {
		return nil, store.ErrNotFound
	}
	for _, l := range d.lanes {
		if l == d.current {
			continue
		}
		for c := l.first; c != nil; c = c.next {
			c.unfrozen = true
		}
	}
	t := &s.settler
	for i := range t.queue {
		if o := &t.queue[i]; o.job.q.dest == d && o.job.item.Queue.Settings == 0 {
			o.Settings = 0
		}
	}
	barrier := make(chan struct{})
	if t.running && !t.gaveUp {
		t.barriers = append(t.barriers, barrier)
	} else {
		close(barrier)
	}
	return barrier, nil
}

// SettingsInFlight lists by hash the settings that an outcome may still freeze its
// delivery to: of calls in flight, and of those whose outcomes are not stored.
// Settings must be kept while they are in it, though a reload has replaced them and
// no delivery in the store names them yet.
func (s *Scheduler) SettingsInFlight() (hashes []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.dests {
		for _, l := range d.lanes {
			if l.calls > 0 || l.unsettled > 0 {
				hashes = append(hashes, l.hash)
			}
		}
	}
	return hashes
}

// rebindQueue moves everything pending in a queue to the current settings.
func (s *Scheduler) rebindQueue(ctx context.Context, id store.QueueID) (int, error) {
	sum := 0
	for from := (store.Position{}); ; {
		items, _, err := s.store.Due(ctx, id, from, allTimes, rebindRun)
		if err != nil {
			return sum, fmt.Errorf("reading what is frozen: %w", err)
		}
		if len(items) == 0 {
			return sum, nil
		}
		ids := make([]store.DeliveryID, len(items))
		for i := range items {
			ids[i] = items[i].ID
		}
		ms, err := s.moveInStore(ctx, s.now().time(), store.Rebind, ids)
		if err != nil {
			return sum, fmt.Errorf("rebinding: %w", err)
		}
		for i := range ms {
			if ms[i].Err == nil {
				sum++
			}
		}
		from = after(items[len(items)-1].Position())
	}
}
