package series

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// bins divide each doubling of a latency from 2 ms on into four; the last one takes
// all from 65 h on. A latency that is read back is at most 13 % off.
const bins = 108

// binOf finds the bin of a latency, below 1 ms the first.
func binOf(latency time.Duration) int {
	ms := uint64(max(latency, 0) / time.Millisecond)
	if ms < 4 {
		return int(ms)
	}
	e := bits.Len64(ms) - 3 // ms>>e is 4 to 7
	return min(4*e+int(ms>>e), bins-1)
}

// valueOf is the middle of a bin.
func valueOf(bin int) time.Duration {
	if bin < 4 {
		return time.Duration(2*bin+1) * time.Millisecond / 2
	}
	e := bin/4 - 1
	return time.Duration(uint64(4+bin%4)<<e)*time.Millisecond + time.Duration(uint64(1)<<e)*time.Millisecond/2
}

// counters are what the way of an attempt adds to.
type counters struct {
	accepted, delivered, failed atomic.Uint32
	latency                     [bins]atomic.Uint32
}

func (c *counters) deliver(latency time.Duration) {
	c.delivered.Add(1)
	if latency >= 0 {
		c.latency[binOf(latency)].Add(1)
	}
}

// sample is what counters held.
type sample struct {
	accepted, delivered, failed uint32
	latency                     [bins]uint32
}

// take empties c into s, which is added to.
func (c *counters) take(s *sample) {
	s.accepted += c.accepted.Swap(0)
	s.delivered += c.delivered.Swap(0)
	s.failed += c.failed.Swap(0)
	for i := range c.latency {
		if c.latency[i].Load() != 0 {
			s.latency[i] += c.latency[i].Swap(0)
		}
	}
}

// put adds s to c.
func (c *counters) put(s *sample) {
	c.accepted.Add(s.accepted)
	c.delivered.Add(s.delivered)
	c.failed.Add(s.failed)
	for i, n := range s.latency {
		c.latency[i].Add(n)
	}
}

func (s *sample) add(o *sample) {
	s.accepted += o.accepted
	s.delivered += o.delivered
	s.failed += o.failed
	for i, n := range o.latency {
		s.latency[i] += n
	}
}

// quantile is the bin that q of the latencies lie in or below, plus 1; 0: there are none.
func (s *sample) quantile(q float64) uint8 {
	total := uint64(0)
	for _, n := range s.latency {
		total += uint64(n)
	}
	rank := max(uint64(q*float64(total)+0.999999), 1)
	seen := uint64(0)
	for i, n := range s.latency {
		if seen += uint64(n); n > 0 && seen >= rank {
			return uint8(i + 1)
		}
	}
	return 0
}

func (s *sample) bucket(pending int64) bucket {
	return bucket{
		accepted: short(int64(s.accepted)), delivered: short(int64(s.delivered)), failed: short(int64(s.failed)),
		pending: short(pending), p50: s.quantile(.5), p99: s.quantile(.99),
	}
}
