package destination

import (
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

// Class says what a failed attempt means for what comes next.
type Class int

const (
	// Transient: try again on the schedule. It is the zero value, so that an
	// error nobody classified is retried and no event is lost to a missing case.
	Transient Class = iota
	// Throttled: try again on the schedule, no sooner than the far side asked.
	Throttled
	// Rejected: this event will never be accepted; the next one may be.
	Rejected
	// Misconfigured: every event would fail (bad credentials, missing bucket or
	// rights). The destination is held until someone mends it.
	Misconfigured
)

// String returns the label that the API, logs and metrics show.
func (c Class) String() string {
	switch c {
	case Throttled:
		return "throttled"
	case Rejected:
		return "rejected"
	case Misconfigured:
		return "misconfigured"
	}
	return "transient"
}

// Fault is an error with a class. Its text is shown to the developer who owns
// the destination: it must not hold secrets.
type Fault struct {
	Class      Class
	RetryAfter time.Duration // only with Throttled; counted from the end of the attempt; beyond 24 h it is not believed
	Err        error
}

func (f *Fault) Error() string {
	if f == nil || f.Err == nil {
		return "failed without a reason"
	}
	return f.Err.Error()
}

func (f *Fault) Unwrap() error {
	if f == nil {
		return nil
	}
	return f.Err
}

// Reject says that this event will never be accepted.
func Reject(err error) error { return &Fault{Class: Rejected, Err: err} }

// Misconfigure says that every event would fail until the settings change.
func Misconfigure(err error) error { return &Fault{Class: Misconfigured, Err: err} }

// Throttle says that the far side asked to wait.
func Throttle(err error, after time.Duration) error { return &Fault{Throttled, after, err} }

// ErrEngine marks a fault of our own (our payload store is down): the attempt
// is not counted and the far side is not blamed. Wrap it with %w.
var ErrEngine = errors.New("engine fault")

// Remark is the error of a Check that found nothing in the way of deliveries,
// but something that the developer should know. Like a Fault's, its text is
// shown to them.
type Remark string

func (r Remark) Error() string { return string(r) }

// ClassOf returns the class of err and, for Throttled, how long to wait: 0 where
// the fault asks for what [retryafter.Believed] does not believe. A class that does not exist is Transient: kinds may come
// from anybody, and a mistake of theirs must lose nothing.
func ClassOf(err error) (Class, time.Duration) {
	f, ok := errors.AsType[*Fault](err)
	if !ok || f == nil {
		return Transient, 0
	}
	switch f.Class {
	case Throttled:
		return Throttled, retryafter.Believed(f.RetryAfter)
	case Rejected, Misconfigured:
		return f.Class, 0
	}
	return Transient, 0
}
