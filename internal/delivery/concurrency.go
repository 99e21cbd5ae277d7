package delivery

import (
	"slices"
	"time"
)

// concurrency is how many calls of a lane may run: 1 at first, doubled
// after as many successes as it allows at once, halved by a failure.
type concurrency struct {
	limit   int
	healthy int // successes since limit changed
}

func (c *concurrency) rise(most int) {
	if c.healthy++; c.healthy >= c.limit {
		c.limit, c.healthy = max(1, min(2*c.limit, most)), 0
	}
}

func (c *concurrency) fall() { c.limit, c.healthy = max(1, c.limit/2), 0 }

// median is that of the last calls the far side answered well. Others are
// left out: a far side that hangs must not make hanging look normal.
type median struct {
	last [15]int64
	n    int
	mid  int64
	old  bool // mid is
}

func (m *median) add(took int64) {
	m.last[m.n%len(m.last)] = took
	m.n++
	m.old = m.old || m.n <= len(m.last) || m.n%8 == 0 // half of them anew; sorting costs more than adding
}

func (m *median) get() int64 {
	if m.old {
		all := m.last
		some := all[:min(m.n, len(all))]
		slices.Sort(some)
		m.mid, m.old = some[len(some)/2], false
	}
	return m.mid
}

// slowAfter is the age from which a call is slow.
func (l *lane) slowAfter() int64 { return max(int64(time.Second), 4*l.median.get()) }

// slowAt returns when the next call in flight goes over age.
func (l *lane) slowAt() int64 {
	for c := l.first; c != nil; c = c.next {
		if !c.overAge {
			return c.began + l.slowAfter()
		}
	}
	return never
}

// markSlow moves calls that became slow out of the way. Until one succeeds the
// lane starts no more beside them: it would only add to what hangs.
func (s *Scheduler) markSlow(l *lane, now instant) {
	threshold := l.slowAfter()
	for c := l.first; c != nil && c.began+threshold <= now.mono; c = c.next {
		if c.overAge {
			continue
		}
		c.overAge = true
		l.overAge++
		l.hanging = true
		s.budget.moveToSlow(c)
	}
}

// bucket spaces attempts evenly.
type bucket struct {
	every  int64 // ns between attempts; 0: no limit
	at     int64 // mono: the next one
	waited bool  // one waited for it
}

// slack is how late a timer may be without costing throughput.
const slack = int64(10 * time.Millisecond)

func (b *bucket) limit(rate float64) {
	b.every = 0
	if rate > 0 {
		b.every = int64(min(float64(time.Second)/rate, float64(24*time.Hour)))
	} else {
		b.at = 0
	}
}

func (b *bucket) markWaited(mono int64) { b.waited = b.waited || b.at > mono }

func (b *bucket) spend(mono int64) {
	if b.every == 0 {
		return
	}
	from := mono
	if b.waited {
		from = max(b.at, mono-slack)
	}
	b.at, b.waited = from+b.every, false
}

// pacer spaces what is tried now and then: each wait is twice the one before.
type pacer struct {
	wait time.Duration // the last; 0: none
	at   int64         // mono: not before
}

func (p *pacer) next(mono int64, first, most time.Duration) {
	p.wait = p.nextWait(first, most)
	p.at = mono + int64(p.wait)
}

// nextWait returns the wait that next would make.
func (p *pacer) nextWait(first, most time.Duration) time.Duration {
	return min(max(first, 2*p.wait), most)
}

const (
	ownFaultFirst = time.Second
	ownFaultMost  = time.Minute
)

// ownFaultWait returns the wait that push would make.
func (p *pacer) ownFaultWait(mono int64) time.Duration {
	if p.at > mono {
		return time.Duration(p.at - mono) // several faults of one moment count as one
	}
	return min(max(ownFaultFirst, 2*p.wait), ownFaultMost)
}

// nextOwnFault waits after a fault of our own, longer each time.
func (p *pacer) nextOwnFault(mono int64) {
	if p.at <= mono {
		p.next(mono, ownFaultFirst, ownFaultMost)
	}
}
