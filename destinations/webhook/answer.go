package webhook

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	// excerptSize is what the log keeps of an answer.
	excerptSize = destination.MaxAnswer
	// drainSize is how much more of a compressed answer is read to find what is kept.
	drainSize = 64 << 10
	// answerWait is how long an answer's body may take once its status is
	// known: nothing depends on it, and an endless one must not hold a slot.
	answerWait = 2 * time.Second
)

// excerpt reads what the log keeps of an answer.
func excerpt(a *exchange.Answer, scrub *secret.Scrubber) string {
	limit := excerptSize + scrub.Longest()
	read, err := io.ReadAll(io.LimitReader(a, int64(limit)))
	if text, ok := unzipped(a, read, err == nil && len(read) == limit, limit); ok {
		read = text
	}
	return scrub.Excerpt(string(read), excerptSize)
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
	err := errors.New(strings.TrimSpace(fmt.Sprintf("answered %d %s", code, http.StatusText(code))))
	switch {
	case code == http.StatusNotModified: // it leads nowhere
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

// failure words an attempt without an answer. It names neither path nor query,
// which may be credentials.
func (w *webhook) failure(ctx context.Context, err error, scrub *secret.Scrubber) error {
	return fault.Unanswered(ctx, "post to "+w.url.Host, err, scrub)
}
