package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func slotCases() []sharedScenario {
	return []sharedScenario{
		{"a delivery is shown to who accepted it alone", bornAtHome, goesOn},
		{"a lost lease is adopted", adopted, lapses},
		{"nothing is adopted while a lease goes on", notAdopted, lapses},
		{"nothing is adopted before a lease is over", notTooSoon, lapses},
		{"owners that ended without goodbye are counted", uncleanCounted, lapses},
		{"who closes hands over at once", handedOver, goesOn},
		{"what is handed over is handed over once", handedOverOnce, goesOn},
		{"what a start finds is not told, and says whose it was", foundAtStart, lapses},
		{"two owners at once, never", oneOwner, lapses},
		{"serial destinations are all in one place", serialBirths, goesOn},
		{"a serial destination moves with its slot", serialAdopted, lapses},
		{"what is retried goes to who asked", retriedHere, goesOn},
	}
}

func bornAtHome(r *sharedRig) {
	a, b := r.join(), r.join()
	d := a.dest("x")
	id, items := a.post(d)
	if len(items) != 1 || !a.shows(items[0].ID) || b.shows(items[0].ID) {
		r.Errorf("what one daemon accepted: %d items, shown to it %v, to another %v", len(items), a.shows(items[0].ID), b.shows(items[0].ID))
	}
	// Everybody reads everything.
	if _, err := b.Event(r.ctx, id.Day(), id); err != nil {
		r.Errorf("the event at another daemon: %v", err)
	}
	if got := b.state(items[0].ID); got != store.Pending {
		r.Errorf("the delivery at another daemon is %v", got)
	}
	for _, one := range []*daemon{a, b} {
		r.counted(one, d, store.Counts{Accepted: 1, Pending: 1})
	}
}

// counted waits until d has the counters of a destination, PendingBytes aside.
func (r *sharedRig) counted(d *daemon, dest uint32, want store.Counts) {
	r.Helper()
	r.within(r.soon(), fmt.Sprintf("counters %+v", want), func() bool {
		c := d.Counts(dest)
		c.PendingBytes = 0
		return c == want
	})
}

// adoptedBy waits until d shows an item and was told of it, and returns the head.
func (r *sharedRig) adoptedBy(d *daemon, it store.Item, within time.Duration) (h store.Head) {
	r.Helper()
	r.within(within, "shown what lies in an adopted slot", func() bool { return d.shows(it.ID) })
	r.within(r.soon(), "told of what lies in an adopted slot", func() (ok bool) { h, ok = d.told(it.Queue, it.Position()); return ok })
	return h
}

func adopted(r *sharedRig) {
	a, b := r.join(), r.join()
	d := a.dest("x")
	_, first := a.post(d)
	_, second := a.post(d)
	a.kill()
	h := r.adoptedBy(b, first[0], r.lapse())
	if h.Unclean != 1 {
		r.Errorf("one owner ended without goodbye, and %d are said to", h.Unclean)
	}
	r.adoptedBy(b, second[0], r.soon())
	if s, err := b.deliver(first[0]); err != nil || s[0].State != store.Delivered || s[0].Stale {
		r.Errorf("settled by the adopter: %+v, %v", s, err)
	}
	r.counted(b, d, store.Counts{Accepted: 2, Delivered: 1, Pending: 1})
}

func notAdopted(r *sharedRig) {
	a, b := r.join().announce(), r.join().announce()
	d := a.dest("x")
	_, items := a.post(d)
	for end := time.Now().Add(3 * r.lease); time.Now().Before(end); time.Sleep(r.lease / 10) {
		if !a.Owned() || !b.Owned() {
			r.Fatalf("a daemon that can renew its lease may begin no attempts: %v, %v", a.Owned(), b.Owned())
		}
	}
	if !a.shows(items[0].ID) || b.shows(items[0].ID) || len(a.slots(b)) == 0 {
		r.Errorf("a slot whose owner lives was adopted")
	}
}

// notTooSoon: a daemon that does not reach the store keeps what it has until its lease is over, and no longer.
func notTooSoon(r *sharedRig) {
	a, b := r.join().announce(), r.join().announce()
	_, items := a.post(a.dest("x"))
	defer r.cluster.Cut(r, a.i)()
	r.within(r.lapse(), "what the daemon had is adopted", func() bool { return b.shows(items[0].ID) })
	adopted := time.Now()
	over := a.listed(b).Seen.Add(r.lease) // a renewal may have been on its way
	if adopted.Before(over) {
		r.Errorf("what a daemon had was adopted %v before its lease was over", over.Sub(adopted))
	}
	if late := adopted.Sub(over); r.h.Bubble && late > r.lease/3+time.Second {
		r.Errorf("what a daemon had was adopted %v after its lease was over", late)
	}
	a.over = true
	_ = a.Close()
}

func uncleanCounted(r *sharedRig) {
	a := r.join()
	_, items := a.post(a.dest("x"))
	for i := 1; i <= 3; i++ {
		b := r.join()
		a.kill()
		if h := r.adoptedBy(b, items[0], r.lapse()); h.Unclean != i {
			r.Errorf("%d owners ended one after the other without goodbye, and %d are said to", i, h.Unclean)
		}
		a = b
	}
	b := r.join()
	a.end()
	if h := r.adoptedBy(b, items[0], r.soon()); h.Unclean != 0 {
		r.Errorf("the last owner gave the slot back, and %d are said to have ended without", h.Unclean)
	}
}

func handedOver(r *sharedRig) {
	a, b := r.join(), r.join()
	_, items := a.post(a.dest("x"))
	a.end()
	if h := r.adoptedBy(b, items[0], r.soon()); h.Unclean != 0 {
		r.Errorf("an orderly stop counts as %d that were none", h.Unclean)
	}
	if s, err := b.deliver(items[0]); err != nil || s[0].Stale {
		r.Errorf("settled by the next owner: %+v, %v", s, err)
	}
}

// handedOverOnce: a daemon that closes while it works leaves each delivery that it has not settled to one other
// daemon, and none that it has.
func handedOverOnce(r *sharedRig) {
	a, b, c := r.join(), r.join(), r.join()
	d := a.dest("x")
	var settled, left []store.Item
	for i := range 20 {
		_, items := a.post(d)
		if i%2 == 0 {
			left = append(left, items[0])
			continue
		}
		if s, err := a.deliver(items[0]); err != nil || s[0].State != store.Delivered {
			r.Fatalf("settle: %+v, %v", s, err)
		}
		settled = append(settled, items[0])
	}
	closed := time.Now()
	a.end()
	for _, it := range left {
		r.within(r.soon(), "somebody has what was left", func() bool { return b.shows(it.ID) || c.shows(it.ID) })
	}
	if took := time.Since(closed); r.h.Bubble && took > time.Second {
		r.Errorf("handed over within %v, want a second", took)
	}
	for _, it := range settled {
		if b.shows(it.ID) || c.shows(it.ID) {
			r.Errorf("%v was settled, and is handed over", it.ID)
		}
	}
	for _, it := range left {
		by := b
		if c.shows(it.ID) {
			by = c
			if b.shows(it.ID) {
				r.Errorf("%v is handed over to two", it.ID)
			}
		}
		if s, err := by.deliver(it); err != nil || s[0].Stale {
			r.Errorf("settled by the next owner: %+v, %v", s, err)
		}
	}
	r.counted(b, d, store.Counts{Accepted: 20, Delivered: 20})
	r.counted(c, d, store.Counts{Accepted: 20, Delivered: 20})
}

func foundAtStart(r *sharedRig) {
	a := r.join()
	_, items := a.post(a.dest("x"))
	a.kill()
	time.Sleep(r.lease + r.lease/5)
	b := r.join()
	r.within(r.lapse(), "the only daemon owns everything", func() bool { return b.shows(items[0].ID) })
	heads, err := b.Queues(r.ctx)
	r.must("queues", err)
	if len(heads) != 1 || heads[0].Unclean != 1 || heads[0].From != items[0].Position() {
		r.Errorf("what is pending at a start: %+v, want %v with one owner that ended", heads, items[0].Position())
	}
}

func oneOwner(r *sharedRig) {
	a, b, c := r.join().announce(), r.join().announce(), r.join().announce()
	d := a.dest("x")
	var items []store.Item
	for _, one := range []*daemon{a, b, c, a, b, c} {
		_, its := one.post(d)
		items = append(items, its...)
	}
	check := func(by ...*daemon) {
		ds, err := by[0].Daemons(r.ctx)
		r.must("daemons", err)
		owner := map[int]string{}
		for _, one := range ds {
			for _, s := range one.Slots {
				if owner[s] != "" {
					r.Errorf("slot %d is %s's and %s's", s, owner[s], one.Name)
				}
				owner[s] = one.Name
			}
		}
	}
	once := func() {
		r.Helper()
		for _, it := range items {
			shown := 0
			for _, one := range []*daemon{a, b, c} {
				if one.shows(it.ID) {
					shown++
				}
			}
			if shown != 1 {
				r.Errorf("%v is shown to %d daemons, want one", it.ID, shown)
			}
		}
	}
	once()
	mend := r.cluster.Cut(r, 0)
	least := time.Now().Add(2*r.lease + 2*time.Second)
	r.within(r.lapse(), "all that the daemon had is adopted", func() bool {
		time.Sleep(r.lease / 20)
		check(b, c)
		over := time.Now().After(least)
		for _, it := range items {
			one, two := b.shows(it.ID), c.shows(it.ID)
			if one && two {
				r.Fatalf("%v is shown to two", it.ID)
			}
			over = over && (one || two)
		}
		return over
	})
	mend()
	once()
	check(b)
	if n := len(a.slots(b)); n > 0 {
		r.Errorf("the daemon that lost its lease has %d slots", n)
	}
	a.over = true
	_ = a.Close()
}

// serialBirths: deliveries of a serial destination lie in one slot, whoever accepts them, and their owner
// is told.
func serialBirths(r *sharedRig) {
	a, b := r.join(), r.join()
	var dests []uint32
	for _, name := range []string{"s1", "s2", "s3", "s4", "s5"} {
		d := a.dest(name)
		r.serial.Store(d, true)
		dests = append(dests, d)
	}
	plain := b.dest("plain")
	for _, d := range dests {
		var owners []*daemon
		for _, by := range []*daemon{a, b, a, b} {
			id, items := by.post(d, plain)
			items = slices.DeleteFunc(items, func(it store.Item) bool { return it.ID.Dest == plain })
			it := store.DeliveryID{Day: id.Day(), Event: id, Dest: d}
			owner := a
			if b.shows(it) {
				owner = b
			}
			owners = append(owners, owner)
			found, ok := owner.find(it)
			if !ok {
				r.Fatalf("%v is shown to nobody", it)
			}
			if owner == by && len(items) != 1 || owner != by && len(items) != 0 {
				r.Errorf("the daemon that accepted %v is to make %d deliveries of it, owner %v", it, len(items), owner == by)
			}
			if owner != by {
				r.within(r.soon(), "the owner is told of a delivery born elsewhere", func() bool { _, ok := owner.told(found.Queue, found.Position()); return ok })
			}
		}
		for i, by := range []*daemon{a, b} { // replays as well
			id, _ := a.post(d)
			r.must("cancel", func() error {
				_, err := a.Move(r.ctx, time.Now(), store.Cancel, []store.DeliveryID{{Day: id.Day(), Event: id, Dest: d}})
				return err
			}())
			out, err := by.Replay(r.ctx, time.Now(), uint32(10+i), []store.Want{{Event: id, Day: id.Day(), Dest: d, Due: time.Now().UnixNano()}})
			r.must("replay", err)
			mine := by == owners[0]
			if m := out[0]; m.Err != nil || m.To != store.Pending || mine != (m.Item.ID == m.ID) || mine != (m.Size == 0) || !owners[0].shows(m.ID) {
				r.Errorf("replayed by its owner %v: %+v", mine, m)
			}
		}
		if slices.ContainsFunc(owners, func(o *daemon) bool { return o != owners[0] }) {
			r.Errorf("deliveries of the serial destination %d lie with two daemons", d)
		}
	}
}

func serialAdopted(r *sharedRig) {
	a, b, c := r.join(), r.join(), r.join()
	all := []*daemon{a, b, c}
	owner := func(it store.DeliveryID) *daemon {
		for _, one := range all {
			if !one.over && one.shows(it) {
				return one
			}
		}
		return nil
	}
	var first []store.DeliveryID
	for _, name := range []string{"s1", "s2", "s3", "s4", "s5", "s6"} {
		d := a.dest(name)
		r.serial.Store(d, true)
		id, _ := c.post(d)
		first = append(first, store.DeliveryID{Day: id.Day(), Event: id, Dest: d})
	}
	was := owner(first[0])
	if was == nil {
		r.Fatalf("shown to nobody")
	}
	was.kill()
	for _, it := range first {
		r.within(r.lapse(), "somebody else has it", func() bool { return owner(it) != nil })
	}
	for _, it := range first {
		for _, by := range all {
			if by.over {
				continue
			}
			more, _ := by.post(it.Dest)
			if !owner(it).shows(store.DeliveryID{Day: more.Day(), Event: more, Dest: it.Dest}) {
				r.Errorf("after an adoption the serial destination %d lies in two places", it.Dest)
			}
		}
	}
}

// retriedHere: what a person has tried again goes out from where they asked, since the daemon that it lay
// with would be told later.
func retriedHere(r *sharedRig) {
	a, b := r.join(), r.join()
	_, items := a.post(a.dest("x"))
	id := items[0].ID
	out, err := a.Settle(r.ctx, time.Now(), []store.Outcome{{Item: items[0], State: store.Dead, Reason: "rejected", Attempts: 1}})
	if err != nil || out[0].State != store.Dead {
		r.Fatalf("settle: %+v, %v", out, err)
	}
	moved, err := b.Move(r.ctx, time.Now(), store.Retry, []store.DeliveryID{id})
	if err != nil || moved[0].Err != nil || moved[0].To != store.Pending {
		r.Fatalf("retry at another daemon: %+v, %v", moved, err)
	}
	if !b.shows(id) || a.shows(id) {
		r.Errorf("retried at one daemon, shown to it %v, to the one before %v", b.shows(id), a.shows(id))
	}
	// Who has not got it gets no item of it.
	if s, err := a.Settle(r.ctx, time.Now(), []store.Outcome{{Item: items[0], State: store.Pending, Attempts: 1}}); err != nil || s[0].State != store.Pending || s[0].Item != (store.Item{}) {
		r.Errorf("an outcome of what is pending elsewhere: %+v, %v", s, err)
	}
	// By version, as at home: what the other one had in flight changes nothing any more.
	if s, err := a.Settle(r.ctx, time.Now(), []store.Outcome{{Item: items[0], State: store.Dead, Reason: "rejected", Attempts: 1}}); err == nil && !s[0].Stale {
		r.Errorf("an outcome for a version of before counts: %+v", s)
	}
	if got := b.state(id); got != store.Pending {
		r.Errorf("the delivery is %v", got)
	}
}
