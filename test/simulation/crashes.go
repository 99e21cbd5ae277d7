package simulation

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// crashes counts the consecutive crashes at which something was in flight. surely counts those with the
// far side as a witness. perhaps also counts those at the very instant at which something was due, or
// ended: it may have been in flight.
type crashes struct{ surely, perhaps int }

// count takes one more crash in.
func (c *crashes) count(surely, perhaps bool) {
	c.surely = counted(c.surely, surely)
	c.perhaps = counted(c.perhaps, perhaps)
}

func counted(n int, wasInFlight bool) int {
	switch {
	case wasInFlight:
		return n + 1
	case n < apartAfter:
		return 0
	}
	return n
}

const (
	apartAfter = 3
	deadAfter  = 5
	trialTime  = 5 * time.Second
	// mostKills is how many crashes one delivery causes at most: three until its destination waits apart, five
	// in its own trials, and those in trials beside others, which hang and were in flight with it.
	mostKills = 20
)

// crash notes what a crash may have undone, and counts here what the flight record should know of it.
func (m *Model) crash(r *remains) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.upSince = 0
	what := "the process is killed"
	if r.power {
		what = "the power fails"
	}
	m.talk.Lock()
	m.notes = append(m.notes, note{r.at, what})
	m.talk.Unlock()
	suspects := 0
	for _, d := range m.order {
		if d.inFlight != nil && d.dest.apart {
			suspects++
		}
	}
	for _, to := range m.dests {
		surely, perhaps, found := to.checking > 0, to.starting > 0, false
		if surely {
			to.checks.surely++
			if len(m.sc.Steps) == 0 { // it waits by the wall clock
				to.unheard = -1
			}
		}
		if perhaps {
			to.checks.perhaps++
		}
		for _, d := range to.all {
			wasInFlight, may := d.inFlight != nil, d.inFlight != nil || d.now().state == store.Pending && d.now().due <= m.wall(r.at)
			if t := d.endedAt(r.at); t != nil { // whether the engine knew so already is not known
				d.crashes.perhaps, d.alone, may = t.before.crashes.perhaps, t.before.alone, true
				to.excused = true
			}
			if may && to.excused && (suspects == 0 || suspects == 1 && wasInFlight) {
				d.alone++
			} else if wasInFlight {
				d.alone = 0
			}
			surely, perhaps, found = surely || wasInFlight, perhaps || may, found || d.alone >= deadAfter
			d.count(wasInFlight, may)
			if d.kills > mostKills && m.sc.Faults == 0 {
				m.faultLocked(d, "it has killed the process %d times and is not dead", d.kills)
			}
			if wasInFlight {
				m.noteLocked(d, "in flight when %s, %d running", what, d.crashes.surely)
			}
			d.inFlight = nil
			if r.power {
				d.crashes, d.alone, d.kills = crashes{}, 0, 0
			}
		}
		to.count(surely, perhaps)
		to.checking, to.starting = 0, 0
		switch {
		case r.power:
			to.crashes, to.checks, to.until, to.unheard = crashes{}, crashes{}, 0, 0
		case found || len(m.sc.Steps) > 0 && !surely:
			to.until = 0 // the trial of the next one may come at once, or with the wall clock
		case surely:
			to.until = -1 // from the start on
		}
	}
}

// part finds out at a start whether d waits apart.
func (m *Model) part(d *dest) {
	m.review(d)
	for _, until := range []*int64{&d.until, &d.unheard} {
		if *until < 0 {
			*until = m.clock() + int64(time.Minute)
		}
	}
}

// review finds out whether d waits apart, surely or perhaps. Until then, every lane of d counts as it did
// before.
func (m *Model) review(d *dest) {
	m.touchDest(d, m.clock())
	d.apart, d.excused = d.surely >= apartAfter, d.perhaps >= apartAfter
	for _, e := range d.all {
		if e.gone || e.now().state != store.Pending {
			continue
		}
		d.apart = d.apart || e.surely >= apartAfter && e.alone < deadAfter
		d.excused = d.excused || e.crashes.perhaps >= apartAfter
	}
}

// survived notes that an attempt has ended. An attempt that was cut, or ended by a fault of our own, is made
// again as if it had not been made.
func (m *Model) survived(t *try) {
	d := t.d
	d.surely, d.dest.surely = 0, 0
	if t.ending != cut && t.ending != ours {
		d.crashes.perhaps, d.alone, d.kills, d.dest.perhaps = 0, 0, 0, 0
	}
	if d.dest.apart || d.dest.excused {
		m.review(d.dest)
	}
}

// cleanStop ends all runs of consecutive crashes.
func (m *Model) cleanStop() {
	for _, d := range m.order {
		d.count(false, false)
	}
	for _, d := range m.dests {
		d.count(false, false)
		if len(m.sc.Steps) > 0 {
			d.until = 0
		}
	}
}

// forgotten notes that d was removed: the crashes counted against it are forgotten.
func (m *Model) forgotten(d *dest) {
	d.surely, d.checks.surely, d.until, d.unheard = 0, 0, 0, 0
	for _, e := range d.all {
		e.surely = 0
	}
	m.review(d)
}

// trial checks that a call to a destination that waits apart may begin now.
func (m *Model) trial(c *call, d *dest, now int64) {
	if !d.apart {
		return
	}
	first := c.tries[0].d
	if now < d.until {
		m.faultLocked(first, "tried %v before its destination, which was in flight at three crashes, is to be", time.Duration(d.until-now))
	}
	if c.batch > 1 {
		m.faultLocked(first, "one of %d on trial at once", c.batch)
	}
	for _, o := range m.dests {
		for _, l := range o.lanes {
			for _, f := range l.inFlight {
				if f != c && (o == d || o.apart && f.trial && now-f.start < int64(trialTime)) {
					m.faultLocked(first, "tried beside %s of a destination on trial", f.tries[0].d)
				}
			}
		}
	}
	c.trial = true
}

// endedAt returns the attempt of d that ended at that very instant; nil: none.
func (d *parcel) endedAt(at int64) *try {
	if n := len(d.ended); n > 0 && d.ended[n-1].end == at {
		return d.ended[n-1]
	}
	return nil
}

// byHandAgain notes that a person has made deliveries pending: they are tried anew.
func (m *Model) byHandAgain(d *parcel) {
	d.surely, d.crashes.perhaps, d.alone, d.kills = 0, 0, 0, 0
	if d.dest.apart {
		m.review(d.dest)
	}
}

// check makes a check of a destination as the daemon does; it may kill the process.
func (e *engine) check(p *process, a *Action) {
	m := e.model
	d := m.dests[a.Dest]
	id, ok := m.asksCheck(d)
	if !ok {
		return
	}
	end, why := p.sched.StartCheck(id)
	if !m.checks(p, d, end != nil, why) {
		return
	}
	if end == nil {
		m.unasks(p, d)
		return
	}
	pause := time.NewTimer(time.Duration(1 + a.Pick%uint64(2*time.Second)))
	select {
	case <-pause.C:
	case <-p.died:
		pause.Stop()
		return
	}
	if m.deadly(p, d) {
		e.cutPower(p, false, 100)
		return
	}
	if m.checked(p, d) {
		end()
		m.unasks(p, d)
	}
}

func (m *Model) asksCheck(d *dest) (uint32, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !d.met || d.id == 0 || d.current() == nil {
		return 0, false
	}
	d.starting++
	return d.id, true
}

func (m *Model) unasks(p *process, d *dest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.alive() {
		d.starting--
	}
}

// checks notes whether a check begins; false when the process is dead.
func (m *Model) checks(p *process, d *dest, begins bool, why string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !p.alive() {
		return false
	}
	m.dnote(d, "check begins: %v %s", begins, why)
	switch {
	case begins && d.apart:
		m.fault2("%s: checked although it waits apart", d.Name)
	case begins && m.clock() < d.unheard:
		m.fault2("%s: checked within a minute of a crash during its check", d.Name)
	case !begins && d.checks.perhaps == 0 && !d.excused:
		m.fault2("%s: not checked: %s", d.Name, why)
	}
	if begins {
		d.checking++
	}
	return true
}

// deadly tells whether a check kills the process.
func (m *Model) deadly(p *process, d *dest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.deadly == 0 || !p.alive() {
		return false
	}
	d.deadly--
	return true
}

// checked notes that a check has ended; false when the process was dead by then.
func (m *Model) checked(p *process, d *dest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !p.alive() {
		return false
	}
	d.checking--
	d.checks, d.surely, d.unheard = crashes{}, 0, 0
	return true
}

// checking draws the checks of a seed, from random numbers of their own.
func (d *drawing) checking() {
	roll := throw(d.s.Seed, 11)
	if !roll.chance(0.3) {
		return
	}
	for i := range d.s.Dests {
		if !roll.chance(0.5) {
			continue
		}
		if roll.chance(0.3) {
			d.s.Dests[i].Deadly = 1 + int(roll.next()%12)
		}
		at := roll.upTo(d.s.Length / 2)
		for range 20 {
			d.add(Action{At: at, Verb: Check, Dest: i, Pick: roll.next()})
			at += time.Minute/2 + roll.upTo(10*time.Minute)
		}
	}
	slices.SortStableFunc(d.s.Actions, func(a, b Action) int { return int(a.At - b.At) })
}
