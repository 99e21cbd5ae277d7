package webhook

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

const (
	// excerptSize is what the log keeps of an answer.
	excerptSize = 1 << 10
	// drainSize is how much more of a compressed answer is read to find what is kept.
	drainSize = 64 << 10
	// answerWait is how long an answer's body may take once its status is
	// known: nothing depends on it, and an endless one must not hold a slot.
	answerWait = 2 * time.Second
	// maxErrorText bounds error texts, which may quote the far side.
	maxErrorText = 500
)

// errUnread says that the attempt's time was up before the far side had taken
// the body, whatever it answered.
var errUnread = errors.New("and did not take the rest in time")

// excerpt reads what the log keeps of an answer.
func (w *webhook) excerpt(a *exchange.Answer) string {
	limit := excerptSize + w.scrub.Longest()
	read, err := io.ReadAll(io.LimitReader(a, int64(limit)))
	if text, ok := unzipped(a, read, err == nil && len(read) == limit, limit); ok {
		read = text
	}
	return w.scrub.Excerpt(string(read), excerptSize)
}

// unzipped returns at most limit bytes of an answer that is compressed though
// nobody asked for it; begin is how it begins, and more tells that it goes on.
func unzipped(a *exchange.Answer, begin []byte, more bool, limit int) ([]byte, bool) {
	if len(begin) < 3 || begin[0] != 0x1f || begin[1] != 0x8b {
		return nil, false
	}
	whole := io.Reader(bytes.NewReader(begin))
	if more {
		whole = io.MultiReader(whole, io.LimitReader(a, drainSize))
	}
	z, err := gzip.NewReader(whole)
	if err != nil {
		return nil, false
	}
	text, _ := io.ReadAll(io.LimitReader(z, int64(limit)))
	return text, len(text) > 0
}

// classify is the webhook's outcome table. An endpoint that answers 401 or 404
// today is often mended tomorrow, and the schedule is long enough to wait for
// it: nothing is given up or held but for what the settings say of 410.
func (w *webhook) classify(code int, header func() http.Header, now time.Time) error {
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
		if wait, asked := retryafter.Parse(header().Get("Retry-After"), now); asked {
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
		if !errors.Is(err, errUnread) {
			text = "no answer in time"
		}
		err = errors.Join(ctx.Err(), err)
	default:
		text, err = "the attempt was cancelled", errors.Join(ctx.Err(), err)
	}
	text = w.scrub.Excerpt(text, maxErrorText)
	return &attemptError{fmt.Sprintf("post to %s: %s", w.url.Host, text), err}
}

// attemptError has a safe text and can be asked what it is, but hands out no
// error that it was made of: their texts are not safe.
type attemptError struct {
	text  string
	cause error
}

func (e *attemptError) Error() string        { return e.text }
func (e *attemptError) Is(target error) bool { return errors.Is(e.cause, target) }
