package retryafter

import (
	"math"
	"testing"
	"time"
)

var now = time.Date(2026, 7, 1, 9, 12, 33, 0, time.UTC)

func TestParse(t *testing.T) {
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
		{"a day", "86400", 24 * time.Hour},
		{"a date in UTC by that name", "Wed, 01 Jul 2026 09:13:33 UTC", time.Minute},
		{"more than a day", "86401", 0},
		{"seconds of the epoch", "1764489600", 0},
		{"milliseconds of the epoch", "1764489600000", 0},
		{"overflows a Duration", "9223372037", 0},
		{"overflows to something small", "18446744074", 0},
		{"beyond int64", "99999999999999999999999", 0},
		{"fraction", "2.5", 2500 * time.Millisecond},
		{"fraction of less than a second", ".25", 250 * time.Millisecond},
		{"fraction over a day", "86400.5", 0},
		{"fine fraction", "1.0000000000000000000000001", time.Second},
		{"two points", "1.5.2", 0},
		{"a point", ".", 0},
		{"two signs", "++5", 0},
		{"exponent", "1e3", 0},
		{"hexadecimal", "0x10", 0},
		{"unit", "5s", 0},
		{"not a number", "NaN", 0},
		{"list", "5, 6", 0},
		{"other digits", "\u0665", 0},
		{"word", "soon", 0},
		{"date", "Wed, 01 Jul 2026 09:13:33 GMT", time.Minute},
		{"date of RFC 850", "Wednesday, 01-Jul-26 09:13:33 GMT", time.Minute},
		{"date of asctime", "Wed Jul  1 09:13:33 2026", time.Minute},
		{"date with an offset", "Wed, 01 Jul 2026 11:13:33 +0200", time.Minute},
		{"date with an offset to the west", "Wed, 01 Jul 2026 01:13:33 -0800", time.Minute},
		{"date of RFC 3339", "2026-07-01T11:13:33.5+02:00", time.Minute + 500*time.Millisecond},
		{"date with the name of a zone", "Wed, 01 Jul 2026 11:13:33 CEST", 0}, // names do not say which offset is meant
		{"date now", "Wed, 01 Jul 2026 09:12:33 GMT", 0},
		{"date in the past", "Wed, 01 Jul 2020 09:13:33 GMT", 0},
		{"date in a day", "Thu, 02 Jul 2026 09:12:33 GMT", 24 * time.Hour},
		{"date in more than a day", "Thu, 02 Jul 2026 09:12:34 GMT", 0},
		{"date centuries ahead", "Fri, 31 Dec 9999 23:59:59 GMT", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, asked := Parse(c.value, now)
			if got != c.want || !asked {
				t.Errorf("%q: %v, %v; want %v", c.value, got, asked, c.want)
			}
		})
	}
	for _, empty := range []string{"", " \t"} {
		if got, asked := Parse(empty, now); got != 0 || asked {
			t.Errorf("%q: %v, %v", empty, got, asked)
		}
	}
}

func TestWhatCannotBeMeantIsNotBelieved(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		0: 0, 1: 1, Max: Max, Max + 1: 0, -1: 0, math.MaxInt64: 0, math.MinInt64: 0,
	} {
		if got := Believed(wait); got != want {
			t.Errorf("%v: %v, want %v", wait, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"120", "-1", "2.5", "9223372037", "Wed, 01 Jul 2026 09:13:33 GMT", "Wed, 01 Jul 2026 11:13:33 +0200", "2026-07-01T11:13:33+02:00", ""} {
		f.Add(s, now.Unix())
	}
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		wait, asked := Parse(value, time.Unix(unix%(1<<40), 0))
		if wait < 0 || wait > Max || wait > 0 && !asked {
			t.Errorf("%q asks for %v, %v", value, wait, asked)
		}
	})
}
