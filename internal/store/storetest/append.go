package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func appendCases() []scenario {
	return []scenario{
		{"ids grow", 0, idsGrow},
		{"more events than a millisecond has ids", 0, crowdedMillisecond},
		{"fan-out", 0, fanOut},
		{"a destination named twice", 0, namedTwice},
		{"items are what Due offers", 0, itemsMatchDue},
		{"outcomes belong to entries", 0, outcomesInOrder},
		{"equal entries are events of their own", 0, equalEntries},
		{"an empty batch", 0, emptyBatch},
		{"an early end of the context", 0, appendContext},
		{"a context that ends during the commit", needStall, appendContextCommitting},
		{"survives a reopen", 0, appendReopen},
	}
}

// increasing fails the case unless ids grow strictly.
func (r *rig) increasing(ids ...event.ID) {
	r.Helper()
	for i := 1; i < len(ids); i++ {
		if !newer(ids[i], ids[i-1]) {
			r.Fatalf("id %d is %v, after %v", i, ids[i], ids[i-1])
		}
	}
}

func idsGrow(r *rig) {
	d := r.dest()
	var ids []event.ID
	for range 5 {
		batch := []*store.Entry{r.entry(), r.entry(d), r.entry(d)}
		for i, a := range r.append(batch...) {
			if a.ID != batch[i].Event.ID {
				r.Errorf("outcome names %v, the event got %v", a.ID, batch[i].Event.ID)
			}
			if got := a.ID.Time(); !got.Equal(r.now.Truncate(time.Millisecond)) {
				r.Errorf("id says %v, accepted at %v", got, r.now)
			}
			if a.ID[6]>>4 != 7 || a.ID[8]>>6 != 2 {
				r.Errorf("%v is no UUIDv7", a.ID)
			}
			ids = append(ids, a.ID)
		}
		r.advance(1500 * time.Microsecond)
	}
	r.increasing(ids...)
}

func crowdedMillisecond(r *rig) {
	var ids []event.ID
	for range 9 {
		batch := make([]*store.Entry, 1000)
		for i := range batch {
			batch[i] = r.entry()
		}
		for _, a := range r.append(batch...) {
			ids = append(ids, a.ID)
		}
	}
	r.increasing(ids...)
	if ahead := ids[len(ids)-1].Time().Sub(r.now); ahead > 10*time.Millisecond {
		r.Errorf("9000 events of one millisecond run %v ahead of the clock", ahead)
	}
}

func fanOut(r *rig) {
	all := r.dests(400)
	for _, n := range []int{0, 1, 2, 3, 400} {
		to := slices.Clone(all[:n])
		slices.Reverse(to)
		a := r.append(r.entry(to...))[0]
		if a.Fanout != n || len(a.Items) != n {
			r.Errorf("fan-out %d: outcome says %d with %d items", n, a.Fanout, len(a.Items))
		}
		if got := r.record(a.ID).To; !slices.Equal(sorted(got), all[:n]) {
			r.Errorf("fan-out %d: the record lists %d destinations", n, len(got))
		}
		if got := r.deliveries(r.s, store.DeliveryQuery{Event: a.ID}); len(got) != n {
			r.Errorf("fan-out %d: %d deliveries are listed", n, len(got))
		}
	}
}

func namedTwice(r *rig) {
	a, b := r.dest(), r.dest()
	out := r.append(r.entry(a, b, a))[0]
	if out.Fanout != 2 || len(out.Items) != 2 {
		r.Errorf("fan-out %d with %d items, want one for each of two destinations", out.Fanout, len(out.Items))
	}
	if got := r.record(out.ID).To; !slices.Equal(sorted(got), []uint32{a, b}) {
		r.Errorf("the record lists %v", got)
	}
	r.counts(a, store.Counts{Accepted: 1, Pending: 1})
}

func itemsMatchDue(r *rig) {
	to := r.dests(3)
	r.advance(1_234_567)
	e := r.entry(to...)
	for i, it := range r.append(e)[0].Items {
		want := store.Item{
			ID:    store.DeliveryID{Day: e.Event.ID.Day(), Event: e.Event.ID, Dest: to[i]},
			Queue: store.QueueID{Dest: to[i]}, Ordering: e.Event.Ordering.UnixNano(), Size: uint32(len(e.Event.Body)),
			Due: it.Due, Version: it.Version,
		}
		if it != want {
			r.Errorf("item %+v, want %+v", it, want)
		}
		if late := r.now.UnixNano() - it.Due; late < 0 || late >= int64(time.Millisecond) {
			r.Errorf("made due %v before now", time.Duration(late))
		}
		if got := r.queue(want.Queue); len(got) != 1 || got[0] != it {
			r.Errorf("due offers %+v, append gave %+v", got, it)
		}
		d, as := r.delivery(it.ID)
		if d.State != store.Pending || d.Due != it.Due || d.Settings != 0 || d.Attempts != 0 || d.Reason != "" || len(as) != 0 {
			r.Errorf("a fresh delivery is %+v with %d attempts", d, len(as))
		}
	}
}

func outcomesInOrder(r *rig) {
	a, b := r.dest(), r.dest()
	seen := r.entry(a)
	seen.IdempotencyKey = "seen"
	first := r.append(seen)[0]
	known, other := r.entry(b), r.entry(b)
	known.IdempotencyKey, known.Event.Body = "seen", seen.Event.Body
	other.IdempotencyKey = "seen"
	batch := []*store.Entry{r.entry(a), known, r.entry(), other, r.entry(a, b)}
	out := r.try(batch...)
	for i, fanout := range []int{1, 1, 0, 0, 2} {
		o := out[i]
		switch i {
		case 1:
			if !o.Duplicate || o.ID != first.ID || o.Reference != first.Reference || o.Err != nil {
				r.Errorf("a known key gave %+v, want a duplicate of %+v", o, first)
			}
		case 3:
			r.wants("a key with another body", o.Err, store.ErrIdempotencyMismatch)
		default:
			if o.Err != nil || o.Duplicate || o.ID != batch[i].Event.ID || o.Reference != batch[i].Event.Reference || len(o.Items) != fanout {
				r.Errorf("outcome %d is %+v", i, o)
			}
		}
		if i != 3 && o.Fanout != fanout {
			r.Errorf("outcome %d has fan-out %d, want %d", i, o.Fanout, fanout)
		}
	}
	if n := len(r.events(r.s, store.EventQuery{})); n != 4 {
		r.Errorf("%d events are stored, want 4", n)
	}
}

func equalEntries(r *rig) {
	d := r.dest()
	one, two := r.entry(d), r.entry(d)
	two.Event.Reference, two.Event.Body = one.Event.Reference, one.Event.Body
	out := r.append(one, two)
	r.increasing(out[0].ID, out[1].ID)
	r.counts(d, store.Counts{Accepted: 2, Pending: 2})
}

func emptyBatch(r *rig) {
	r.try()
	if n := len(r.events(r.s, store.EventQuery{})); n != 0 {
		r.Errorf("%d events of an empty batch", n)
	}
}

// appendContext: whatever an early end of the context does, the answer is the truth.
func appendContext(r *rig) {
	d := r.dest()
	stored := map[string]bool{}
	for i := range 40 {
		e := r.entry(d)
		e.Event.UserID = e.Event.Reference
		ctx, cancel := context.WithCancel(r.ctx)
		if i == 0 {
			cancel()
		}
		done := make(chan error)
		go func() {
			_, err := r.s.Append(ctx, r.now, []*store.Entry{e})
			done <- err
		}()
		cancel()
		err := <-done
		var u *store.Unavailable
		if err != nil && !errors.Is(err, context.Canceled) && !errors.As(err, &u) {
			r.Errorf("append with a cancelled context: %v", err)
		}
		stored[e.Event.UserID] = err == nil
	}
	for user, want := range stored {
		if got := len(r.events(r.s, store.EventQuery{User: user})); (got == 1) != want {
			r.Errorf("append said stored %v, and %d events are", want, got)
		}
	}
}

func appendContextCommitting(r *rig) {
	e := r.entry(r.dest())
	release := r.h.Stall(r, r.s)
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan error, 1)
	go func() {
		_, err := r.s.Append(ctx, r.now, []*store.Entry{e})
		done <- err
	}()
	r.still()
	cancel()
	r.still()
	select {
	case err := <-done:
		r.Errorf("append returned %v before its commit ended", err)
		done <- err
	default:
	}
	release()
	r.must("append", <-done)
	r.record(e.Event.ID)
}

func appendReopen(r *rig) {
	to := r.dests(3)
	for i := range 4 {
		r.append(r.entry(to[:i]...), r.entry(to[i:]...))
		r.advance(9 * time.Hour)
	}
	before := r.dump(r.s, true)
	r.reopen()
	r.same("after a reopen", r.dump(r.s, true), before)
}
