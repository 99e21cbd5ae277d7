package fleet

import (
	"fmt"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	// pauseKnown is by when a pause holds at every daemon.
	pauseKnown = 3 * time.Second
	// adoptedBy is by when somebody else has what a daemon had that is gone.
	adoptedBy = 2*lease + 2*time.Second
	// handedOver is by when others have what a daemon had that has stopped in good order.
	handedOver = 1500 * time.Millisecond
	// latest is how late an attempt may be when all is well: sooner than the watchdog would mend it.
	latest = 50 * time.Second
	// apart is for how long a destination may wait apart whose deliveries were due while daemons ended one after the
	// other. Each adopter tries them one by one, and takes a trial that another is about for one that nobody survived.
	apart = 15 * time.Minute
	// mostKills is how many daemons one delivery may end: two until it is suspected, five in trials, and those
	// that it was beside another suspect in. Hosts count for themselves, too.
	mostKills = 12
)

// oracle is told what the far sides see and the stores store, and says what must not be.
type oracle struct {
	f     *fleet
	began time.Time

	mu      sync.Mutex
	dests   map[uint32]*destSetup
	parcels map[string]*parcel
	running map[uint32][]*try
	last    map[uint32]time.Time // the last attempt of a destination
	paused  map[uint32]time.Time // since when every daemon must know it
	suspect map[uint32]time.Time // when a daemon last adopted what several had when they ended
	calm    time.Time            // from when on the last disturbance is over for everybody
	stable  time.Time            // since when daemons neither came nor went, and none was disturbed
	held    map[string]bool
	faults  []string
	lines   []string
}

// parcel is one delivery.
type parcel struct {
	id        string
	accepted  bool
	due       time.Time
	tries     []*try
	failed    int
	delivered bool // somebody has stored so
	byHand    bool // a person has changed it
	left      int  // how often it still kills its daemon
	kills     int
}

// try is one attempt as its far side sees it.
type try struct {
	p     *parcel
	d     *daemon
	dest  uint32
	began time.Time
	taken bool
	over  bool
}

func newOracle(f *fleet) *oracle {
	return &oracle{f: f, began: time.Now(), dests: map[uint32]*destSetup{}, parcels: map[string]*parcel{}, running: map[uint32][]*try{},
		last: map[uint32]time.Time{}, paused: map[uint32]time.Time{}, suspect: map[uint32]time.Time{}, held: map[string]bool{}, calm: time.Now().Add(adoptedBy), stable: time.Now()}
}

func (o *oracle) since() time.Duration { return time.Since(o.began) }

func (o *oracle) say(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sayLocked(format, args...)
}

func (o *oracle) sayLocked(format string, args ...any) {
	o.lines = append(o.lines, fmt.Sprintf("%v ", o.since())+fmt.Sprintf(format, args...))
}

func (o *oracle) fault(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faultLocked(format, args...)
}

func (o *oracle) faultLocked(format string, args ...any) {
	o.sayLocked("FAULT: "+format, args...)
	if len(o.faults) < 20 {
		o.faults = append(o.faults, fmt.Sprintf("%v ", o.since())+fmt.Sprintf(format, args...))
	}
}

// disturb notes that the fleet changes at this moment.
func (o *oracle) disturb(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sayLocked(format, args...)
	o.calm, o.stable = time.Now().Add(adoptedBy), time.Now()
}

// atRest tells whether everybody has what they had of daemons that are gone.
func (o *oracle) atRest() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Now().After(o.calm)
}

// undisturbed tells whether nothing has happened to any daemon since then.
func (o *oracle) undisturbed(since time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stable.Before(since)
}

func (o *oracle) parcel(id string) *parcel {
	p := o.parcels[id]
	if p == nil {
		p = &parcel{id: id}
		if d, err := store.ParseDeliveryID(id); err == nil {
			p.due = d.Event.Time() // it may be tried before its producer is answered
		}
		o.parcels[id] = p
	}
	return p
}

// accepted notes what a producer was told.
func (o *oracle) accepted(id event.ID, kills int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for dest := range o.dests {
		p := o.parcel(store.DeliveryID{Day: id.Day(), Event: id, Dest: dest}.String())
		p.accepted = true
		if kills > 0 && len(p.tries) == 0 && o.first(dest) {
			p.left, kills = kills, 0
		}
	}
}

// first tells whether dest is the one whose deliveries kill.
func (o *oracle) first(dest uint32) bool { return o.dests[dest] == o.f.sc.dests[0] }

// begins notes an attempt; nil when the daemon is dead.
func (o *oracle) begins(d *daemon, dest uint32, id string) *try {
	o.mu.Lock()
	defer o.mu.Unlock()
	if d.dead.Load() {
		return nil
	}
	now := time.Now()
	p, setup := o.parcel(id), o.dests[dest]
	t := &try{p: p, d: d, dest: dest, began: now}
	if d.store.Lapsed() {
		o.faultLocked("%s begins an attempt of %s after its slots were set free", d.name, id)
	}
	for _, before := range p.tries {
		if excused := before.d.disturbed(before.began) || p.byHand; !excused && (!before.over || before.taken) {
			o.faultLocked("%s makes %s again, which %s has made or makes since %v, undisturbed", d.name, id, before.d.name, before.began.Sub(o.began))
		}
	}
	if p.delivered && !p.byHand {
		o.faultLocked("%s makes %s again, which is stored as delivered", d.name, id)
	}
	if since, ok := o.paused[dest]; ok && now.After(since) && !d.disturbed(since.Add(-pauseKnown)) {
		o.faultLocked("%s makes %s of a destination that is paused", d.name, id)
	}
	here, all := 1, 1
	for _, r := range o.running[dest] {
		if r.d == d {
			here++
		}
		if !r.d.disturbed(r.began) {
			if all++; r.d != d && (setup.serial || setup.max == 1) {
				o.faultLocked("%s makes %s beside %s, and the destination is serial", d.name, id, r.d.name)
			}
		}
	}
	if here > setup.max || all > setup.max && setup.max >= o.f.alive() && now.Sub(o.stable) > 3*lease {
		o.faultLocked("%s makes %s: %d in flight here, %d at all daemons, of at most %d", d.name, id, here, all, setup.max)
	}
	ready := latestOf(p.due, o.calm, o.last[dest])
	if at, ok := o.suspect[dest]; ok && ready.Before(at.Add(apart)) {
		ready = at.Add(apart)
	}
	if !o.f.poisonous && setup.fair(o.since()) && o.paused[dest].IsZero() && !p.byHand && now.Sub(ready) > latest {
		o.faultLocked("%s makes %s %v after it could have", d.name, id, now.Sub(ready))
	}
	o.last[dest] = now
	p.tries = append(p.tries, t)
	o.running[dest] = append(o.running[dest], t)
	return t
}

func latestOf(ts ...time.Time) (l time.Time) {
	for _, t := range ts {
		if t.After(l) {
			l = t
		}
	}
	return l
}

// poisons tells whether the attempt ends its daemon.
func (o *oracle) poisons(t *try) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t.p.left == 0 {
		return false
	}
	t.p.left--
	if t.p.kills++; t.p.kills > mostKills {
		o.faultLocked("%s has ended %d daemons", t.p.id, t.p.kills)
		t.p.left = 0
		return false
	}
	o.calm, o.stable = time.Now().Add(adoptedBy), time.Now()
	o.sayLocked("%s is killed by %s", t.d.name, t.p.id)
	return true
}

func (o *oracle) takes(t *try) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.taken = true
}

func (o *oracle) failed(t *try) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.p.failed++
}

func (o *oracle) ends(t *try) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.over = true
	list := o.running[t.dest]
	for i, r := range list {
		if r == t {
			o.running[t.dest] = append(list[:i:i], list[i+1:]...)
			return
		}
	}
}

// adopted notes what a daemon is told of others' work.
func (o *oracle) adopted(heads []store.Head) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range heads {
		if heads[i].Unclean > 1 {
			o.suspect[heads[i].Queue.Dest] = time.Now()
		}
	}
}

// settled notes what was stored.
func (o *oracle) settled(d *daemon, outcomes []store.Outcome, out []store.Settled) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range out {
		p := o.parcel(outcomes[i].Item.ID.String())
		p.delivered = p.delivered || out[i].State == store.Delivered
		if out[i].State == store.Pending {
			p.due = time.Unix(0, out[i].Item.Due)
		}
	}
}

// told checks that who hears of holds hears of each once.
func (o *oracle) told(n delivery.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch n.Name {
	case delivery.DestinationHeld:
		if o.held[n.Destination.Name] && o.f.peaceful {
			o.faultLocked("that %s is held is told twice", n.Destination.Name)
		}
		o.held[n.Destination.Name] = true
	case delivery.DestinationResumed:
		o.held[n.Destination.Name] = false
	}
}

// pauses notes that a pause was stored; resumes that one ends, or may.
func (o *oracle) pauses(dest uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.paused[dest] = time.Now().Add(pauseKnown)
}

func (o *oracle) resumes(dest uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.paused, dest)
	o.last[dest] = time.Now().Add(pauseKnown)
}

// byHand notes that a person changes deliveries.
func (o *oracle) byHand(ids []store.DeliveryID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		o.parcel(id.String()).byHand = true
	}
}
