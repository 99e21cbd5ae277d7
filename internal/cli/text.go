package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// clean makes text from outside safe for a terminal and fit for one cell of a
// table: what could move the cursor, change colours or reorder the line is
// shown as an escape.
func clean(s string) string { return escape(s, "") }

// lines is clean for text of several lines.
func lines(s string) string { return escape(s, "\n\t") }

func escape(s, keep string) string {
	if !strings.ContainsFunc(s, hazard) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !hazard(r) || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// hazard tells whether a terminal may act on r instead of showing it. Those are control characters
// of both sets, format characters (bidirectional overrides, joiners, tags), line separators, and
// bytes that are not UTF-8.
func hazard(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// span is a duration for people: 850ms, 12s, 4m30s, 18h13m, 3d4h.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(-d)
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return pair(d, time.Minute, "m", time.Second, "s")
	case d < 48*time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "m")
	default:
		return pair(d, 24*time.Hour, "d", time.Hour, "h")
	}
}

// took is span for something that is done, in tenths of a second: a rate beside it is computed from
// the same tenths.
func took(d time.Duration) string {
	if tenths := d.Round(100 * time.Millisecond); tenths >= time.Second && tenths < time.Minute {
		return tenths.String()
	}
	return span(d)
}

// about is span with its largest unit alone.
func about(d time.Duration) string {
	switch {
	case d < 0 || d < time.Minute:
		return span(d)
	case d < time.Hour:
		return span(d.Truncate(time.Minute))
	case d < 48*time.Hour:
		return span(d.Truncate(time.Hour))
	}
	return span(d.Truncate(24 * time.Hour))
}

func pair(d, unit time.Duration, name string, sub time.Duration, subname string) string {
	if rest := d % unit / sub; rest > 0 {
		return fmt.Sprintf("%d%s%d%s", d/unit, name, rest, subname)
	}
	return fmt.Sprintf("%d%s", d/unit, name)
}

// moment is a time for people: absolute, and how far from now. "-" for none.
func (e *env) moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	at := t.UTC().Format("2006-01-02 15:04:05Z")
	if d := e.now().Sub(t); d >= 0 {
		return fmt.Sprintf("%s (%s ago)", at, span(d))
	} else {
		return fmt.Sprintf("%s (in %s)", at, span(-d))
	}
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// or returns s, or instead when it is empty.
func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}
