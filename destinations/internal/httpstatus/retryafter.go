// Package httpstatus reads what HTTP answers say about trying again.
package httpstatus

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter returns the wait that a Retry-After header asks for (RFC 9110,
// 10.2.3: whole seconds or an HTTP date), counted from now. The bool tells
// whether there is such a header at all. A value that makes no sense, is
// negative or in the past asks for 0, and one beyond what a Duration holds for
// as long as that: how long a wait may be is for the engine to say.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	values := h["Retry-After"]
	if len(values) == 0 {
		return 0, false
	}
	text := strings.Trim(values[0], " \t")
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(max(seconds, 0), int64(math.MaxInt64/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, true
}
