package series

import (
	"math/bits"
	"time"
)

// Range is how far back a series goes.
type Range int

const (
	Hour Range = iota // in steps of 10 s
	Day               // in steps of a minute; of a destination 5 minutes
	Week              // in steps of 15 minutes
)

const (
	destStep   = 5 * time.Minute
	destPoints = 288
)

func (r Range) step() time.Duration {
	return [...]time.Duration{Step, time.Minute, 15 * time.Minute}[r]
}
func (r Range) points() int { return [...]int{360, 1440, 672}[r] }

// bucket is one point of a series. It is as small as it can be: there are many.
type bucket struct {
	accepted, delivered, failed, pending uint16 // as short has them
	p50, p99                             uint8  // as quantile has them
}

// absent is a point of which nothing is known.
var absent = bucket{p50: 255}

// short keeps the first 12 binary digits of n: exact up to 4,095, and less than a
// thousandth off above. Its upper 5 bits are an exponent.
func short(n int64) uint16 {
	u := uint64(min(max(n, 0), 1<<42-1))
	if u < 1<<11 {
		return uint16(u)
	}
	shift := bits.Len64(u) - 12
	return uint16(shift+1)<<11 | uint16(u>>shift)&(1<<11-1)
}

// long reads what short made.
func long(s uint16) int64 {
	e, fraction := s>>11, int64(s&(1<<11-1))
	if e == 0 {
		return fraction
	}
	return (1<<11 + fraction) << (e - 1)
}

// ring holds the last points of a series.
type ring struct {
	step   int64 // seconds
	last   int64 // the newest point, in steps since 1970; 0: there is none
	points []bucket
}

func newRing(step time.Duration, n int) ring {
	r := ring{step: int64(step / time.Second), points: make([]bucket, n)}
	for i := range r.points {
		r.points[i] = absent
	}
	return r
}

// push adds the point of a step. Of the steps in between nothing is known.
func (r *ring) push(at int64, b bucket) {
	if at <= r.last {
		return
	}
	n := int64(len(r.points))
	for i := max(r.last+1, at-n+1); i < at; i++ {
		r.points[i%n] = absent
	}
	r.points[at%n], r.last = b, at
}

// at returns the point of a step.
func (r *ring) at(step int64) bucket {
	n := int64(len(r.points))
	if step > r.last || step <= r.last-n || step < 0 {
		return absent
	}
	return r.points[step%n]
}

// open gathers a step of a coarser ring out of those of the finest.
type open struct {
	at  int64 // in steps of the ring; 0: nothing is gathered
	sum sample
}

// add adds what was counted from begin to end, in seconds, and ends the step that
// ends there.
func (o *open) add(r *ring, begin, end int64, s *sample, pending int64) {
	at := begin / r.step
	if o.at != 0 && o.at != at {
		o.push(r, pending) // the tick at its end never came
	}
	o.at = at
	o.sum.add(s)
	if end/r.step > at {
		o.push(r, pending)
	}
}

func (o *open) push(r *ring, pending int64) {
	r.push(o.at, o.sum.bucket(pending))
	*o = open{}
}
