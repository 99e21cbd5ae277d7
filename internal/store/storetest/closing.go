package storetest

import (
	"errors"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func closingCases() []scenario {
	return []scenario{
		{"a closed store says so", 0, closedSays},
		{"closing while events arrive", 0, closeWhileAppending},
		{"closing while attempts end", 0, closeWhileSettling},
		{"closing while it retains and erases", 0, closeWhileRetaining},
		{"outcomes are durable when it is closed", 0, closeAfterSettle},
		{"open, work and close, many times", 0, closeAgain},
		{"a store at work is ready", 0, readyAtWork},
	}
}

func closedSays(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	s := r.s
	o := r.delivered(it)
	r.must("close", s.Close())
	if err := s.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
		r.Errorf("closing again: %v", err)
	}
	for name, call := range map[string]func() error{
		"append": func() error {
			_, err := s.Append(r.ctx, r.now, []*store.Entry{r.entry(d)})
			return err
		},
		"settle": func() error {
			_, err := s.Settle(r.ctx, r.now, []store.Outcome{o})
			return err
		},
		"move": func() error {
			_, err := s.Move(r.ctx, r.now, store.Cancel, []store.DeliveryID{it.ID})
			return err
		},
		"due": func() error {
			_, _, err := s.Due(r.ctx, it.Queue, store.Position{}, 1<<62, 10)
			return err
		},
		"queues":     func() error { _, err := s.Queues(r.ctx); return err },
		"event":      func() error { _, err := s.Event(r.ctx, it.ID.Day, it.ID.Event); return err },
		"record":     func() error { _, err := s.EventRecord(r.ctx, it.ID.Event); return err },
		"delivery":   func() error { _, _, err := s.Delivery(r.ctx, it.ID); return err },
		"events":     func() error { _, err := s.Events(r.ctx, store.EventQuery{Limit: 1}); return err },
		"deliveries": func() error { _, err := s.Deliveries(r.ctx, store.DeliveryQuery{Limit: 1}); return err },
		"audit":      func() error { _, err := s.Audit(r.ctx, true, func(int64) {}); return err },
		"register": func() error {
			_, err := s.Register(r.ctx, []store.DestinationKey{{Developer: "a", Name: "b", Kind: "c"}})
			return err
		},
		"destinations":     func() error { _, err := s.Destinations(r.ctx); return err },
		"set state":        func() error { _, _, err := s.ChangeState(r.ctx, d, func(*store.DestinationState) {}); return err },
		"set last":         func() error { return s.SetLast(r.ctx, map[uint32]store.Last{d: {Success: 1}}) },
		"put settings":     func() error { return s.PutSettings(r.ctx, map[uint64][]byte{1: []byte("x")}, nil) },
		"without settings": func() error { _, err := s.WithoutSettings(r.ctx, []uint64{1}); return err },
		"settings":         func() error { _, err := s.Settings(r.ctx, 1); return err },
		"collect":          func() error { _, err := s.CollectSettings(r.ctx, nil); return err },
		"put":              func() error { return s.Put(r.ctx, "k", []byte("v")) },
		"get":              func() error { _, err := s.Get(r.ctx, "k"); return err },
		"delete":           func() error { return s.Delete(r.ctx, "k") },
		"retain": func() error {
			_, err := s.Retain(r.ctx, r.now.Add(90*day), store.Retention{Events: day, Attempts: day}, nil)
			return err
		},
		"erase": func() error {
			_, err := s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: "user-1"}, nil)
			return err
		},
		"backup": func() error { return s.Backup(r.ctx, r.nowhere()) },
	} {
		r.wants(name, call(), store.ErrClosed)
	}
	if s.Ready() == nil {
		r.Errorf("a closed store is ready")
	}
	r.reopen()
	r.stands(it.ID, store.Pending)
}

// nowhere names a directory that does not exist.
func (r *rig) nowhere() string {
	if r.h.BackupDir == nil {
		return "nowhere"
	}
	return r.h.BackupDir(r, r.s)
}

// closeWhileAppending: what was acknowledged is there afterwards, and whole; the rest was told ErrClosed.
func closeWhileAppending(r *rig) {
	dests := r.dests(3)
	const writers, each = 8, 200
	entries := make([][]*store.Entry, writers)
	for w := range entries {
		for range each {
			entries[w] = append(entries[w], r.entry(dests...))
		}
	}
	var mu sync.Mutex
	var acked []event.ID
	begun := make(chan struct{}, writers*each)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				out, err := r.s.Append(r.ctx, r.now, entries[w][i:i+1])
				if err != nil {
					r.wants("append while closing", err, store.ErrClosed)
					return
				}
				mu.Lock()
				acked = append(acked, out[0].ID)
				mu.Unlock()
				begun <- struct{}{}
			}
		})
	}
	ended(&wg, begun)
	for range 50 {
		<-begun
	}
	r.must("close", r.s.Close())
	wg.Wait()
	r.reopen()
	for _, id := range acked {
		r.record(id)
		if n := len(r.deliveries(r.s, store.DeliveryQuery{Event: id})); n != len(dests) {
			r.Errorf("event %v has %d deliveries", id, n)
		}
	}
	if n := len(r.events(r.s, store.EventQuery{})); n > len(acked)+writers {
		r.Errorf("%d events, %d were acknowledged", n, len(acked))
	}
}

func closeWhileSettling(r *rig) {
	d := r.dest()
	items := r.posts(400, d)
	outcomes := make([]store.Outcome, len(items))
	for i, it := range items {
		outcomes[i] = r.delivered(it)
	}
	said := make([]bool, len(items))
	begun := make(chan struct{}, len(items))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < len(items); i += 4 {
				if _, err := r.s.Settle(r.ctx, r.now, outcomes[i:i+1]); err != nil {
					r.wants("settle while closing", err, store.ErrClosed)
					return
				}
				said[i] = true
				begun <- struct{}{}
			}
		})
	}
	ended(&wg, begun)
	for range 20 {
		<-begun
	}
	r.must("close", r.s.Close())
	wg.Wait()
	r.reopen()
	for i, it := range items {
		if said[i] {
			r.stands(it.ID, store.Delivered)
		}
	}
}

// closeWhileRetaining: long work ends early, without harm, and goes on another time.
func closeWhileRetaining(r *rig) {
	d := r.dest()
	for i := range 4 {
		batch := make([]*store.Entry, 700)
		for j := range batch {
			batch[j] = r.of("acme", []string{"ann", "bob"}[i%2], d)
		}
		r.append(batch...)
	}
	r.now = midnight(r.now).Add(3 * day)
	keep := store.Retention{Events: day, Attempts: 30 * day}
	s := r.s
	seen := make(chan struct{}, 1000)
	first := func([]store.Moved) { seen <- struct{}{} }
	done := make(chan error, 2)
	go func() {
		_, err := s.Retain(r.ctx, r.now, keep, first)
		done <- err
	}()
	go func() {
		_, err := s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: "ann", By: "x"}, first)
		done <- err
	}()
	<-seen
	r.must("close", s.Close())
	for range 2 {
		if err := <-done; err != nil {
			r.wants("retain or erase while closing", err, store.ErrClosed)
		}
	}
	r.reopen()
	r.balanced()
	r.erase("acme", "ann")
	r.retain(keep)
	c := r.s.Counts(d)
	r.counts(d, store.Counts{Accepted: 2800, Dead: c.Dead, Cancelled: 2800 - c.Dead})
}

func closeAfterSettle(r *rig) {
	d := r.dest()
	for i := range 20 {
		it := r.post(d)[0]
		r.settle(r.delivered(it))
		r.reopen()
		r.stands(it.ID, store.Delivered)
		r.counts(d, store.Counts{Accepted: int64(i) + 1, Delivered: int64(i) + 1})
	}
}

func closeAgain(r *rig) {
	d := r.dest()
	var last event.ID
	for i := range 15 {
		it := r.post(d)[0]
		r.increasing(last, it.ID.Event)
		last = it.ID.Event
		if i%2 == 0 {
			r.settle(r.failed(it, time.Hour, uint64(i)))
		}
		before := r.dump(r.s, true)
		r.reopen()
		r.same("after a reopen", r.dump(r.s, true), before)
	}
}

func readyAtWork(r *rig) {
	r.must("ready", r.s.Ready())
	d := r.dest()
	items := r.posts(50, d)
	r.settle(r.delivered(items[0]))
	r.must("ready", r.s.Ready())
	st := r.s.Stats()
	if st.Pending != 49 || st.Bytes < 0 || st.DiskFree < 0 {
		r.Errorf("stats %+v", st)
	}
}
