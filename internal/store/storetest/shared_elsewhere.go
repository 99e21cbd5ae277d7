package storetest

import (
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func elsewhereCases() []sharedScenario {
	return []sharedScenario{
		{"what another daemon registers and changes is told", changedTold, goesOn},
		{"of changes at two daemons none is lost", changedByTwo, goesOn},
		{"one has a duty", dutyOfOne, goesOn},
		{"a duty ends with the lease", dutyLost, lapses},
		{"shares of those alive", shares, lapses},
		{"daemons are listed", daemonsListed, lapses},
		{"a key is known to all", keysShared, goesOn},
		{"what is cancelled elsewhere stays so", cancelledElsewhere, goesOn},
	}
}

func changedTold(r *sharedRig) {
	a, b := r.join(), r.join()
	d := a.dest("x")
	r.within(r.soon(), "a destination registered elsewhere", func() bool { return b.heard(d).Name == "x" })
	_, version, err := a.ChangeState(r.ctx, d, func(s *store.DestinationState) { s.Paused, s.Reason = true, "by hand" })
	r.must("change state", err)
	r.within(r.soon(), "a pause elsewhere", func() bool { n := b.heard(d); return n.State.Paused && n.Version == version })
	_, _, err = b.ChangeState(r.ctx, d, func(s *store.DestinationState) { s.Paused, s.Held, s.Settings = false, true, 9 })
	r.must("change state", err)
	r.within(r.soon(), "a hold elsewhere", func() bool {
		n := a.heard(d)
		return !n.State.Paused && n.State.Held && n.State.Reason == "by hand" && n.Version > version
	})
}

func changedByTwo(r *sharedRig) {
	a, b := r.join(), r.join()
	d := a.dest("x")
	done := make(chan error, 2)
	for _, by := range []*daemon{a, b} {
		go func() {
			var err error
			for range 10 {
				if _, _, e := by.ChangeState(r.ctx, d, func(s *store.DestinationState) { s.Failing.Attempts++ }); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	r.must("change state", errors.Join(<-done, <-done))
	ds, err := b.Destinations(r.ctx)
	r.must("destinations", err)
	if n := ds[0].State.Failing.Attempts; n != 20 {
		r.Errorf("of 20 changes at two daemons %d count", n)
	}
}

func (d *daemon) has(duty string) bool {
	d.r.Helper()
	ok, err := d.Duty(d.r.ctx, duty)
	d.r.must("duty", err)
	return ok
}

func dutyOfOne(r *sharedRig) {
	a, b := r.join(), r.join()
	for range 3 {
		if !a.has("retention") || b.has("retention") {
			r.Fatalf("a duty that one took first: %v, %v", a.has("retention"), b.has("retention"))
		}
		if !b.has("notices") || a.has("notices") {
			r.Fatalf("another duty, taken by the other one: %v, %v", b.has("notices"), a.has("notices"))
		}
	}
	a.end()
	r.within(r.soon(), "a duty that was given back", func() bool { return b.has("retention") })
}

func dutyLost(r *sharedRig) {
	a, b := r.join(), r.join()
	if !a.has("retention") {
		r.Fatalf("nobody has it")
	}
	mend := r.cluster.Cut(r, a.i)
	r.within(r.lapse(), "a duty of a daemon that is gone", func() bool { return b.has("retention") })
	mend()
	if ok, err := a.Duty(r.ctx, "retention"); ok {
		r.Errorf("two have one duty, %v", err)
	}
	a.over = true
	_ = a.Close()
}

func shares(r *sharedRig) {
	a := r.join()
	is := func(n int, ds ...*daemon) func() bool {
		return func() bool {
			seen := map[int]bool{}
			for _, d := range ds {
				i, of := d.Share()
				if of != n || i < 0 || i >= n || seen[i] {
					return false
				}
				seen[i] = true
			}
			return true
		}
	}
	r.within(r.soon(), "the only one has all", is(1, a))
	b := r.join()
	r.within(r.lapse(), "two of two", is(2, a, b))
	c := r.join()
	r.within(r.lapse(), "three of three", is(3, a, b, c))
	b.kill()
	r.within(r.lapse(), "two of two after one was killed", is(2, a, c))
	c.end()
	r.within(r.lapse(), "the only one that is left has all", is(1, a))
}

func daemonsListed(r *sharedRig) {
	a, b, c := r.join().announce(), r.join().announce(), r.join().announce()
	for _, d := range []*daemon{a, b, c} {
		var got store.Daemon
		r.within(r.soon(), "who is there", func() bool { got = d.listed(a); return got.Alive && len(got.Slots) > 0 })
		if got.ID == "" || got.API != "http://"+d.name() || got.Version != "1" || got.Key != "k" || got.Files != "f" || got.Seen.IsZero() || got.Started.IsZero() {
			r.Errorf("listed as %+v", got)
		}
	}
	if one, two := a.listed(a), b.listed(a); one.ID == two.ID || !one.Self || two.Self {
		r.Errorf("the one that asks and another are listed as %+v and %+v", one, two)
	}
	b.kill()
	r.within(r.lapse(), "one that was killed is listed so", func() bool { one := b.listed(a); return one.Name != "" && !one.Alive && len(one.Slots) == 0 })
	c.end()
	r.within(r.soon(), "one that left is not listed as alive", func() bool { return !c.listed(a).Alive })
}

func keysShared(r *sharedRig) {
	a, b := r.join(), r.join()
	d := a.dest("x")
	e := r.entry(d)
	e.IdempotencyKey = "key"
	out, err := a.Append(r.ctx, time.Now(), []*store.Entry{e})
	r.must("append", err)
	again := *e.Event
	dup, err := b.Append(r.ctx, time.Now(), []*store.Entry{{Event: &again, To: e.To, IdempotencyKey: "key"}})
	if err != nil || !dup[0].Duplicate || dup[0].ID != out[0].ID || len(dup[0].Items) != 0 {
		r.Errorf("a key used at another daemon: %+v, %v", dup, err)
	}
}

func cancelledElsewhere(r *sharedRig) {
	a, b := r.join(), r.join()
	_, items := a.post(a.dest("x"))
	id := items[0].ID
	moved, err := b.Move(r.ctx, time.Now(), store.Cancel, []store.DeliveryID{id})
	if err != nil || moved[0].Err != nil || moved[0].To != store.Cancelled {
		r.Fatalf("cancel at another daemon: %+v, %v", moved, err)
	}
	if a.shows(id) || b.shows(id) {
		r.Errorf("what was cancelled is shown")
	}
	out, err := a.Settle(r.ctx, time.Now(), []store.Outcome{{Item: items[0], State: store.Pending, Due: time.Now().Add(time.Hour).UnixNano(), Attempts: 1}})
	if err != nil || !out[0].Stale || out[0].State != store.Cancelled {
		r.Errorf("an outcome of what was cancelled elsewhere: %+v, %v", out, err)
	}
}
