package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func idempotencyCases() []scenario {
	return []scenario{
		{"a known key is a duplicate", 0, knownKey},
		{"a known key with another body", 0, keyMismatch},
		{"no key is never known", 0, noKey},
		{"the developer is the scope", 0, keyScope},
		{"twice in one batch", 0, keyTwiceInBatch},
		{"from many at once", 0, keyRace},
		{"survives a reopen", 0, keyReopen},
		{"ages out", 0, keyAgesOut},
		{"one in flight is waited for", needStall, keyInFlight},
		{"a duplicate names what is durable", needCrash, keyDurable},
	}
}

// keyed makes an entry with a key and a body.
func (r *rig) keyed(key, body string, to ...uint32) *store.Entry {
	e := r.entry(to...)
	e.IdempotencyKey, e.Event.Body = key, []byte(body)
	return e
}

// duplicates fails the case unless e is answered as a duplicate of first.
func (r *rig) duplicates(e *store.Entry, first store.Appended) {
	r.Helper()
	got := r.try(e)[0]
	if got.Err != nil || !got.Duplicate || got.ID != first.ID || got.Reference != first.Reference || got.Fanout != first.Fanout || len(got.Items) != 0 {
		r.Errorf("a known key gave %+v, want a duplicate of %+v", got, first)
	}
}

func knownKey(r *rig) {
	to := r.dests(3)
	first := r.append(r.keyed("key", "body", to[:2]...))[0]
	r.advance(time.Hour)
	r.duplicates(r.keyed("key", "body", to...), first)
	r.duplicates(r.keyed("key", "body"), first)
	other := r.keyed("key", "body")
	other.Event.Type, other.Event.UserID = "sleep", "user-2"
	r.duplicates(other, first)
	if n := len(r.events(r.s, store.EventQuery{})); n != 1 {
		r.Errorf("%d events of one key", n)
	}
	r.counts(to[0], store.Counts{Accepted: 1, Pending: 1})
	r.counts(to[2], store.Counts{})
	r.settle(r.delivered(first.Items[0]))
	r.duplicates(r.keyed("key", "body", to...), first)
}

func keyMismatch(r *rig) {
	d := r.dest()
	first := r.append(r.keyed("key", "body", d))[0]
	for _, body := range []string{"bodY", "bod", "body ", "body\x00", "x"} {
		got := r.try(r.keyed("key", body, d))[0]
		r.wants("another body", got.Err, store.ErrIdempotencyMismatch)
	}
	r.counts(d, store.Counts{Accepted: 1, Pending: 1})
	r.duplicates(r.keyed("key", "body"), first)
}

func noKey(r *rig) {
	d := r.dest()
	r.append(r.keyed("", "body", d), r.keyed("", "body", d))
	r.append(r.keyed("", "other", d))
	r.counts(d, store.Counts{Accepted: 3, Pending: 3})
}

// keyScope also has pairs that would meet if developer and key were joined.
func keyScope(r *rig) {
	d := r.dest()
	pairs := [][2]string{{"acme", "k"}, {"acm", "ek"}, {"acme", "k "}, {"acme", "K"}, {"acme|", "k"}, {"acme", "|k"}, {"acme\x00", "k"}, {"acme", "\x00k"}, {"", "acmek"}, {"other", "k"}}
	for i, p := range pairs {
		e := r.keyed(p[1], fmt.Sprint("body ", i), d)
		e.Event.Developer = p[0]
		r.append(e)
	}
	r.counts(d, store.Counts{Accepted: int64(len(pairs)), Pending: int64(len(pairs))})
}

func keyTwiceInBatch(r *rig) {
	d := r.dest()
	out := r.try(r.keyed("k", "body", d), r.entry(d), r.keyed("k", "body", d), r.keyed("k", "other", d), r.keyed("l", "body", d))
	if out[0].Duplicate || out[0].Err != nil || out[1].Duplicate || out[4].Duplicate || out[4].Err != nil {
		r.Errorf("outcomes: %+v", out)
	}
	if !out[2].Duplicate || out[2].ID != out[0].ID || out[2].Fanout != 1 || out[2].Reference != out[0].Reference || len(out[2].Items) != 0 {
		r.Errorf("the second of one key gave %+v, want a duplicate of %+v", out[2], out[0])
	}
	r.wants("the third with another body", out[3].Err, store.ErrIdempotencyMismatch)
	r.counts(d, store.Counts{Accepted: 3, Pending: 3})
}

func keyRace(r *rig) {
	d := r.dest()
	const callers, keys = 16, 20
	out := make([][]store.Appended, callers)
	var wg sync.WaitGroup
	batches := make([][]*store.Entry, callers)
	for c := range batches {
		for k := range keys {
			batches[c] = append(batches[c], r.keyed(fmt.Sprint("key ", k), fmt.Sprint("body ", k), d))
		}
		if c%2 == 1 { // two that wait for each other's keys must not wait for ever
			slices.Reverse(batches[c])
		}
	}
	for c := range callers {
		wg.Go(func() {
			var err error
			if out[c], err = r.s.Append(r.ctx, r.now, batches[c]); err != nil {
				r.Errorf("append: %v", err)
			}
			if c%2 == 1 {
				slices.Reverse(out[c])
			}
		})
	}
	wg.Wait()
	if r.Failed() {
		return
	}
	for k := range keys {
		firsts := 0
		for c := range callers {
			a := out[c][k]
			if a.Err != nil || a.ID != out[0][k].ID || a.Fanout != 1 || a.Reference != out[0][k].Reference {
				r.Errorf("key %d, caller %d: %+v, caller 0: %+v", k, c, a, out[0][k])
			}
			if !a.Duplicate {
				firsts++
			}
		}
		if firsts != 1 {
			r.Errorf("key %d was stored %d times", k, firsts)
		}
	}
	r.counts(d, store.Counts{Accepted: keys, Pending: keys})
}

func keyReopen(r *rig) {
	d := r.dest()
	first := r.append(r.keyed("k", "body", d))[0]
	r.reopen()
	r.duplicates(r.keyed("k", "body", d), first)
	r.wants("another body", r.try(r.keyed("k", "other", d))[0].Err, store.ErrIdempotencyMismatch)
}

func keyAgesOut(r *rig) {
	d := r.dest()
	keep := store.Retention{Idempotency: 48 * time.Hour}
	first := r.append(r.keyed("k", "body", d))[0]
	for range 2 {
		r.advance(24 * time.Hour)
		_, err := r.s.Retain(r.ctx, r.now, keep, nil)
		r.must("retain", err)
		r.duplicates(r.keyed("k", "body", d), first)
	}
	r.reopen()
	r.now = midnight(r.now).Add(24 * time.Hour)
	_, err := r.s.Retain(r.ctx, r.now, keep, nil)
	r.must("retain", err)
	if got := r.try(r.keyed("k", "other", d))[0]; got.Err != nil || got.Duplicate {
		r.Errorf("a key of three days ago, kept for two: %+v", got)
	}
}

func keyInFlight(r *rig) {
	d := r.dest()
	release := r.h.Stall(r, r.s)
	var first, second, third []store.Appended
	var errs [3]error
	a, b, c := r.keyed("k", "body", d), r.keyed("k", "body", d), r.keyed("k", "other", d)
	done := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	run := func(i int, e *store.Entry, out *[]store.Appended) {
		wg.Go(func() {
			*out, errs[i] = r.s.Append(r.ctx, r.now, []*store.Entry{e})
			mu.Lock()
			defer mu.Unlock()
			if i < 2 {
				done++
			}
		})
		r.still()
	}
	run(0, a, &first)
	run(1, b, &second)
	run(2, c, &third)
	mu.Lock()
	if done != 0 {
		r.Errorf("%d appends returned before the first was durable", done)
	}
	mu.Unlock()
	release()
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			r.Fatalf("append %d: %v", i, err)
		}
	}
	if first[0].Duplicate || !second[0].Duplicate || second[0].ID != first[0].ID || second[0].Fanout != 1 || second[0].Reference != first[0].Reference {
		r.Errorf("first %+v, second %+v", first[0], second[0])
	}
	r.wants("another body", third[0].Err, store.ErrIdempotencyMismatch)
	r.counts(d, store.Counts{Accepted: 1, Pending: 1})
}

func keyDurable(r *rig) {
	d := r.dest()
	for i := range 5 {
		key := fmt.Sprint("key ", i)
		duplicate := make(chan store.Appended, 8)
		entries := make([]*store.Entry, 8)
		for c := range entries {
			entries[c] = r.keyed(key, "body", d)
		}
		s := r.s // a crash puts another in its place
		var wg sync.WaitGroup
		for _, e := range entries {
			wg.Go(func() {
				if out, err := s.Append(r.ctx, r.now, []*store.Entry{e}); err == nil && out[0].Duplicate {
					duplicate <- out[0]
				}
			})
		}
		go func() {
			wg.Wait()
			close(duplicate)
		}()
		first, ok := <-duplicate
		r.crash()
		wg.Wait()
		if !ok {
			r.Fatalf("of 8 with one key, none was a duplicate")
		}
		r.record(first.ID)
		r.duplicates(r.keyed(key, "body", d), first)
	}
}

// midnight returns the first instant of t's day.
func midnight(t time.Time) time.Time { return t.Truncate(24 * time.Hour) }
