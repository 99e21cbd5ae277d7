package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

// Error is a refusal of the daemon.
type Error struct {
	Status     int           // HTTP status; in a batch that of one line
	Code       string        // stable: "unknown_developer", "invalid_json"...; "" when the answer was not the API's
	Message    string        // for people; text from the wire
	RetryAfter time.Duration // what the daemon asked to wait; 0 when it did not
}

func (e *Error) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("%d: %s", e.Status, e.Message)
	}
	return fmt.Sprintf("%s (%s)", e.Message, e.Code)
}

// Temporary tells whether the daemon asks to try again later, 429 and 503, or is away: the 502 and 504 of
// a proxy in front of it.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return e.Code == ""
	}
	return false
}

// IsNotFound tells whether err says that what was asked for does not exist.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound
}

// Refused is an *Error of a change of settings, with what is wrong with them, or
// with what would have been, or was, done.
type Refused struct {
	Err    *Error
	Faults []DocumentFault
	Plan   []Step
	Notes  []string
}

func (r *Refused) Error() string { return r.Err.Error() }
func (r *Refused) Unwrap() error { return r.Err }

// readError makes an *Error of an answer that is not 2xx.
func readError(res *http.Response) error {
	e := &Error{Status: res.StatusCode}
	e.RetryAfter, _ = retryafter.Parse(res.Header.Get("Retry-After"), time.Now())
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	var body struct {
		Error  struct{ Code, Message string }
		Faults []DocumentFault
		Plan   []Step
		Notes  []string
	}
	if json.Unmarshal(b, &body) == nil && body.Error.Code != "" {
		e.Code, e.Message = body.Error.Code, body.Error.Message
		if body.Faults != nil || body.Plan != nil || body.Notes != nil {
			return &Refused{e, body.Faults, body.Plan, body.Notes}
		}
		return e
	}
	e.Message = strings.TrimSpace(string(b[:min(len(b), 200)]))
	if e.Message == "" || strings.HasPrefix(e.Message, "<") {
		e.Message = http.StatusText(res.StatusCode)
	}
	return e
}
