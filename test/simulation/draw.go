package simulation

import (
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
)

func (d *drawing) destinations() {
	n := 1 + d.IntN(6)
	if d.chance(0.4) {
		n = 1 + d.IntN(30)
	}
	for i := range n {
		dest := &Dest{Index: i, Developer: d.IntN(len(d.s.Developers)), Name: fmt.Sprintf("to%d", i), Types: types}
		if d.chance(0.2) {
			dest.Batch = 2 + d.IntN(20)
		}
		if d.chance(0.3) {
			dest.Types = 1 + d.IntN(types)
		}
		d.s.Dests = append(d.s.Dests, dest)
		d.version(dest)
		d.setups = append(d.setups, Setup{Max: 1 + d.IntN(32), Enabled: true, Present: true})
		if d.chance(0.15) {
			d.setups[i].Rate = 0.2 + 20*d.Float64()
		}
	}
	first := Action{Verb: Reload, Setups: map[int]Setup{}}
	for i, s := range d.setups {
		first.Setups[i] = s
	}
	d.add(first)
}

// version gives a destination new settings, and the weather at their address.
func (d *drawing) version(dest *Dest) int {
	v := &Version{
		Hash: d.Uint64() | 1, Schedule: d.schedule(), Frozen: d.chance(0.5),
		Timeout: 30 * time.Second, Latency: d.scale(time.Microsecond, 2*time.Second),
	}
	if d.chance(0.3) {
		v.Timeout = d.scale(200*time.Millisecond, 5*time.Minute)
	}
	v.Weather = d.weather()
	dest.Versions = append(dest.Versions, v)
	return len(dest.Versions) - 1
}

func (d *drawing) schedule() retry.Schedule {
	jitter := 0.1
	if d.chance(0.4) {
		jitter = 0
	}
	switch d.IntN(7) {
	case 0:
		return retry.Schedule{Waits: []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour}, Jitter: jitter}
	case 1:
		return retry.Exponential(time.Second, 2, 3+d.IntN(10), jitter)
	case 2:
		return retry.Exponential(30*time.Second, 2, 10, jitter)
	case 3:
		return retry.Schedule{Waits: []time.Duration{d.scale(time.Millisecond, time.Hour)}, Jitter: jitter}
	case 4:
		return retry.Schedule{Jitter: jitter}
	}
	return retry.Exponential(30*time.Second, 3, 8, jitter)
}

// events draws what producers hand in: bursts to one developer, and single ones.
func (d *drawing) events() {
	s := d.s
	most := 100 + d.IntN(1500)
	fanout := make([]int, len(s.Developers))
	for _, dest := range s.Dests {
		fanout[dest.Developer]++
	}
	ordinal := 0
	users := make([]string, 1+d.IntN(20))
	for i := range users {
		users[i] = fmt.Sprintf("user%d", i)
	}
	var keyed []Request
	within := d.between(s.Length/8, s.Length*3/4)
	for s.Rows < most && ordinal < 600 {
		dev := d.IntN(len(s.Developers))
		burst := 1
		if d.chance(0.4) {
			burst = 1 + d.IntN(1+min(150, most/(1+fanout[dev])))
		}
		at := d.upTo(within)
		d.bursts = append(d.bursts, at)
		for burst > 0 {
			a := Action{At: at, Verb: Accept}
			for range min(burst, 1+d.IntN(8)) {
				r := Request{Ordinal: ordinal, Developer: dev, Type: d.IntN(types), User: users[d.IntN(len(users))], Copy: -1,
					Size: 100 + d.IntN(400)}
				if d.chance(0.05) {
					r.Size = d.IntN(16 << 10)
					if wired(s.Seed) {
						r.Size *= 8 // more than an exchange writes at once
					}
				}
				if d.chance(0.15) {
					r.Key = fmt.Sprintf("key%d", ordinal)
					keyed = append(keyed, r)
				} else if len(keyed) > 0 && d.chance(0.1) {
					first := keyed[d.IntN(len(keyed))]
					copied := first.Ordinal
					r.Developer, r.Key = first.Developer, first.Key
					if d.chance(0.8) { // else another body under the same key
						r.Type, r.User, r.Size, r.Copy = first.Type, first.User, first.Size, copied
					}
				}
				a.Requests = append(a.Requests, r)
				ordinal++
				burst--
				s.Rows += fanout[dev]
			}
			d.add(a)
			at += d.scale(time.Nanosecond, time.Second)
		}
		if fanout[dev] == 0 {
			s.Rows++
		}
	}
}

// operations are what people and the daemon itself do.
func (d *drawing) operations() {
	s := d.s
	dest := func() int { return d.IntN(len(s.Dests)) }
	if d.chance(0.7) {
		d.reloads() // first, so that other things happen around them
	}
	if d.chance(0.6) {
		for range 1 + d.IntN(6) {
			a := Action{At: d.soon(), Verb: Pause, Dest: dest()}
			d.add(a)
			d.add(Action{At: a.At + d.scale(time.Millisecond, 6*time.Hour), Verb: Resume, Dest: a.Dest})
		}
	}
	if d.chance(0.6) {
		for range 1 + d.IntN(12) {
			a := Action{At: d.soon(), Verb: Cancel, Dest: dest(), Pick: d.Uint64(), Count: 1 + d.IntN(20)}
			if d.chance(0.6) {
				a.Verb = Retry
			}
			if d.chance(0.3) {
				a.Dest = -1
			}
			d.add(a)
		}
	}
	if d.chance(0.4) {
		for range 1 + d.IntN(6) {
			d.add(Action{At: d.soon(), Verb: Rebind, Dest: dest()})
		}
	}
	if d.chance(0.3) {
		s.Retention = store.Retention{Events: d.between(time.Hour, 24*time.Hour), Idempotency: 24 * time.Hour}
		s.Retention.Attempts = s.Retention.Events + d.upTo(24*time.Hour)
		for range 1 + d.IntN(5) {
			d.add(Action{At: d.upTo(s.Length), Verb: Retain})
		}
	}
	if d.chance(0.6) {
		for range 1 + d.IntN(8) {
			d.add(Action{At: d.soon(), Verb: Collect})
		}
	}
	if d.chance(0.15) {
		d.add(Action{At: d.soon(), Verb: Erase, Dev: d.IntN(len(s.Developers)), User: fmt.Sprintf("user%d", d.IntN(5))})
	}
}

// reloads change settings. They are drawn in the order of time, because what each sets depends on the one
// before.
func (d *drawing) reloads() {
	n := 1 + d.IntN(8)
	at := make([]time.Duration, n)
	for i := range at {
		at[i] = d.soon()
	}
	sortTimes(at)
	for _, t := range at {
		d.bursts = append(d.bursts, t)
		a := Action{At: t, Verb: Reload, Setups: map[int]Setup{}}
		for range 1 + d.IntN(3) {
			i := d.IntN(len(d.setups))
			s := &d.setups[i]
			dest := d.s.Dests[i]
			switch d.IntN(9) {
			case 0:
				s.Enabled = !s.Enabled
			case 1:
				s.Present = !s.Present
			case 2:
				s.Max = 1 + d.IntN(32)
			case 3:
				if s.Rate = 0; d.chance(0.5) {
					s.Rate = 0.2 + 20*d.Float64()
				}
			case 4:
				s.Version = d.IntN(len(dest.Versions))
			default:
				s.Version = d.version(dest)
			}
			a.Setups[i] = *s
		}
		d.add(a)
	}
	for i := range d.setups { // nobody stays away for the rest of the run, most of the time
		if s := &d.setups[i]; (!s.Present || !s.Enabled) && d.chance(0.8) {
			s.Present, s.Enabled = true, true
			d.add(Action{At: max(at[n-1], d.s.Length/2) + d.upTo(time.Hour), Verb: Reload, Setups: map[int]Setup{i: *s}})
		}
	}
}

// accidents end the process, or the machine.
func (d *drawing) accidents() {
	if d.chance(0.4) {
		for range 1 + d.IntN(3) {
			d.add(Action{At: d.soon(), Verb: Restart, Down: d.scale(time.Microsecond, time.Hour), Grace: d.scale(time.Millisecond, time.Minute)})
		}
	}
	if d.chance(0.6) {
		for range 1 + d.IntN(5) {
			a := Action{At: d.soon(), Verb: Crash, Percent: 100, Down: d.scale(time.Microsecond, 10*time.Minute)}
			if d.chance(0.7) {
				a.Power, a.Percent = true, d.IntN(3)*50
				if d.chance(0.3) {
					a.Percent = d.IntN(101)
				}
			}
			if d.chance(0.5) {
				a.Writes = 1 + d.IntN(200)
			}
			d.add(a)
		}
	}
	if d.chance(0.12) {
		d.poison()
	}
}

// poison makes some events kill the process when they are sent.
func (d *drawing) poison() {
	for n, tries := 1+d.IntN(2), 20; n > 0 && tries > 0; tries-- {
		a := &d.s.Actions[d.IntN(len(d.s.Actions))]
		if a.Verb == Accept && a.Requests[0].Key == "" {
			a.Requests[0].Poison = 1 + d.IntN(6)
			if d.chance(0.3) {
				a.Requests[0].Poison = 10 + d.IntN(40)
			}
			n--
		}
	}
}
