package ingest

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// Bucket bounds how often something may happen, such as an event of one developer:
// it holds tokens, refilled at rate, of which at most one second's worth (and at
// least one) is saved up. A nil Bucket limits nothing.
type Bucket struct {
	rate    float64    // tokens a second
	daemons func() int // how many share them; nil: this one has all

	mu     sync.Mutex
	tokens float64
	at     time.Time // when tokens was right
}

// NewBucket returns a full bucket; nil, which limits nothing, when rate is 0. Of several daemons
// each has its part of the rate: daemons, which may be nil, tells how many there are, and is asked
// for every token.
func NewBucket(rate float64, daemons func() int) *Bucket {
	if rate <= 0 {
		return nil
	}
	return &Bucket{rate: rate, daemons: daemons, tokens: math.Max(1, rate)}
}

// Rate returns how many tokens come a second at all daemons; 0: there is no limit.
func (b *Bucket) Rate() float64 {
	if b == nil {
		return 0
	}
	return b.rate
}

// Take takes a token, or returns how long to wait for one.
func (b *Bucket) Take(now time.Time) time.Duration {
	if b == nil {
		return 0
	}
	rate := b.rate
	if b.daemons != nil {
		rate /= float64(max(1, b.daemons()))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = math.Min(math.Max(1, rate), b.tokens) // another daemon may have come
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = math.Min(math.Max(1, rate), b.tokens+passed.Seconds()*rate)
		b.at = now
	}
	if b.tokens < 1 {
		return time.Duration(math.Ceil((1 - b.tokens) / rate * float64(time.Second)))
	}
	b.tokens--
	return 0
}

// backOff is how long a producer is asked to wait when too much is pending: nobody knows how
// fast a backlog shrinks, and asking again is cheap.
const backOff = 10 * time.Second

// load is what is pending for a developer, with what one Accept adds to it.
type load struct {
	dev     *developer
	pending int64
	bytes   int64
}

// checkLoad refuses an event whose deliveries would exceed what a developer may have pending.
// Requests that run at the same time do not see each other, so that the limit may be exceeded
// by what they carry. An event without deliveries adds nothing and always passes. So does an
// event that comes while nothing is pending: refused for its own size, it would be sent again
// for ever.
func (in *Ingest) checkLoad(dev *developer, deliveries, size int, loads *[]load) *Refusal {
	if deliveries == 0 || in.limits.Pending <= 0 && in.limits.Bytes <= 0 {
		return nil
	}
	l := in.loadOf(dev, loads)
	pending, bytes := l.pending+int64(deliveries), l.bytes+int64(deliveries)*int64(size)
	switch {
	case l.pending == 0: // waiting would not help
	case in.limits.Pending > 0 && pending > in.limits.Pending:
		return limited(backOff, fmt.Sprintf("the developer has %d deliveries pending; %d are allowed", l.pending, in.limits.Pending))
	case in.limits.Bytes > 0 && bytes > in.limits.Bytes:
		return limited(backOff, fmt.Sprintf("the developer has %d bytes pending; %d are allowed", l.bytes, in.limits.Bytes))
	}
	l.pending, l.bytes = pending, bytes
	return nil
}

// loadOf finds or counts what is pending for dev.
func (in *Ingest) loadOf(dev *developer, loads *[]load) *load {
	for i := range *loads {
		if (*loads)[i].dev == dev {
			return &(*loads)[i]
		}
	}
	l := load{dev: dev}
	for _, id := range dev.All {
		c := in.store.Counts(id)
		l.pending += c.Pending
		l.bytes += c.PendingBytes
	}
	*loads = append(*loads, l)
	return &(*loads)[len(*loads)-1]
}
