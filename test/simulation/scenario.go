// Package simulation runs the whole engine (ingest, store, scheduler) in fake time, against destinations that
// do not exist and on a disk that can lose its power. It compares the engine with a model of what must be true.
//
// Everything that happens to a run (who exists, what is accepted when, which far side is down, where the power
// fails) is drawn from its seed and from nothing else. The Go scheduler decides in which order goroutines run
// within one instant of fake time: a failing seed may have to be run a few times to fail again.
package simulation

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Scenario is all that a seed decides.
type Scenario struct {
	Seed       uint64
	Midday     time.Duration // what the clock shows when the run begins
	Length     time.Duration
	Developers []string
	Dests      []*Dest
	Actions    []Action // by time
	Limits     delivery.Limits
	Lag        time.Duration // the longest that one call of the store takes; 0: none takes any time
	Faults     float64       // chance that a call of the store fails
	Steps      []Step        // of the wall clock
	Retention  store.Retention
	Rows       int // deliveries there will be, roughly
}

// Dest is a destination with all the settings that it will ever have.
type Dest struct {
	Index     int
	Developer int
	Name      string
	Batch     int // the most deliveries of a batch; 0: one by one
	Types     int // how many of the types it wants
	Versions  []*Version
	Deadly    int // how many checks of it kill the process
}

// Version is one set of settings of a destination; another address each.
type Version struct {
	Hash     uint64
	Schedule retry.Schedule
	Timeout  time.Duration
	Frozen   bool
	Weather  []Spell
	Latency  time.Duration // the longest in fair weather
}

// Setup is how a destination stands in the settings at some moment.
type Setup struct {
	Version int
	Max     int
	Rate    float64
	Enabled bool
	Present bool
}

// Verb is what an action does.
type Verb uint8

const (
	Accept Verb = iota
	Pause
	Resume
	Reload
	Cancel
	Retry
	Rebind
	Restart
	Crash
	Retain
	Collect
	Erase
	Look
	Check
)

var verbs = [...]string{"accept", "pause", "resume", "reload", "cancel", "retry", "rebind", "restart", "crash", "retain", "collect", "erase", "look", "check"}

func (v Verb) String() string { return verbs[v] }

// Action is something that is done from outside at some time.
type Action struct {
	At       time.Duration
	Verb     Verb
	Dest     int           // of pause, resume, rebind; the one preferred of cancel and retry; -1: any
	Requests []Request     // of accept: one call
	Setups   map[int]Setup // of reload
	Pick     uint64        // decides what cancel and retry choose
	Count    int
	Minds    int           // how often whoever cancels or retries changes their mind
	Pause    time.Duration // between two of these changes
	Down     time.Duration // how long the daemon stays away
	Grace    time.Duration // of restart
	Percent  int           // of what was not synced survives a crash
	Writes   int           // the crash comes with that many further writes or syncs; 0: at once
	Power    bool          // of the machine, not only of the process
	User     string
	Dev      int
}

// Request is one event of a producer.
type Request struct {
	Ordinal   int
	Developer int
	Type      int
	User      string
	Size      int
	Key       string // idempotency
	Copy      int    // ordinal of the request that this one repeats; -1: none
	Poison    int    // kills the process that often
}

const types = 4

// Draw makes the scenario of a seed.
func Draw(seed uint64) *Scenario {
	d := &drawing{Rand: rand.New(rand.NewPCG(seed, 0x5eed)), s: &Scenario{Seed: seed}}
	s := d.s
	s.Midday = d.upTo(24 * time.Hour)
	s.Length = 48 * time.Hour
	if d.chance(0.4) { // what goes wrong goes wrong early: more seeds for the same time
		s.Length = d.between(2*time.Hour, 12*time.Hour)
	}
	for i := range 1 + d.IntN(6) {
		s.Developers = append(s.Developers, "dev"+string(rune('a'+i)))
	}
	d.conditions()
	d.destinations()
	d.events()
	d.operations()
	d.accidents()
	d.steps()
	for at := d.upTo(time.Hour); at < s.Length; at += d.between(time.Minute, 3*time.Hour) {
		d.add(Action{At: at, Verb: Look})
	}
	d.haste()
	slices.SortStableFunc(s.Actions, func(a, b Action) int { return int(a.At - b.At) })
	d.checking()
	return s
}

// drawing is a scenario in the making.
type drawing struct {
	*rand.Rand
	s      *Scenario
	bursts []time.Duration // when much happens
	setups []Setup         // as they will stand after the last reload drawn
}

func (d *drawing) chance(p float64) bool { return d.Float64() < p }

func (d *drawing) upTo(most time.Duration) time.Duration { return time.Duration(d.Int64N(int64(most))) }

func (d *drawing) between(least, most time.Duration) time.Duration {
	return least + d.upTo(most-least)
}

// scale draws a time between least and most; each order of magnitude is equally likely.
func (d *drawing) scale(least, most time.Duration) time.Duration {
	return time.Duration(float64(least) * math.Pow(float64(most)/float64(least), d.Float64()))
}

// soon draws a time that is likely to matter: shortly after something else.
func (d *drawing) soon() time.Duration {
	if len(d.bursts) == 0 || d.chance(0.25) {
		return d.upTo(d.s.Length)
	}
	return d.bursts[d.IntN(len(d.bursts))] + d.scale(time.Microsecond, time.Hour)
}

func (d *drawing) add(a Action) {
	if a.At < d.s.Length {
		d.s.Actions = append(d.s.Actions, a)
	}
}

// conditions are those of the whole run.
func (d *drawing) conditions() {
	s := d.s
	s.Limits = delivery.Limits{}
	if d.chance(0.35) {
		s.Lag = d.scale(10*time.Microsecond, 300*time.Millisecond)
	}
	if d.chance(0.2) {
		s.Faults = 0.02 + 0.1*d.Float64()
	}
	if d.chance(0.25) {
		s.Limits.Window = 1 + d.IntN(100)
	}
	if d.chance(0.15) {
		s.Limits.CacheBytes = int64(1 + d.IntN(4096))
	}
	if d.chance(0.15) {
		s.Limits.InFlight = 4 + d.IntN(28)
	}
	if d.chance(0.1) {
		s.Limits.Bytes = int64(4096 << d.IntN(7))
	}
}

// tight tells whether destinations may have to wait for each other: for places or for bytes.
func (s *Scenario) tight() bool { return s.Limits.InFlight > 0 || s.Limits.Bytes > 0 }
