package series

import (
	"errors"
	"slices"
	"time"
)

// ErrUnknown: there is no such kind or destination.
var ErrUnknown = errors.New("no such series")

// Points is a series as it is read: one value a step. A value is nil where nothing is
// known: the daemon was down, or the destination was not recorded. Numbers up to 4,095
// are exact, those above less than a thousandth off.
type Points struct {
	Step                        time.Duration
	First                       time.Time // the beginning of the first step
	Accepted, Delivered, Failed []*int64
	Pending                     []*int64   // at the end of the step
	P50, P99                    []*float64 // ms; also nil where nothing was delivered
}

// Kind returns the series of a kind of destination; "": of all of them.
func (s *Series) Kind(name string, r Range, now time.Time) (Points, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[name]
	if k == nil {
		return Points{}, ErrUnknown
	}
	return k.rings[r].read(now), nil
}

// Kinds are those that have a series.
func (s *Series) Kinds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.kinds {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Of returns the series of a destination over a day. One that was not recorded is from
// now on, as long as not too many others are asked for.
func (s *Series) Of(id uint32, now time.Time) (Points, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dests[id]
	if d == nil {
		return Points{}, ErrUnknown
	}
	if d.own.Load() == nil {
		s.makeRoom()
		s.record(d, newRecorded())
	}
	r := d.own.Load()
	r.asked = now.Unix() / int64(Step/time.Second)
	return r.ring.read(now), nil
}

// Peek returns the series of a destination over a day as it is, without having it
// recorded: false where it is not. It is for lists, whose readers ask for nobody by name.
func (s *Series) Peek(id uint32, now time.Time) (Points, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dests[id]
	if d == nil || d.own.Load() == nil {
		return Points{}, false
	}
	return d.own.Load().ring.read(now), true
}

// makeRoom lets go of the destination that was asked for longest ago, where as many are
// recorded as may be. The busiest and the worst stay: asking for many would end the
// past of destinations of others.
func (s *Series) makeRoom() {
	if len(s.own)+len(s.loaded) < Recorded {
		return
	}
	last := -1
	for i, d := range s.own {
		if a := d.own.Load().asked; a != 0 && !d.kept && (last < 0 || a < s.own[last].own.Load().asked) {
			last = i
		}
	}
	last = max(last, 0) // nobody was asked for: the first one will do
	if len(s.own) == 0 {
		s.loaded = nil
		return
	}
	s.own[last].own.Store(nil)
	s.own = slices.Delete(s.own, last, last+1)
}

func (r *ring) read(now time.Time) Points {
	n := len(r.points)
	end := now.Unix() / r.step // the step that is not over
	if r.last == end-2 {
		end-- // the tick that ends the last one is on its way
	}
	p := Points{Step: time.Duration(r.step) * time.Second, First: time.Unix((end-int64(n))*r.step, 0).UTC()}
	for _, values := range []*[]*int64{&p.Accepted, &p.Delivered, &p.Failed, &p.Pending} {
		*values = make([]*int64, n)
	}
	p.P50, p.P99 = make([]*float64, n), make([]*float64, n)
	for i := range n {
		b := r.at(end - int64(n-i))
		if b == absent {
			continue
		}
		four := [4]int64{long(b.accepted), long(b.delivered), long(b.failed), long(b.pending)}
		p.Accepted[i], p.Delivered[i], p.Failed[i], p.Pending[i] = &four[0], &four[1], &four[2], &four[3]
		if b.p50 > 0 {
			two := [2]float64{ms(b.p50), ms(b.p99)}
			p.P50[i], p.P99[i] = &two[0], &two[1]
		}
	}
	return p
}

func ms(q uint8) float64 { return float64(valueOf(int(q)-1)) / float64(time.Millisecond) }
