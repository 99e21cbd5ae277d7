package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// call is one request with who made it. It is the http.ResponseWriter too and
// knows whether an answer has begun.
type call struct {
	http.ResponseWriter
	r     *http.Request
	who   *principal
	query query
	body  arriving // once it is read
	wrote bool

	operation string                 // its name
	act       *store.Act             // what it is for the trail; nil: nothing
	partly    bool                   // it is refused, and changed something
	idle      bool                   // it turned out to change nothing
	person    string                 // a user whom the path names: no act may
	refused   string                 // the code of the refusal
	before    func(status int) error // notes the act; an error is answered in place of what follows
	muted     bool                   // it was, and nothing of what follows is sent
}

// Unwrap is for http.ResponseController.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *call) WriteHeader(status int) {
	if c.muted {
		return
	}
	if before := c.before; before != nil {
		c.before = nil
		if err := before(status); err != nil {
			c.sayInstead(refusal(err))
			return
		}
	}
	c.wrote = true
	c.ResponseWriter.WriteHeader(status)
}

func (c *call) Write(b []byte) (int, error) {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
	if c.muted {
		return len(b), nil
	}
	return c.ResponseWriter.Write(b)
}

// sayInstead answers r in place of whatever the handler says.
func (c *call) sayInstead(r *ingest.Refusal) {
	h := c.Header()
	h.Del("Content-Length")
	h.Set("Retry-After", seconds(r.RetryAfter))
	_ = c.json(r.Status, problem{problemText{r.Code, r.Message}}) // two strings always marshal
	c.muted = true
}

// send answers with b.
func (c *call) send(status int, contentType []string, b []byte) {
	// A small answer fits the socket's buffer and needs no deadline.
	if len(b) > 32<<10 {
		// Not every writer has deadlines (a test's recorder has none).
		_ = http.NewResponseController(c.ResponseWriter).SetWriteDeadline(time.Now().Add(payload.Patience(int64(len(b)))))
	}
	h := c.Header()
	h["Content-Type"] = contentType
	if len(b) > 1<<10 {
		h["Content-Length"] = []string{strconv.Itoa(len(b))} // the server adds it to what is short
	}
	c.WriteHeader(status)
	_, _ = c.Write(b) // the client may have gone: there is nobody to tell
}

// json answers with v.
func (c *call) json(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.send(status, asJSON, append(b, '\n'))
	return nil
}

// problem is the body of every error.
type problem struct {
	Error problemText `json:"error"`
}

type problemText struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func refuse(status int, code, message string) *ingest.Refusal {
	return ingest.Refuse(status, code, message)
}

func notFound(message string) *ingest.Refusal { return refuse(404, "not_found", message) }

// refusal translates whatever went wrong into an answer.
func refusal(err error) *ingest.Refusal {
	if r, ok := errors.AsType[*ingest.Refusal](err); ok {
		return r
	}
	if u, ok := errors.AsType[*store.Unavailable](err); ok {
		return &ingest.Refusal{Status: 503, Code: "unavailable", Message: u.Reason, RetryAfter: u.After, Cause: err}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notFound("there is no such thing, or it is gone")
	case errors.Is(err, store.ErrCursor):
		return refuse(400, "invalid_cursor", "the cursor was not made by this list")
	case errors.Is(err, store.ErrConflict):
		return refuse(409, "conflict", "the change does not apply to the state it is in")
	case errors.Is(err, event.ErrNoPayload):
		return notFound("there is no such payload")
	case errors.Is(err, payload.ErrGone):
		return notFound("the payload is gone: it is older than retention.payloads")
	case errors.Is(err, destination.ErrEngine):
		return &ingest.Refusal{Status: 503, Code: "unavailable", Message: "the payload store does not work now", RetryAfter: 10 * time.Second, Cause: err}
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrFenced), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &ingest.Refusal{Status: 503, Code: "unavailable", Message: "the daemon cannot answer now", RetryAfter: time.Second, Cause: err}
	}
	return &ingest.Refusal{Status: 500, Code: "internal", Message: "internal error", Cause: err}
}

// unexpected tells whether a refusal hides something that an operator must
// see. What the stores say of themselves is in readyz and the metrics already, and
// a line per refused request would bury it.
func unexpected(r *ingest.Refusal) bool {
	if r.Status < 500 || r.Cause == nil {
		return false
	}
	if _, ok := errors.AsType[*store.Unavailable](r.Cause); ok {
		return false
	}
	for _, known := range []error{destination.ErrEngine, store.ErrClosed, store.ErrFenced, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(r.Cause, known) {
			return false
		}
	}
	return true
}

// explain returns the refusal that err comes to and the message to show. What
// an operator must see goes to the log.
func (a *API) explain(c *call, err error) (*ingest.Refusal, string) {
	r := refusal(err)
	a.counts.bounded(r.Code)
	if !unexpected(r) {
		return r, r.Message
	}
	id := rand.Text()
	a.Log.Error("request failed", "request", id, "method", c.r.Method, "path", c.r.URL.Path, "error", r.Cause)
	return r, r.Message + "; the log has it under " + id
}

// fail answers with an error, unless an answer has begun.
func (a *API) fail(c *call, err error) {
	r, message := a.explain(c, err)
	c.refused = r.Code
	if c.wrote {
		return
	}
	if r.Status == 429 || r.Status == 503 {
		c.Header().Set("Retry-After", seconds(r.RetryAfter))
	}
	_ = c.json(r.Status, problem{problemText{r.Code, message}}) // two strings always marshal
}

// seconds returns d in whole seconds, rounded up, at least 1: a client that waits as
// told must not come too early.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((max(d, 1)+time.Second-1)/time.Second), 10)
}

// rescue answers for a handler that panicked.
func (a *API) rescue(c *call) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	id := rand.Text()
	a.Log.Error("request panicked", "request", id, "method", c.r.Method, "path", c.r.URL.Path, "panic", v, slog.String("stack", string(debug.Stack())))
	if c.wrote {
		// Half an answer must not look like a whole one.
		panic(http.ErrAbortHandler)
	}
	c.refused = "internal"
	_ = c.json(500, problem{problemText{"internal", "internal error; the log has it under " + id}})
}
