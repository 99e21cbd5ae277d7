package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// errTimeout is the cause of a context whose call took too long.
var errTimeout = errors.New("the attempt's time is up")

// run makes calls until the worker is not needed any more.
func (s *Scheduler) run(c *call) {
	next := make(chan *call, 1)
	for c != nil {
		s.makeCall(c)
		c.endSpans() // before Stop may end: the last attempt would be lost
		if c = s.finish(c, next); c == nil {
			c = <-next
		}
	}
}

// makeCall asks the destination. It holds no lock.
func (s *Scheduler) makeCall(c *call) {
	start := time.Now()
	at := s.wall(start)
	if c.condemned {
		c.attempts[0].ending = policy.Ending{How: policy.Crashed, At: at}
		return
	}
	for i := range c.attempts {
		a := &c.attempts[i]
		a.ending.At = at
		if a.event == nil {
			a.event, a.ending = s.readBody(&a.job.item, at)
			a.read = true
		}
	}
	if !s.mayAsk(c, at) {
		return
	}
	timeout := c.timeout()
	if len(c.attempts) == 1 {
		a := &c.attempts[0]
		if a.event == nil {
			return
		}
		if c.noted {
			if a.ending.At = at; !s.noteTrial(a) {
				return
			}
			defer s.crossOut(a.job.item.ID)
		}
		ctx, cancel := context.WithTimeoutCause(s.base, timeout, errTimeout)
		r, err, ok := s.send(ctx, c.inst.to, s.request(c, a, start))
		a.ending = classify(ctx, r, err, ok, timeout)
		cancel()
		a.ending.At, a.ending.Took = at, time.Since(start)
		return
	}
	requests := make([]destination.Delivery, 0, len(c.attempts))
	for i := range c.attempts {
		if a := &c.attempts[i]; a.event != nil {
			requests = append(requests, s.request(c, a, start))
		}
	}
	if len(requests) == 0 {
		return
	}
	ctx, cancel := context.WithTimeoutCause(s.base, timeout, errTimeout)
	results, ok := s.sendBatch(ctx, c.inst.batch, requests)
	took, n := time.Since(start), 0
	for i := range c.attempts {
		a := &c.attempts[i]
		if a.event == nil {
			continue
		}
		r := destination.Result{Err: errors.New("the destination gave no result for this delivery")}
		if n < len(results) {
			r = results[n]
		}
		n++
		a.ending = classify(ctx, r.Receipt, r.Err, ok, timeout)
		a.ending.At, a.ending.Took = at, took
	}
	cancel()
}

// mayAsk tells whether the attempts of c may be made still: reading their bodies took time, in
// which the lease may have run out, and it may not hold for all parts of the store.
func (s *Scheduler) mayAsk(c *call, at int64) bool {
	if s.shared == nil || !slices.ContainsFunc(c.attempts, func(a attempt) bool { return a.event != nil && !s.shared.Holds(a.job.item.ID.Event) }) {
		return true
	}
	for i := range c.attempts {
		if a := &c.attempts[i]; a.event != nil {
			a.ending = policy.Ending{How: policy.Interrupted, At: at, Answer: "the lease ran out before the attempt began"}
		}
	}
	return false
}

// request is what the destination gets for an attempt, whose span it begins.
func (s *Scheduler) request(c *call, a *attempt, start time.Time) destination.Delivery {
	item := &a.job.item
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
func (s *Scheduler) readBody(item *store.Item, at int64) (*event.Event, policy.Ending) {
	if item.Size >= largeBody {
		sleep(s.base, time.Until(<-s.largeBody))
		began := time.Now()
		defer func() {
			now := time.Now()
			s.largeBody <- now.Add(min(3*now.Sub(began), largeBodyPause))
		}()
		if s.base.Err() != nil {
			return nil, policy.Ending{How: policy.Interrupted, At: at}
		}
	}
	e, err := s.store.Event(s.base, item.ID.Day, item.ID.Event)
	switch {
	case err == nil:
		return e, policy.Ending{}
	case errors.Is(err, store.ErrNotFound):
		return nil, policy.Ending{How: policy.BodyGone, At: at}
	case s.base.Err() != nil:
		return nil, policy.Ending{How: policy.Interrupted, At: at}
	}
	s.log.Error("reading an event's body failed; its delivery waits", "error", err)
	return nil, policy.Ending{How: policy.EngineFault, At: at, Answer: "the engine could not read the event's body"}
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
func classify(ctx context.Context, r destination.Receipt, err error, ok bool, timeout time.Duration) (e policy.Ending) {
	e.Code, e.Address, e.Unguarded = r.Code, showable(r.Address), max(0, r.Unguarded)
	if r.Requests > 1 {
		e.Requests = r.Requests
	}
	if !ok {
		e.How, e.Answer, e.Fault = policy.Panicked, "destination panicked", "destination panicked"
		return e
	}
	e.Answer = showable(r.Answer)
	if err == nil {
		return e
	}
	defer func() {
		if recover() != nil { // an Error or Unwrap method that is broken
			e.How, e.Class, e.Answer, e.Fault = policy.Failed, destination.Transient, "unreadable error", "unreadable error"
		}
	}()
	e.How = policy.Failed
	e.Class, e.After = destination.ClassOf(err)
	text := err.Error()
	if e.Class == destination.Transient {
		switch cause := context.Cause(ctx); {
		case errors.Is(err, destination.ErrEngine):
			e.How = policy.EngineFault
		case errors.Is(cause, errTimeout):
			e.How, text = policy.TimedOut, fmt.Sprintf("no answer within %v: %s", timeout, text)
		case cause != nil:
			e.How, text = policy.Interrupted, cause.Error()
		}
	}
	e.Fault = showable(text)
	if e.Answer == "" || e.How != policy.Failed {
		e.Answer = e.Fault
	}
	return e
}
