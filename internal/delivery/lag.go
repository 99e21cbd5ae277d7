package delivery

import (
	"math"
	runtimemetrics "runtime/metrics"
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
)

// lag is how far the daemon itself is behind with deliveries.
type lag struct {
	busy  func() time.Duration // see Options
	known atomic.Int64         // ns
	at    atomic.Int64         // mono: when it is looked at again
}

// Lag returns for how long what goes out next has been due, at the destination that
// is furthest behind. Only those count that wait for the daemon: they are healthy,
// have caught up since anything kept them from delivering, and most of an attempt's
// time goes by until a processor is free. It is at most lagEvery old.
func (s *Scheduler) Lag() time.Duration {
	g := &s.lag
	at, mono := g.at.Load(), s.now().mono
	if mono >= at && g.at.CompareAndSwap(at, mono+int64(lagEvery)) {
		g.known.Store(s.lookForLag(g.busy()))
	}
	return time.Duration(g.known.Load())
}

func (s *Scheduler) lookForLag(wait time.Duration) (most int64) {
	if wait < busyWait {
		return 0
	}
	now := s.lock()
	defer s.mu.Unlock()
	for _, d := range s.dests {
		if d.rate.Every > 0 || d.dev.allowance.rate.Every > 0 {
			continue
		}
		for _, l := range d.lanes {
			if !l.backlog && l.proven && l.median.Get() < 2*int64(wait) {
				most = max(most, l.behind(now))
			}
		}
	}
	return most
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
