package ingest

import (
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Refusal is an error with the API's code and HTTP status.
type Refusal struct {
	Status     int
	Code       string
	Message    string
	RetryAfter time.Duration // with 429 and 503
	Cause      error         // for the log only: what the store said; nil when the producer is to blame
}

func (r *Refusal) Error() string { return r.Message }
func (r *Refusal) Unwrap() error { return r.Cause }

// Refuse makes a Refusal.
func Refuse(status int, code, message string) *Refusal {
	return &Refusal{Status: status, Code: code, Message: message}
}

func limited(wait time.Duration, message string) *Refusal {
	return &Refusal{Status: 429, Code: "limited", Message: message, RetryAfter: wait}
}

// unavailable is the answer to whatever keeps an event from being made
// durable: a producer that is told 503 tries again, and nothing is lost.
func unavailable(err error) *Refusal {
	r := &Refusal{Status: 503, Code: "unavailable", Message: "the event could not be made durable", RetryAfter: time.Second, Cause: err}
	if u, ok := errors.AsType[*store.Unavailable](err); ok {
		r.Message, r.RetryAfter = u.Reason, u.After
	}
	return r
}

// Unreadable says why a body is no event.
func Unreadable(err error) *Refusal {
	if p, ok := errors.AsType[*event.ParseError](err); ok {
		return Refuse(400, p.Code, p.Message)
	}
	return Refuse(400, "invalid_json", err.Error())
}
