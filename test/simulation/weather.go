package simulation

import (
	"slices"
	"time"
)

// Mode is how a far side behaves.
type Mode uint8

const (
	Fair    Mode = iota // takes everything
	Down                // fails at once
	Flaky               // fails now and then
	Hanging             // says nothing until the attempt is cut
	Deaf                // takes the event, but its answer is lost
	Busy                // asks to wait
	Picky               // refuses some events for good
	Misset              // refuses the credentials
	Wild                // its driver panics
	Slow                // takes everything, late
	Ailing              // our own payload store is down
)

var modes = [...]string{"fair", "down", "flaky", "hanging", "deaf", "busy", "picky", "misset", "wild", "slow", "ailing"}

func (m Mode) String() string { return modes[m] }

// Spell is a stretch of weather.
type Spell struct {
	From, To time.Duration
	Mode     Mode
	After    time.Duration // what Busy asks for
	Latency  time.Duration // the longest
}

// weather draws what an address will be like.
func (d *drawing) weather() []Spell {
	var spells []Spell
	if d.chance(0.25) {
		return nil
	}
	at := time.Duration(0)
	if d.chance(0.4) {
		at = d.upTo(d.s.Length / 4)
	}
	for n := 1 + d.IntN(6); n > 0 && at < d.s.Length; n-- {
		long := d.scale(time.Minute, d.s.Length)
		s := Spell{From: at, To: at + long, Mode: Mode(1 + d.IntN(len(modes)-1)), Latency: d.scale(time.Microsecond, 3*time.Second)}
		switch s.Mode {
		case Busy:
			if d.chance(0.8) {
				s.After = d.scale(time.Second, 6*time.Hour)
			}
			if d.chance(0.05) {
				s.After = 40 * time.Hour
			}
		case Slow:
			s.Latency = d.scale(500*time.Millisecond, time.Minute)
		case Ailing, Misset:
			s.To = at + min(long, 6*time.Hour)
		}
		spells = append(spells, s)
		at = s.To
		if d.chance(0.6) {
			at += d.scale(time.Second, 6*time.Hour)
		}
	}
	return spells
}

// lenient tells whether a busy far side still takes some of what it gets, as those do that count by user.
func (s *Spell) lenient(seed uint64) bool {
	roll := throw(seed, uint64(s.From), 8)
	return s.Mode == Busy && roll.chance(0.4)
}

// at returns the weather at a time.
func (v *Version) at(t time.Duration) Spell {
	for _, s := range v.Weather {
		if s.From <= t && t < s.To {
			return s
		}
	}
	return Spell{Mode: Fair, Latency: v.Latency}
}

func sortTimes(ts []time.Duration) { slices.Sort(ts) }

// dice gives numbers that depend on the seed and on their purpose, and not on when somebody asks.
type dice uint64

func throw(parts ...uint64) dice {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h = mix(h ^ mix(p))
	}
	return dice(h)
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (d *dice) next() uint64 {
	*d = dice(mix(uint64(*d)))
	return uint64(*d)
}

func (d *dice) chance(p float64) bool { return float64(d.next()>>11)/(1<<53) < p }

func (d *dice) upTo(most time.Duration) time.Duration {
	return time.Duration(d.next() % uint64(max(most, 1)))
}
