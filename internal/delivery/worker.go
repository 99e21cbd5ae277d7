package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// errTimeout is the cause of a context whose call took too long.
var errTimeout = errors.New("the attempt's time is up")

// instance is an open destination and how many calls use it.
type instance struct {
	to       destination.Destination
	batch    destination.Batcher // nil: one by one
	maxBatch int                 // deliveries of a batch
	calls    int
	retired  bool
}

// call is one Send, or one SendBatch, of a destination. It makes one attempt at each of
// its deliveries.
type call struct {
	lane       *lane
	inst       *instance
	settings   *Settings
	jobs       []*job
	attempts   []attempt
	oneJob     [1]*job
	oneAttempt [1]attempt
	began      int64 // mono
	pool       int   // of its first body
	bytes      int64 // of them together
	probe      bool  // of a held destination
	unfrozen   bool  // its deliveries were rebound meanwhile
	condemned  bool  // of crashes its delivery is dead: not tried
	unproven   bool  // of a lane that had to prove itself
	overAge    bool
	slow       bool // has a place in the slow budget
	surplus    bool // beside another of its destination
	stuck      bool // found no place there
	prev       *call
	next       *call
}

// attempt is one delivery that is tried once.
type attempt struct {
	event  *event.Event
	read   bool // from the store
	slot   int  // of the flight record
	ending ending
	span   *tracing.Attempt // nil: none
}

// timeout bounds the call.
func (c *call) timeout() time.Duration {
	if t := c.settings.Timeout; t > 0 {
		return t
	}
	return 30 * time.Second
}

// run makes calls until there is nothing to start at once.
func (s *Scheduler) run(c *call) {
	for c != nil {
		s.makeCall(c)
		c.endSpans() // before Stop may end: the last attempt would be lost
		c = s.finish(c)
	}
}

// makeCall asks the destination. It holds no lock.
func (s *Scheduler) makeCall(c *call) {
	start := time.Now()
	at := s.wall(start)
	for i := range c.attempts {
		c.attempts[i].ending.at = at
	}
	if c.condemned {
		c.attempts[0].ending = ending{how: crashed, at: at}
		return
	}
	for i, j := range c.jobs {
		if c.attempts[i].event == nil {
			c.attempts[i].event, c.attempts[i].ending = s.readBody(&j.item, at)
			c.attempts[i].read = true
		}
	}
	timeout := c.timeout()
	if len(c.jobs) == 1 {
		if c.attempts[0].event == nil {
			return
		}
		ctx, cancel := context.WithTimeoutCause(s.base, timeout, errTimeout)
		r, err, ok := s.send(ctx, c.inst.to, s.request(c, 0, start))
		c.attempts[0].ending = classify(ctx, r, err, ok, timeout)
		cancel()
		c.attempts[0].ending.at, c.attempts[0].ending.took = at, time.Since(start)
		return
	}
	requests := make([]destination.Delivery, 0, len(c.jobs))
	for i := range c.attempts {
		if c.attempts[i].event != nil {
			requests = append(requests, s.request(c, i, start))
		}
	}
	if len(requests) == 0 {
		return
	}
	ctx, cancel := context.WithTimeoutCause(s.base, timeout, errTimeout)
	results, ok := s.sendBatch(ctx, c.inst.batch, requests)
	took, n := time.Since(start), 0
	for i := range c.attempts {
		if c.attempts[i].event == nil {
			continue
		}
		r := destination.Result{Err: errors.New("the destination gave no result for this delivery")}
		if n < len(results) {
			r = results[n]
		}
		n++
		c.attempts[i].ending = classify(ctx, r.Receipt, r.Err, ok, timeout)
		c.attempts[i].ending.at, c.attempts[i].ending.took = at, took
	}
	cancel()
}

// request is what the destination gets for the i-th attempt, whose span it begins.
func (s *Scheduler) request(c *call, i int, start time.Time) destination.Delivery {
	a, item := &c.attempts[i], &c.jobs[i].item
	d := destination.Delivery{ID: item.ID.String(), Attempt: int(item.Attempts) + 1, Round: int(item.Round), Event: a.event}
	if a.span = s.trace.Attempt(a.event, start); a.span != nil {
		s.describe(c, a, &d)
	}
	d.Trace = a.span.PassOn(a.event)
	return d
}

// largeBody is from how many bytes on bodies are read one at a time, for a
// quarter of the time at most: a read of 32 MiB keeps a core for tens of
// milliseconds, and several of them all cores for as long as that takes.
const largeBody = 1 << 20

// largeBodyPause is the most that a read of a large body has the next one wait.
const largeBodyPause = time.Second

// readBody reads the body of a delivery.
func (s *Scheduler) readBody(item *store.Item, at int64) (*event.Event, ending) {
	if item.Size >= largeBody {
		pause(s.base, time.Until(<-s.largeBody))
		began := time.Now()
		defer func() {
			now := time.Now()
			s.largeBody <- now.Add(min(3*now.Sub(began), largeBodyPause))
		}()
		if s.base.Err() != nil {
			return nil, ending{how: interrupted, at: at}
		}
	}
	e, err := s.store.Event(s.base, item.ID.Day, item.ID.Event)
	switch {
	case err == nil:
		return e, ending{}
	case errors.Is(err, store.ErrNotFound):
		return nil, ending{how: bodyGone, at: at}
	case s.base.Err() != nil:
		return nil, ending{how: interrupted, at: at}
	}
	s.log.Error("reading an event's body failed; its delivery waits", "error", err)
	return nil, ending{how: engineFault, at: at, answer: "the engine could not read the event's body"}
}

// send calls Send; ok is false when it panicked. The text of a panic may hold
// anything, secrets too, so that only its type and stack are logged.
func (s *Scheduler) send(ctx context.Context, to destination.Destination, d destination.Delivery) (r destination.Receipt, err error, ok bool) {
	defer func() {
		if !ok {
			s.logPanic(recover())
		}
	}()
	r, err = to.Send(ctx, d)
	s.logPanicOf(err)
	return r, err, true
}

func (s *Scheduler) sendBatch(ctx context.Context, to destination.Batcher, ds []destination.Delivery) (rs []destination.Result, ok bool) {
	defer func() {
		if !ok {
			s.logPanic(recover())
		}
	}()
	rs = to.SendBatch(ctx, ds)
	for _, r := range rs {
		s.logPanicOf(r.Err)
	}
	return rs, true
}

// logPanicOf logs a panic that a kind has made an error of, since it was not in the
// goroutine of Send.
func (s *Scheduler) logPanicOf(err error) {
	defer func() { _ = recover() }() // an Unwrap method that is broken: classify says so
	if p := destination.PanicOf(err); p != nil {
		s.log.Error("a destination panicked", "type", p.Type, "stack", string(p.Stack))
	}
}

func (s *Scheduler) logPanic(v any) {
	s.log.Error("a destination panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
}

// classify makes an ending of what Send returned.
func classify(ctx context.Context, r destination.Receipt, err error, ok bool, timeout time.Duration) (e ending) {
	e.code, e.address, e.unguarded = r.Code, showable(r.Address), max(0, r.Unguarded)
	if r.Requests > 1 {
		e.requests = r.Requests
	}
	if !ok {
		e.how, e.answer, e.fault = panicked, "destination panicked", "destination panicked"
		return e
	}
	e.answer = showable(r.Answer)
	if err == nil {
		return e
	}
	defer func() {
		if recover() != nil { // an Error or Unwrap method that is broken
			e.how, e.class, e.answer, e.fault = failed, destination.Transient, "unreadable error", "unreadable error"
		}
	}()
	e.how = failed
	e.class, e.after = destination.ClassOf(err)
	text := err.Error()
	if e.class == destination.Transient {
		switch cause := context.Cause(ctx); {
		case errors.Is(err, destination.ErrEngine):
			e.how = engineFault
		case errors.Is(cause, errTimeout):
			e.how, text = timedOut, fmt.Sprintf("no answer within %v: %s", timeout, text)
		case cause != nil:
			e.how, text = interrupted, cause.Error()
		}
	}
	e.fault = showable(text)
	if e.answer == "" || e.how != failed {
		e.answer = e.fault
	}
	return e
}
