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

// errTimeout is the cause of a context whose attempt took too long.
var errTimeout = errors.New("the attempt's time is up")

// instance is an open destination and how many attempts use it.
type instance struct {
	to      destination.Destination
	batch   destination.Batcher // nil: one by one
	most    int                 // deliveries of a batch
	flying  int
	retired bool
}

// attempt is one call of a destination: one delivery, or a batch.
type attempt struct {
	lane     *lane
	inst     *instance
	settings *Settings
	jobs     []*job
	legs     []leg
	one      [1]*job
	oneLeg   [1]leg
	began    int64 // mono
	kind     int   // of its first body
	bytes    int64 // of them together
	probe    bool  // of a held destination
	unfrozen bool  // its deliveries were rebound meanwhile
	crashes  bool  // of crashes its delivery is dead: not tried
	unproven bool  // of a lane that had to prove itself
	overAge  bool
	slow     bool // has a place in the slow budget
	surplus  bool // beside another of its destination
	stuck    bool // found no place there
	prev     *attempt
	next     *attempt
}

// leg is one delivery of an attempt.
type leg struct {
	event  *event.Event
	read   bool // from the store
	slot   int  // of the flight record
	ending ending
	span   *tracing.Attempt // nil: none
}

// timeout bounds the attempt.
func (a *attempt) timeout() time.Duration {
	if t := a.settings.Timeout; t > 0 {
		return t
	}
	return 30 * time.Second
}

// fly runs attempts until there is nothing to start at once.
func (s *Scheduler) fly(a *attempt) {
	for a != nil {
		s.try(a)
		a.endSpans() // before Stop may end: the last attempt would be lost
		a = s.land(a)
	}
}

// try makes the attempt. It holds no lock.
func (s *Scheduler) try(a *attempt) {
	start := time.Now()
	at := s.wall(start)
	for i := range a.legs {
		a.legs[i].ending.at = at
	}
	if a.crashes {
		a.legs[0].ending = ending{how: crashed, at: at}
		return
	}
	for i, j := range a.jobs {
		if a.legs[i].event == nil {
			a.legs[i].event, a.legs[i].ending = s.fetch(&j.item, at)
			a.legs[i].read = true
		}
	}
	timeout := a.timeout()
	if len(a.jobs) == 1 {
		if a.legs[0].event == nil {
			return
		}
		ctx, cancel := context.WithTimeoutCause(s.base, timeout, errTimeout)
		r, err, ok := s.send(ctx, a.inst.to, s.letter(a, 0, start))
		a.legs[0].ending = judge(ctx, r, err, ok, timeout)
		cancel()
		a.legs[0].ending.at, a.legs[0].ending.took = at, time.Since(start)
		return
	}
	letters := make([]destination.Delivery, 0, len(a.jobs))
	for i := range a.legs {
		if a.legs[i].event != nil {
			letters = append(letters, s.letter(a, i, start))
		}
	}
	if len(letters) == 0 {
		return
	}
	ctx, cancel := context.WithTimeoutCause(s.base, timeout, errTimeout)
	results, ok := s.sendBatch(ctx, a.inst.batch, letters)
	took, n := time.Since(start), 0
	for i := range a.legs {
		if a.legs[i].event == nil {
			continue
		}
		r := destination.Result{Err: errors.New("the destination gave no result for this delivery")}
		if n < len(results) {
			r = results[n]
		}
		n++
		a.legs[i].ending = judge(ctx, r.Receipt, r.Err, ok, timeout)
		a.legs[i].ending.at, a.legs[i].ending.took = at, took
	}
	cancel()
}

// letter is what the destination gets of the i-th leg, whose span it begins.
func (s *Scheduler) letter(a *attempt, i int, start time.Time) destination.Delivery {
	l, item := &a.legs[i], &a.jobs[i].item
	d := destination.Delivery{ID: item.ID.String(), Attempt: int(item.Attempts) + 1, Round: int(item.Round), Event: l.event}
	if l.span = s.trace.Attempt(l.event, start); l.span != nil {
		s.describe(a, l, &d)
	}
	d.Trace = l.span.PassOn(l.event)
	return d
}

// largeBody is from how many bytes on bodies are read one at a time, for a
// quarter of the time at most: a read of 32 MiB keeps a core for tens of
// milliseconds, and several of them all cores for as long as that takes.
const largeBody = 1 << 20

// rest is the most that a read of a large body has the next one wait.
const rest = time.Second

// fetch reads the body of a delivery.
func (s *Scheduler) fetch(item *store.Item, at int64) (*event.Event, ending) {
	if item.Size >= largeBody {
		pause(s.base, time.Until(<-s.large))
		began := time.Now()
		defer func() {
			now := time.Now()
			s.large <- now.Add(min(3*now.Sub(began), rest))
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
			s.panicked(recover())
		}
	}()
	r, err = to.Send(ctx, d)
	s.caught(err)
	return r, err, true
}

func (s *Scheduler) sendBatch(ctx context.Context, to destination.Batcher, ds []destination.Delivery) (rs []destination.Result, ok bool) {
	defer func() {
		if !ok {
			s.panicked(recover())
		}
	}()
	rs = to.SendBatch(ctx, ds)
	for _, r := range rs {
		s.caught(r.Err)
	}
	return rs, true
}

// caught logs a panic that a kind has made an error of, since it was not in the
// goroutine of Send.
func (s *Scheduler) caught(err error) {
	defer func() { _ = recover() }() // an Unwrap method that is broken: judge says so
	if p := destination.PanicOf(err); p != nil {
		s.log.Error("a destination panicked", "type", p.Type, "stack", string(p.Stack))
	}
}

func (s *Scheduler) panicked(v any) {
	s.log.Error("a destination panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
}

// judge makes an ending of what Send returned.
func judge(ctx context.Context, r destination.Receipt, err error, ok bool, timeout time.Duration) (e ending) {
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
