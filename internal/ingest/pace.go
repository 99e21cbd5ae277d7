package ingest

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"
)

const (
	// paceMost is the longest wait of a request.
	paceMost = 5 * time.Second
	// paceEnd times Most is how far deliveries may be behind before requests are refused: by then
	// waits have not helped.
	paceEnd = 10
	// paceEase is how many times faster than time what is known of the lag goes back: a
	// look in which it cannot be seen lets nobody in a rush in.
	paceEase = 4
	// paceEvents is over how many events the mean of their deliveries is taken.
	paceEvents = 256
	// paceMarks is how often in the time of Most it is noted how many deliveries were
	// accepted so far.
	paceMarks = 40
)

// Pace slows producers down while the daemon is behind with deliveries: it lets in what the
// daemon delivers, divided by how many times Most it is behind, one after the
// other. However many producers there are, and however large their batches, as many
// come in as go out.
//
// How late the next delivery is says too little when many more come in than go out: when it is
// 2 s late, what came in during these 2 s may take 10 s. So the daemon is as far behind as it will
// be when it has worked off what came in since.
type Pace struct {
	Behind func() (late time.Duration, rate float64) // how far it is, and the deliveries that it begins a second
	Most   time.Duration                             // how far it may be; 0: no matter how far

	mu     sync.Mutex
	late   time.Duration // at seen
	seen   time.Time
	next   time.Time // when there is room for the next event
	fanout float64   // deliveries of an event

	accepted int    // deliveries
	marks    []mark // oldest first, as far back as is asked for
}

// mark is how many deliveries had been accepted when.
type mark struct {
	at       time.Time
	accepted int
}

// Wait has a producer of that many events wait, or returns a *Refusal when the daemon is too
// far behind. Call it before reading a body; with 0 events when it is not known how many. A nil Pace
// slows nobody down.
func (p *Pace) Wait(ctx context.Context, events int) error {
	if p == nil || p.Most <= 0 {
		return nil
	}
	late, rate := p.Behind()
	wait := p.turn(time.Now(), events, late, rate)
	switch {
	case late > paceEnd*p.Most:
		return &Refusal{Status: 503, Code: "behind", RetryAfter: p.Most,
			Message: fmt.Sprintf("the daemon is %v behind with deliveries, more than ten times limits.lag", late.Round(time.Second))}
	case wait <= 0:
		return nil
	}
	t := time.NewTimer(min(wait, paceMost))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return unavailable(context.Cause(ctx))
	}
}

// turn returns after how long there is room, which is taken for that many events.
func (p *Pace) turn(now time.Time, events int, late time.Duration, rate float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	rate = max(rate, 1)
	if late > 0 {
		late = max(late, time.Duration(float64(p.since(now.Add(-late)))/rate*float64(time.Second)))
	}
	late = max(late, p.late-paceEase*now.Sub(p.seen))
	p.late, p.seen = late, now
	if late <= p.Most {
		p.next = now
		return 0
	}
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	if wait <= paceMost { // who waits in vain takes no room
		in := rate * float64(p.Most) / float64(late)
		p.next = p.next.Add(time.Duration(float64(events) * max(p.fanout, 1) / in * float64(time.Second)))
	}
	return wait
}

// Took takes in how many deliveries that many events came to.
func (p *Pace) Took(events, deliveries int) {
	if p == nil || p.Most <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted += deliveries
	if now := time.Now(); len(p.marks) == 0 || now.Sub(p.marks[len(p.marks)-1].at) >= p.Most/paceMarks {
		if most := paceEnd * paceMarks; len(p.marks) >= 2*most {
			p.marks = append(p.marks[:0], p.marks[most:]...)
		}
		p.marks = append(p.marks, mark{now, p.accepted})
	}
	weight := min(1, float64(events)/paceEvents)
	p.fanout += weight * (float64(deliveries)/float64(events) - p.fanout)
}

// since counts the deliveries that were accepted after at.
func (p *Pace) since(at time.Time) int {
	if len(p.marks) == 0 {
		return 0
	}
	i := sort.Search(len(p.marks), func(i int) bool { return p.marks[i].at.After(at) })
	return p.accepted - p.marks[max(i-1, 0)].accepted
}
