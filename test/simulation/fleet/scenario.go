// Package fleet runs several engines on one store (storetest.Many) in fake time: daemons that are killed, cut
// off, stopped by a signal and let go again, replaced in good order, and whose leases are lost meanwhile. It
// holds them to what a fleet promises: nothing accepted is lost, nothing is made twice but what was in flight
// when its daemon was disturbed, and whoever lost its slots begins and changes nothing any more.
//
// The store keeps what it was told, as a database does: what the disk of one machine may lose is played by
// the package above.
package fleet

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
)

const lease = 15 * time.Second

// scenario is all that a seed decides.
type scenario struct {
	seed    uint64
	daemons int
	length  time.Duration
	lag     time.Duration // the longest that a call of the store takes
	dests   []*destSetup
	actions []action // by time
}

// destSetup is a destination.
type destSetup struct {
	name     string
	max      int
	rate     float64
	serial   bool
	schedule retry.Schedule
	latency  time.Duration // the longest
	bad      []spell
}

// spell is a time in which a far side fails.
type spell struct {
	from, to time.Duration
	mode     mode
}

type mode uint8

const (
	fails mode = iota
	flaky
	hangs
	misset
)

type verb uint8

const (
	accept verb = iota
	kill
	cut
	freeze
	replace // stops a daemon in good order
	pause
	resume
	cancel
	again
)

var verbs = [...]string{"accept", "kill", "cut", "freeze", "replace", "pause", "resume", "cancel", "retry"}

type action struct {
	at    time.Duration
	verb  verb
	host  int // of the daemon; or of the next that lives
	dest  int
	count int           // events
	kills int           // how often the first of them kills its daemon
	lasts time.Duration // a cut, a freeze, the time until a host has a daemon again
	pick  uint64
}

type drawing struct {
	*rand.Rand
	s *scenario
}

func (d *drawing) chance(p float64) bool { return d.Float64() < p }

func (d *drawing) upTo(most time.Duration) time.Duration {
	return time.Duration(d.Int64N(int64(max(most, 1))))
}

// scale draws a time; each order of magnitude is equally likely.
func (d *drawing) scale(least, most time.Duration) time.Duration {
	return time.Duration(float64(least) * math.Pow(float64(most)/float64(least), d.Float64()))
}

// draw makes the scenario of a seed.
func draw(seed uint64) *scenario {
	s := &scenario{seed: seed, length: 2 * time.Hour}
	d := &drawing{rand.New(rand.NewPCG(seed, 0xf1ee7)), s}
	s.daemons = 2 + d.IntN(3)
	if d.chance(0.5) {
		s.lag = d.scale(time.Millisecond, 2*time.Second)
	}
	for i := range 2 + d.IntN(6) {
		s.dests = append(s.dests, d.dest(i))
	}
	for range 20 + d.IntN(60) {
		a := action{at: d.upTo(s.length), verb: accept, host: d.IntN(s.daemons), count: 1 + d.IntN(8)}
		if d.chance(0.1) {
			a.count = 1 + d.IntN(100)
		}
		s.actions = append(s.actions, a)
	}
	for range d.IntN(12) {
		s.actions = append(s.actions, d.disturbance())
	}
	for range d.IntN(8) {
		verbs := []verb{pause, cancel, again}
		a := action{at: d.near(), verb: verbs[d.IntN(len(verbs))], host: d.IntN(s.daemons), dest: d.IntN(len(s.dests)), pick: d.Uint64()}
		s.actions = append(s.actions, a)
		if a.verb == pause {
			a.verb, a.host, a.at = resume, d.IntN(s.daemons), a.at+d.scale(time.Second, time.Hour)
			s.actions = append(s.actions, a)
		}
	}
	if d.chance(0.15) {
		a := &s.actions[d.IntN(10)]
		if a.kills = 1 + d.IntN(4); d.chance(0.4) {
			a.kills = 100
		}
	}
	slices.SortStableFunc(s.actions, func(a, b action) int { return int(a.at - b.at) })
	return s
}

// near draws a time close to something that is accepted, most of the time.
func (d *drawing) near() time.Duration {
	if d.chance(0.3) {
		return d.upTo(d.s.length)
	}
	return d.s.actions[d.IntN(len(d.s.actions))].at + d.scale(time.Millisecond, 2*time.Minute)
}

func (d *drawing) disturbance() action {
	a := action{at: d.near(), verb: []verb{kill, cut, freeze, replace}[d.IntN(4)], host: d.IntN(d.s.daemons)}
	switch a.verb {
	case cut, freeze:
		a.lasts = d.scale(time.Second, 5*time.Minute)
	default:
		a.lasts = d.scale(time.Second, 10*time.Minute)
	}
	return a
}

func (d *drawing) dest(i int) *destSetup {
	t := &destSetup{name: "to" + string(rune('a'+i)), max: 1 + d.IntN(12), latency: d.scale(time.Millisecond, 3*time.Second)}
	if t.serial = d.chance(0.15); d.chance(0.25) {
		t.max = 1
	}
	if d.chance(0.2) {
		t.rate = 0.5 + 20*d.Float64()
	}
	switch d.IntN(3) {
	case 0:
		t.schedule = retry.Exponential(time.Second, 2, 14, 0.1)
	case 1:
		t.schedule = retry.Exponential(30*time.Second, 2, 10, 0)
	default:
		t.schedule = retry.Schedule{Waits: []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}}
	}
	for range d.IntN(3) {
		from := d.upTo(d.s.length)
		t.bad = append(t.bad, spell{from, min(from+d.scale(time.Second, 40*time.Minute), d.s.length), mode(d.IntN(4))})
	}
	return t
}
