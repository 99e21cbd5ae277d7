package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

const (
	// excerptSize is what the log keeps of an answer.
	excerptSize = 1 << 10
	// drainSize is how much more is read so that the connection can be used
	// again. Beyond it a new connection is cheaper.
	drainSize = 64 << 10
	// answerWait is how long an answer's body may take once its status is
	// known: nothing depends on it, and an endless one must not hold a slot.
	answerWait = 2 * time.Second
	// maxErrorText bounds error texts, which may quote the far side.
	maxErrorText = 500
)

// exchange notes which connection an attempt used.
type exchange struct {
	conn  net.Conn
	hooks httptrace.ClientTrace
}

func (x *exchange) trace() *httptrace.ClientTrace {
	x.hooks.GotConn = func(i httptrace.GotConnInfo) { x.conn = i.Conn }
	return &x.hooks
}

func (x *exchange) remote() string {
	if x.conn == nil {
		return ""
	}
	return x.conn.RemoteAddr().String()
}

// answer reads what the log keeps and a little more, then closes the body.
func (w *webhook) answer(resp *http.Response, cancel context.CancelFunc) string {
	defer resp.Body.Close()
	if resp.ContentLength == 0 {
		return ""
	}
	stop := time.AfterFunc(answerWait, cancel)
	defer stop.Stop()
	limit := int64(excerptSize + w.scrub.Longest())
	if known := resp.ContentLength; known > 0 {
		limit = min(limit, known)
	}
	read := make([]byte, limit)
	n, err := io.ReadFull(resp.Body, read)
	if err == nil && resp.ContentLength <= drainSize { // -1: unknown
		_, _ = io.CopyN(io.Discard, resp.Body, drainSize)
	}
	return w.scrub.Excerpt(string(read[:n]), excerptSize)
}

// classify is the webhook's outcome table. An endpoint that answers 401 or 404
// today is often mended tomorrow, and the schedule is long enough to wait for
// it: nothing is given up or held but for what the settings say of 410.
func (w *webhook) classify(resp *http.Response, now time.Time) error {
	code := resp.StatusCode
	if code >= 200 && code <= 299 {
		return nil
	}
	// The far side's own reason phrase is not repeated: it may say anything.
	err := fmt.Errorf("answered %d %s", code, http.StatusText(code))
	switch {
	case code >= 300 && code <= 399:
		return fmt.Errorf("%w: redirects are not followed, set url to where it leads", err)
	case code == http.StatusGone && w.hold:
		return destination.Misconfigure(err)
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		if wait, asked := retryafter.Parse(resp.Header.Get("Retry-After"), now); asked {
			return destination.Throttle(err, wait)
		}
	}
	return err
}

// failure words an attempt without an answer. The guard's refusal passes as it
// is. Everything else is transient, and its text holds neither the URL, whose
// path and query may be credentials, nor this machine's addresses.
func (w *webhook) failure(ctx context.Context, err error) error {
	if f, ok := errors.AsType[*destination.Fault](err); ok {
		return f
	}
	text := err.Error()
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op != "dial" {
		text = e.Op + ": " + e.Err.Error() // the library's text has our own address in it
		if s, ok := errors.AsType[*os.SyscallError](e.Err); ok {
			text = e.Op + ": " + s.Err.Error()
		}
	}
	switch ctx.Err() {
	case nil:
	case context.DeadlineExceeded:
		text, err = "no answer in time", errors.Join(ctx.Err(), err)
	default:
		text, err = "the attempt was cancelled", errors.Join(ctx.Err(), err)
	}
	text = w.scrub.Excerpt(text, maxErrorText)
	return &attemptError{fmt.Sprintf("post to %s: %s", w.request.URL.Host, text), err}
}

// attemptError has a safe text and can be asked what it is, but hands out no
// error that it was made of: their texts are not safe.
type attemptError struct {
	text  string
	cause error
}

func (e *attemptError) Error() string        { return e.text }
func (e *attemptError) Is(target error) bool { return errors.Is(e.cause, target) }
