package httpstatus

import (
	"net/http"
	"testing"
	"time"
)

var now = time.Date(2026, 7, 1, 9, 12, 33, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	const most = 1<<63 - 1 - (1<<63-1)%time.Second
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"seconds", "120", 2 * time.Minute},
		{"none", "0", 0},
		{"padded", " 5\t", 5 * time.Second},
		{"leading zeros", "007", 7 * time.Second},
		{"with a sign", "+5", 5 * time.Second},
		{"negative", "-1", 0},
		{"smallest", "-9223372036854775808", 0},
		{"largest that fits", "9223372036", 9223372036 * time.Second},
		{"overflows a Duration", "9223372037", most},
		{"overflows to something small", "18446744074", most},
		{"largest int64", "9223372036854775807", most},
		{"beyond int64", "99999999999999999999999", most},
		{"fraction", "1.5", 0},
		{"exponent", "1e3", 0},
		{"hexadecimal", "0x10", 0},
		{"unit", "5s", 0},
		{"not a number", "NaN", 0},
		{"list", "5, 6", 0},
		{"other digits", "\u0665", 0},
		{"empty", "", 0},
		{"word", "soon", 0},
		{"date", "Wed, 01 Jul 2026 09:13:33 GMT", time.Minute},
		{"date of RFC 850", "Wednesday, 01-Jul-26 09:13:33 GMT", time.Minute},
		{"date of asctime", "Wed Jul  1 09:13:33 2026", time.Minute},
		{"date now", "Wed, 01 Jul 2026 09:12:33 GMT", 0},
		{"date in the past", "Wed, 01 Jul 2020 09:13:33 GMT", 0},
		{"date centuries ahead", "Fri, 31 Dec 9999 23:59:59 GMT", 1<<63 - 1},
		{"date of RFC 3339", "2026-07-01T09:13:33Z", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := RetryAfter(http.Header{"Retry-After": {c.value, "60"}}, now)
			if got != c.want || !ok {
				t.Errorf("%q: %v, %v; want %v", c.value, got, ok, c.want)
			}
		})
	}
	if got, ok := RetryAfter(http.Header{"Date": {"x"}}, now); got != 0 || ok {
		t.Errorf("no header: %v, %v", got, ok)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "-1", "9223372037", "Wed, 01 Jul 2026 09:13:33 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", ""} {
		f.Add(s, now.Unix())
	}
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		wait, ok := RetryAfter(http.Header{"Retry-After": {value}}, time.Unix(unix%(1<<40), 0))
		if wait < 0 || !ok {
			t.Errorf("%q asks for %v, %v", value, wait, ok)
		}
	})
}
