package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func stallCases() []scenario {
	return []scenario{
		{"nothing is acknowledged before it is durable", needStall, stallAcknowledges},
		{"a stalled store refuses and recovers", needStall, stallRefuses},
		{"what is read goes on", needStall, stallReads},
	}
}

// hung starts calls and fails the case if one returns before release.
func (r *rig) hung(calls map[string]func() error) {
	r.Helper()
	type result struct {
		name string
		err  error
	}
	release := r.h.Stall(r, r.s)
	results := make(chan result, len(calls))
	for name, call := range calls {
		go func() { results <- result{name, call()} }()
		r.still()
	}
	select {
	case res := <-results:
		r.Errorf("%s returned %v while nothing could be made durable", res.name, res.err)
		results <- res
	default:
	}
	release()
	for range calls {
		res := <-results
		r.must(res.name, res.err)
	}
}

func stallAcknowledges(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	for range 3 {
		e := r.entry(d)
		r.hung(map[string]func() error{"append": func() error {
			_, err := r.s.Append(r.ctx, r.now, []*store.Entry{e})
			return err
		}})
	}
	for name, call := range map[string]func() error{
		"move": func() error {
			_, err := r.s.Move(r.ctx, r.now, store.Retry, []store.DeliveryID{it.ID})
			return err
		},
		"register": func() error {
			_, err := r.s.Register(r.ctx, []store.DestinationKey{{Developer: "new", Name: "new", Kind: "webhook"}})
			return err
		},
		"set state":    func() error { return r.setState(d, store.DestinationState{Paused: true}) },
		"set last":     func() error { return r.s.SetLast(r.ctx, map[uint32]store.Last{d: {Success: 1}}) },
		"put settings": func() error { return r.s.PutSettings(r.ctx, map[uint64][]byte{3: []byte("x")}, nil) },
		"put":          func() error { return r.s.Put(r.ctx, "k", []byte("v")) },
	} {
		r.hung(map[string]func() error{name: call})
	}
}

// stallRefuses: admission decides before the commit, so that callers are told instead of hung.
func stallRefuses(r *rig) {
	d := r.dest()
	r.post(d)
	release := r.h.Stall(r, r.s)
	first, late := r.entry(d), r.entry(d)
	done := make(chan error, 2)
	go func() {
		_, err := r.s.Append(r.ctx, r.now, []*store.Entry{first})
		done <- err
	}()
	time.Sleep(5 * time.Second)
	r.still()
	var u *store.Unavailable
	if err := r.s.Ready(); !errors.As(err, &u) || u.After <= 0 || u.Reason == "" {
		r.Errorf("after 5 s without a commit, ready: %v", err)
	}
	go func() {
		_, err := r.s.Append(r.ctx, r.now, []*store.Entry{late})
		done <- err
	}()
	r.still()
	select {
	case err := <-done:
		if !errors.As(err, &u) {
			r.Errorf("append to a stalled store: %v", err)
		}
	default:
		r.Errorf("append to a stalled store hangs")
	}
	release()
	r.must("the append that was under way", <-done)
	time.Sleep(5 * time.Second)
	r.still()
	r.must("ready again", r.s.Ready())
	r.post(d)
	r.counts(d, store.Counts{Accepted: 3, Pending: 3})
}

// stallReads: the log and the queues answer, and an outcome is taken, while commits hang.
func stallReads(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	release := r.h.Stall(r, r.s)
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := r.s.Append(r.ctx, r.now, []*store.Entry{r.entry(d)})
		done <- err
	}()
	r.still()
	if _, err := r.s.Event(ctx, it.ID.Day, it.ID.Event); err != nil {
		r.Errorf("event: %v", err)
	}
	if _, _, err := r.s.Delivery(ctx, it.ID); err != nil {
		r.Errorf("delivery: %v", err)
	}
	if _, err := r.s.Deliveries(ctx, store.DeliveryQuery{Limit: 10}); err != nil {
		r.Errorf("deliveries: %v", err)
	}
	if _, _, err := r.s.Due(ctx, it.Queue, store.Position{}, 1<<62, 10); err != nil {
		r.Errorf("due: %v", err)
	}
	r.s.Counts(d)
	r.s.Stats()
	r.must("ready", r.s.Ready())
	release()
	r.must("append", <-done)
}
