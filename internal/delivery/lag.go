package delivery

import (
	"cmp"
	"math"
	runtimemetrics "runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lagEvery is how old what is known of the lag may be.
	lagEvery = 250 * time.Millisecond
	// busyWait is what a tenth of all goroutines wait at least for a processor when
	// the daemon has more to do than it can.
	busyWait = time.Millisecond
	// lagLeast is how many calls of a lane may run where it counts: with fewer it is
	// its settings, or its failures, that keep it.
	lagLeast = 16
)

// lag is how far the daemon itself is behind with deliveries.
type lag struct {
	busy   func() time.Duration // see Options
	waited atomic.Int64         // ns: what busy said last
	busyAt atomic.Int64         // mono: when it is asked again
	known  atomic.Int64         // ns
	at     atomic.Int64         // mono: when it is looked at again

	begun  atomic.Int64  // deliveries in all
	rate   atomic.Uint64 // of them a second, as a float64, between the last two looks
	counts atomic.Int64  // begun at the last look
}

// Lag returns how late more than half of the deliveries go out for want of
// processors, as those that go out next have been due for. Half, because one
// destination that gets more than it takes looks like that, too, and is nobody else's
// fault. It is at most lagEvery old.
func (s *Scheduler) Lag() time.Duration {
	g := &s.lag
	at, mono := g.at.Load(), s.now().mono
	if mono >= at && g.at.CompareAndSwap(at, mono+int64(lagEvery)) {
		begun := g.begun.Load()
		took := max(lagEvery, time.Duration(mono-at)+lagEvery)
		g.rate.Store(math.Float64bits(float64(begun-g.counts.Swap(begun)) / took.Seconds()))
		g.known.Store(s.lookForLag(g.wait(mono)))
	}
	return time.Duration(g.known.Load())
}

// wait is how long at least a tenth of all goroutines waited for a processor lately.
func (g *lag) wait(mono int64) time.Duration {
	if at := g.busyAt.Load(); mono >= at && g.busyAt.CompareAndSwap(at, mono+int64(lagEvery)) {
		g.waited.Store(int64(g.busy()))
	}
	return time.Duration(g.waited.Load())
}

// Pace returns the lag, and how many deliveries a second were begun lately.
func (s *Scheduler) Pace() (time.Duration, float64) {
	return s.Lag(), math.Float64frombits(s.lag.rate.Load())
}

func (s *Scheduler) lookForLag(wait time.Duration) int64 {
	if wait < busyWait {
		return 0
	}
	type late struct {
		by    int64
		share int
	}
	var lates []late
	all, least := 0, min(lagLeast, s.budget.maxInFlight)
	now := s.lock()
	for _, d := range s.dests {
		for _, l := range d.lanes {
			n := l.begun
			l.begun = 0
			all += n
			if n > 0 && l.waitsForDaemon(wait, least) {
				lates = append(lates, late{max(0, l.behind(now)-l.excused), n})
			}
		}
	}
	s.mu.Unlock()
	slices.SortFunc(lates, func(a, b late) int { return cmp.Compare(b.by, a.by) })
	n := 0
	for _, x := range lates {
		if n += x.share; 2*n > all {
			return x.by
		}
	}
	return 0
}

// excuse takes in a success: what was due while something kept l from delivering is no
// fault of the daemon's, nor is how far behind the rest has become by then. It is one
// from where l falls further behind again: who never catches up would count never.
func (l *lane) excuse(now instant) {
	if l.hindered && !l.dest.active() {
		return // it was in flight when it was paused
	}
	if l.hindered {
		l.hindered, l.hinderedUntil, l.excused = false, now.wall, never
	}
	if l.excused > 0 {
		if b := l.behind(now); now.wall-b >= l.hinderedUntil {
			l.excused = min(l.excused, b)
		}
	}
}

// waitsForDaemon tells whether nothing else keeps l from delivering: it is healthy, may
// make least calls at once, has no rate, and most of an attempt's time goes by until a
// processor is free, for which goroutines wait.
func (l *lane) waitsForDaemon(wait time.Duration, least int) bool {
	d := l.dest
	return l.proven && !l.hindered && min(l.concurrency.Limit, d.max) >= least && d.rate.Every == 0 && d.dev.allowance.rate.Every == 0 &&
		l.median.Get() < 2*int64(wait)
}

// processors measures how long goroutines wait for a processor.
type processors struct {
	mu     sync.Mutex
	sample []runtimemetrics.Sample
	before []uint64
}

// newProcessors begins to measure.
func newProcessors() *processors {
	p := &processors{sample: []runtimemetrics.Sample{{Name: "/sched/latencies:seconds"}}}
	p.wait()
	return p
}

// wait returns what a tenth of all goroutines waited at least since the last call.
func (p *processors) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	runtimemetrics.Read(p.sample)
	if p.sample[0].Value.Kind() != runtimemetrics.KindFloat64Histogram {
		return 0
	}
	h := p.sample[0].Value.Float64Histogram()
	if p.before == nil {
		p.before = make([]uint64, len(h.Counts))
	}
	total := uint64(0)
	for i, n := range h.Counts {
		total += n - p.before[i]
	}
	above, longest := uint64(0), 0.0
	for i := len(h.Counts) - 1; i >= 0 && 10*above < total; i-- {
		above += h.Counts[i] - p.before[i]
		longest = h.Buckets[i]
	}
	copy(p.before, h.Counts)
	if total == 0 || math.IsInf(longest, 0) {
		return 0
	}
	return time.Duration(longest * float64(time.Second))
}
