package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
)

// fleet is the daemons and what they share.
type fleet struct {
	sc        *scenario
	oracle    *oracle
	many      *storetest.Many
	hosts     []*host
	again     map[*host]time.Time // when a host has a daemon again
	woken     chan struct{}
	ops       sync.WaitGroup
	runs      int
	rescued   float64
	mu        sync.Mutex // of rescued
	peaceful  bool       // nothing disturbs a daemon
	poisonous bool       // something kills them
}

// play plays a scenario. It must run in a synctest bubble.
func play(sc *scenario) *fleet {
	f := &fleet{sc: sc, again: map[*host]time.Time{}, woken: make(chan struct{}, 1)}
	bits := mix(sc.seed)
	var lock sync.Mutex
	f.many = storetest.NewMany(storetest.ManyOptions{Lease: lease, Rand: func() uint64 {
		lock.Lock()
		defer lock.Unlock()
		bits = mix(bits)
		return bits
	}})
	f.peaceful = !slices.ContainsFunc(sc.actions, func(a action) bool {
		return a.kills > 0 || a.verb == kill || a.verb == cut || a.verb == freeze || a.verb == replace
	})
	f.poisonous = slices.ContainsFunc(sc.actions, func(a action) bool { return a.kills > 0 })
	f.oracle = newOracle(f)
	for i := range sc.daemons {
		h := &host{n: i, memory: make([]byte, 64*512)}
		f.hosts = append(f.hosts, h)
		f.start(h)
	}
	for i := range sc.actions {
		f.until(sc.actions[i].at)
		f.do(&sc.actions[i])
	}
	f.until(sc.length)
	f.end()
	return f
}

func (f *fleet) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// alive is how many daemons run.
func (f *fleet) alive() (n int) {
	for _, h := range f.hosts {
		if h.daemon != nil && !h.dead.Load() {
			n++
		}
	}
	return n
}

// until lets time pass, takes away daemons that have ended and starts the next on their hosts.
func (f *fleet) until(at time.Duration) {
	end := f.oracle.began.Add(at)
	for {
		next := end
		for _, when := range f.again {
			if soon := time.Now().Add(100 * time.Millisecond); when.Before(soon) {
				when = soon // the daemon before has not ended yet, perhaps
			}
			if when.Before(next) {
				next = when
			}
		}
		t := time.NewTimer(max(0, time.Until(next)))
		select {
		case <-t.C:
		case <-f.woken:
			t.Stop()
		}
		f.tend()
		if !time.Now().Before(end) {
			return
		}
	}
}

func (f *fleet) tend() {
	for _, h := range f.hosts {
		d := h.daemon
		fenced := false
		select {
		case <-d.fenced:
			fenced = true
		default:
		}
		if !d.buried && !d.stops.Load() && (fenced || d.dead.Load()) {
			d.buried = true
			if fenced && d.dead.CompareAndSwap(false, true) {
				close(d.died)
			}
			d.bury()
			if f.again[h].IsZero() {
				f.again[h] = time.Now().Add(5 * time.Second)
			}
		}
		if when, ok := f.again[h]; ok && !time.Now().Before(when) && d.dead.Load() {
			delete(f.again, h)
			f.oracle.disturb("host %d has a daemon again", h.n)
			f.start(h)
		}
	}
}

// living returns a daemon that runs: that of a host, or of the next one.
func (f *fleet) living(n int) *daemon {
	for i := range f.hosts {
		if d := f.hosts[(n+i)%len(f.hosts)].daemon; !d.dead.Load() && !d.stops.Load() {
			return d
		}
	}
	return nil
}

func (f *fleet) do(a *action) {
	d := f.living(a.host)
	if d == nil {
		return
	}
	ctx := context.Background()
	dest := uint32(a.dest + 1)
	switch a.verb {
	case accept:
		f.ops.Go(func() { f.accept(d, a) })
	case kill:
		f.oracle.disturb("%s is killed", d.name)
		f.again[d.host] = time.Now().Add(a.lasts)
		d.die()
		f.tend()
	case replace:
		calm := f.oracle.atRest()
		f.oracle.disturb("%s is to stop", d.name)
		f.again[d.host] = time.Now().Add(a.lasts)
		d.stops.Store(true)
		f.ops.Go(func() { f.replace(d, calm) })
	case cut:
		f.oracle.disturb("%s is cut off for %v", d.name, a.lasts)
		d.mu.Lock()
		d.cuts++
		d.mu.Unlock()
		mend := d.store.Cut()
		f.lasting(d, a.lasts, func() {
			mend()
			d.mu.Lock()
			d.cuts--
			d.quietAt = time.Now()
			d.mu.Unlock()
		})
	case freeze:
		d.mu.Lock()
		stopped := d.thaw != nil
		if !stopped {
			d.thaw = make(chan struct{})
		}
		d.mu.Unlock()
		if stopped {
			return
		}
		f.oracle.disturb("%s is stopped by a signal for %v", d.name, a.lasts)
		mend := d.store.Cut()
		f.lasting(d, a.lasts, func() {
			mend()
			d.mu.Lock()
			close(d.thaw)
			d.thaw, d.quietAt = nil, time.Now()
			d.mu.Unlock()
		})
	case pause:
		f.ops.Go(func() {
			if err := d.sched.Pause(ctx, dest, "by hand"); err == nil && !d.disturbed(time.Now()) {
				f.oracle.say("to%c is paused", 'a'+a.dest)
				f.oracle.pauses(dest)
			}
		})
	case resume:
		f.oracle.resumes(dest)
		f.ops.Go(func() {
			err := d.sched.Resume(ctx, dest)
			f.oracle.resumes(dest)
			f.oracle.say("to%c is resumed: %v", 'a'+a.dest, err)
		})
	case cancel, again:
		f.ops.Go(func() { f.change(d, a, dest) })
	}
}

// replace stops a daemon in good order. Others have its slots within a second, if there are any
// that nothing keeps from it; calm, if no other daemon's slots may have become free meanwhile.
func (f *fleet) replace(d *daemon, calm bool) {
	d.stop()
	stopped := time.Now()
	t := time.NewTimer(handedOver)
	<-t.C
	if calm && !d.killed.Load() && slices.ContainsFunc(f.hosts, func(h *host) bool { return !h.dead.Load() && !h.stops.Load() && !h.disturbed(stopped) }) && f.oracle.undisturbed(stopped) {
		if n := f.many.Orphans(); n > 0 {
			f.oracle.fault("%v after %s has stopped in good order, nobody has %d slots", handedOver, d.name, n)
		}
	}
}

// lasting ends something that was done to a daemon after a while.
func (f *fleet) lasting(d *daemon, lasts time.Duration, end func()) {
	f.ops.Go(func() {
		t := time.NewTimer(lasts)
		defer t.Stop()
		select {
		case <-t.C:
		case <-d.died:
		}
		end()
		f.oracle.disturb("%s is let go", d.name)
	})
}

func (f *fleet) accept(d *daemon, a *action) {
	rs := make([]ingest.Request, a.count)
	for i := range rs {
		rs[i] = ingest.Request{Developer: "acme", Body: []byte(`{"type":"activity","user":{"user_id":"u"}}`)}
	}
	for i, r := range d.ingest.Accept(context.Background(), rs) {
		kills := 0
		if i == 0 {
			kills = a.kills
		}
		if r.Err == nil { // who dies now has stored it all the same
			f.oracle.accepted(r.ID, kills)
		}
	}
}

// change cancels or retries some deliveries of a destination.
func (f *fleet) change(d *daemon, a *action, dest uint32) {
	page, err := d.store.Deliveries(context.Background(), store.DeliveryQuery{Dests: []uint32{dest}, Limit: 5})
	if err != nil || len(page.Items) == 0 {
		return
	}
	ids := []store.DeliveryID{page.Items[a.pick%uint64(len(page.Items))].ID}
	f.oracle.byHand(ids)
	c := store.Cancel
	if a.verb == again {
		c = store.Retry
	}
	_, err = d.sched.Move(context.Background(), time.Now(), c, ids)
	f.oracle.say("%v of %v at %s: %v", verbs[a.verb], ids[0], d.name, err)
}

// end lets everything come to rest, and checks what is left.
func (f *fleet) end() {
	o := f.oracle
	o.disturb("the end begins")
	f.ops.Wait()
	for _, h := range f.hosts {
		if h.dead.Load() {
			f.again[h] = time.Now()
		}
	}
	f.until(o.since() + adoptedBy)
	for i := range f.sc.dests {
		if d := f.living(0); d != nil {
			o.resumes(uint32(i + 1))
			if err := d.sched.Resume(context.Background(), uint32(i+1)); err != nil {
				o.fault("resume at the end: %v", err)
			}
		}
	}
	for i := 0; i < 72 && f.many.Pending() > 0; i++ {
		f.until(o.since() + 10*time.Minute)
	}
	if n := f.alive(); n != len(f.hosts) {
		o.fault("%d daemons of %d run at the end", n, len(f.hosts))
	}
	for _, h := range f.hosts {
		h.stops.Store(true)
		h.stop()
	}
	f.ops.Wait()
	last := f.many.Open(storetest.MemberOptions{})
	defer last.Kill()
	f.settledUp(last)
	if f.rescued != 0 {
		o.fault("watchdogs found something %g times", f.rescued)
	}
}

// settledUp checks what the store holds at the end.
func (f *fleet) settledUp(last *storetest.Member) {
	o := f.oracle
	ctx := context.Background()
	states := map[store.State]int64{}
	for id, p := range o.parcels {
		if !p.accepted {
			if p.delivered || len(p.tries) > 0 {
				continue // accepted, though its producer was not told
			}
			continue
		}
		did, err := store.ParseDeliveryID(id)
		if err != nil {
			o.fault("%v", err)
			continue
		}
		rec, _, err := last.Delivery(ctx, did)
		if err != nil {
			o.fault("%s, which was accepted: %v", id, err)
			continue
		}
		states[rec.State]++
		taken := slices.ContainsFunc(p.tries, func(t *try) bool { return t.taken })
		switch {
		case rec.State == store.Pending:
			o.fault("%s is pending at the end, due %v", id, time.Unix(0, rec.Due).Sub(o.began))
		case rec.State == store.Delivered && !taken:
			o.fault("%s is delivered, and its far side never took it", id)
		case rec.State == store.Cancelled && !p.byHand:
			o.fault("%s is cancelled, and nobody has asked for it", id)
		case rec.State == store.Dead && p.failed == 0 && p.kills == 0:
			o.fault("%s is dead (%s), and no attempt has failed", id, rec.Reason)
		}
		if p.left > 0 && rec.State != store.Dead && !p.byHand {
			o.fault("%s, which kills whoever makes it, is %v after %d", id, rec.State, p.kills)
		}
	}
	audit, err := last.Audit(ctx, true, func(int64) {})
	if err != nil {
		o.fault("audit: %v", err)
	}
	for _, row := range audit {
		if c := row.Counts; row.Recounted == nil || c != *row.Recounted || c.Accepted != c.Delivered+c.Pending+c.Dead+c.Cancelled || c.Pending != 0 {
			o.fault("audit of destination %d: %+v, recounted %+v", row.Dest, c, row.Recounted)
		}
	}
}

// count adds what the watchdog of a daemon has found.
func (f *fleet) count(d *daemon) {
	families, err := d.metrics.Gather()
	if err != nil {
		f.oracle.fault("gather metrics: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range families {
		if m.GetName() == "fantail_scheduler_rescued_total" {
			f.rescued += m.GetMetric()[0].GetCounter().GetValue()
		}
	}
}

// report says what was wrong, and what happened.
func (f *fleet) report() string {
	o := f.oracle
	lines := o.lines
	const most = 400
	if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	return fmt.Sprintf("seed %d: %d faults\n%s\n\n%s", f.sc.seed, len(o.faults), strings.Join(o.faults, "\n"), strings.Join(lines, "\n"))
}

func (f *fleet) summary(took time.Duration) string {
	tries, doubled, kills := 0, 0, 0
	for _, p := range f.oracle.parcels {
		kills = max(kills, p.kills)
		taken := 0
		for _, t := range p.tries {
			if tries++; t.taken {
				taken++
			}
		}
		if taken > 1 {
			doubled++
		}
	}
	return fmt.Sprintf("%d hosts, %d daemons, %d deliveries, %d attempts, %d made twice, one ended %d daemons, %v", len(f.hosts), f.runs, len(f.oracle.parcels), tries, doubled, kills, took.Round(time.Millisecond))
}
