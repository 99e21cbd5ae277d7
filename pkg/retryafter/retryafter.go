// Package retryafter reads how long an HTTP server asks to be left alone, by
// one rule for every kind of destination.
package retryafter

import (
	"net/http"
	"strings"
	"time"
)

// Max is the longest wait that is believed. What asks for more does not mean a
// wait: seconds of the epoch, milliseconds, a date of a wrong clock.
const Max = 24 * time.Hour

// layouts are the forms of a date that servers write, besides those of RFC 9110.
var layouts = []string{time.RFC1123Z, "Mon, 02 Jan 2006 15:04:05 UTC", time.RFC3339}

// Parse returns the wait that the value of a Retry-After header asks for (RFC
// 9110, 10.2.3: seconds or a date), counted from now. Fractions of seconds and
// dates with an offset are read as well. The bool tells whether the header asks
// for anything: an empty value does not. What cannot be read, lies in the past
// or is beyond [Max] asks for 0.
func Parse(value string, now time.Time) (time.Duration, bool) {
	text := strings.Trim(value, " \t")
	if text == "" {
		return 0, false
	}
	if strings.Trim(text, "+.0123456789") == "" { // no sign of less, no unit, no exponent
		wait, err := time.ParseDuration(text + "s")
		if err != nil {
			return 0, true
		}
		return Believed(wait), true
	}
	at, err := http.ParseTime(text)
	for i := 0; err != nil && i < len(layouts); i++ {
		at, err = time.Parse(layouts[i], text)
	}
	if err != nil {
		return 0, true
	}
	return Believed(at.Sub(now)), true
}

// Believed returns wait, or 0 where it cannot be meant: it is negative or
// beyond [Max].
func Believed(wait time.Duration) time.Duration {
	if wait < 0 || wait > Max {
		return 0
	}
	return wait
}
