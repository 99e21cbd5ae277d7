package series

import (
	"cmp"
	"slices"
	"time"
)

// clockBack is how far a clock may be set back before what was recorded later than it
// shows is given up. Until it catches up nothing is recorded, and counting goes on.
const clockBack = int64(time.Hour / Step)

// Tick takes what was counted since the last one. pending says how many deliveries of a
// destination are pending.
func (s *Series) Tick(now time.Time, pending func(dest uint32) int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := now.Unix() / int64(Step/time.Second)
	if at < s.tick-clockBack {
		s.forget()
	}
	if s.tick == 0 {
		s.tick = at
	}
	if at <= s.tick {
		return
	}
	for _, k := range s.kinds {
		k.pending = 0
	}
	byCounters := make(map[*counters]*kind, len(s.kinds))
	for _, k := range s.kinds {
		byCounters[k.now] = k
	}
	every := s.kinds[""]
	for _, d := range s.dests {
		n := pending(d.id)
		if k := byCounters[d.kind]; k != every {
			k.pending += n
		}
		every.pending += n
	}
	// A tick that comes late finds what was counted during several steps: it stands
	// under the last of them.
	begin, end := (at-1)*every.rings[0].step, at*every.rings[0].step
	var all sample
	for _, k := range s.kinds {
		var one sample
		k.now.take(&one)
		all.add(&one)
		if k != every {
			k.push(begin, end, &one)
		}
	}
	every.push(begin, end, &all)
	s.tickDests(s.tick*every.rings[0].step, end, pending)
	s.tick = at
}

func (k *kind) push(begin, end int64, one *sample) {
	k.rings[0].push(begin/k.rings[0].step, one.bucket(k.pending))
	for i := range k.open {
		k.open[i].add(&k.rings[i+1], begin, end, one, k.pending)
	}
}

// tickDests ends a step of the destinations when it is over, and chooses anew which of
// them are recorded. The tick before was at before, in seconds, this one is at end.
func (s *Series) tickDests(before, end int64, pending func(uint32) int64) {
	step := end / int64(destStep/time.Second) // that has begun
	if s.ranked == 0 {
		s.ranked = step
	}
	if step <= s.ranked {
		return
	}
	seen := before > s.ranked*int64(destStep/time.Second) // else all of the step went by unseen
	for _, d := range s.own {
		if !seen {
			break
		}
		r := d.own.Load()
		var one sample
		r.now.take(&one)
		r.ring.push(s.ranked, one.bucket(pending(d.id)))
	}
	s.ranked = step
	s.rank()
}

// rank chooses which destinations are recorded: those with the most attempts, those
// with the most that fail, and those that somebody asked for last.
func (s *Series) rank() {
	s.loaded = nil // nobody came for the rest
	for _, d := range s.dests {
		d.score = decay*d.score + float32(d.busy.Swap(0))
		d.ill = decay*d.ill + float32(d.bad.Swap(0))
		d.kept = false
	}
	chosen := make(map[*Dest]bool, Recorded)
	choose := func(n int, of func(*Dest) float32) {
		var from []*Dest
		for _, d := range s.dests {
			if of(d) > 0 {
				from = append(from, d)
			}
		}
		slices.SortFunc(from, func(a, b *Dest) int { return cmp.Or(cmp.Compare(of(b), of(a)), cmp.Compare(a.id, b.id)) })
		for _, d := range from[:min(n, len(from))] {
			chosen[d] = true
		}
	}
	choose(worst, func(d *Dest) float32 { return d.ill })
	choose(busiest, func(d *Dest) float32 { return d.score })
	for d := range chosen {
		d.kept = true
	}
	choose(asked, func(d *Dest) float32 {
		if r := d.own.Load(); r != nil {
			return float32(r.asked)
		}
		return 0
	})
	// Who was recorded stays as long as there is room: their past is worth more than
	// that of somebody who does nothing.
	for _, d := range s.own {
		if len(chosen) < busiest+worst {
			chosen[d] = true
		}
	}
	s.own = slices.DeleteFunc(s.own, func(d *Dest) bool {
		if !chosen[d] {
			d.own.Store(nil)
		}
		return !chosen[d]
	})
	for _, d := range s.dests {
		if d.own.Load() == nil && (chosen[d] || len(s.own) < busiest+worst && len(s.dests) <= busiest+worst) {
			s.record(d, newRecorded())
		}
	}
}

// forget begins anew.
func (s *Series) forget() {
	s.tick, s.ranked, s.loaded = 0, 0, nil
	for _, k := range s.kinds {
		now := k.now
		*k = *newKind()
		k.now = now
	}
	for _, d := range s.own {
		d.own.Store(newRecorded())
	}
}
