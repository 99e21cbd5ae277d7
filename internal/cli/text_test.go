package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const hostile = "a\x1b[31mb\r\n\tc\u009bd\u202ee\u2028f\x7fg\xffh\U000e0041ä"

func TestNothingFromOutsideReachesATerminalRaw(t *testing.T) {
	want := `a\x1b[31mb\r\n\tc\x9bd\u202ee\u2028f\x7fg\xffh\ue0041ä`
	if got := clean(hostile); got != want {
		t.Errorf("clean: %q, want %q", got, want)
	}
	if got := lines(hostile); got != strings.ReplaceAll(want, `\n\t`, "\n\t") {
		t.Errorf("lines: %q", got)
	}
	if got := clean("héllo 世界 🎉"); got != "héllo 世界 🎉" {
		t.Errorf("plain text was changed: %q", got)
	}
}

func TestJSONKeepsItsMeaningAndHoldsNothingRaw(t *testing.T) {
	var out strings.Builder
	e := &env{out: &out}
	if err := e.printJSON(map[string]string{"k<" + hostile: hostile}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(strings.TrimSuffix(out.String(), "\n"), func(r rune) bool { return hazard(r) && r != '\ufffd' }) {
		t.Errorf("raw: %q", out.String())
	}
	var back map[string]string
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil {
		t.Fatal(err)
	}
	want := strings.ToValidUTF8(hostile, "\ufffd")
	if back["k<"+want] != want {
		t.Errorf("read back %q", back)
	}
}

func TestSpansAndMoments(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 850 * time.Millisecond: "850ms", 12*time.Second + 999*time.Millisecond: "12s", 60 * time.Second: "1m",
		270 * time.Second: "4m30s", 18*time.Hour + 13*time.Minute: "18h13m", 76 * time.Hour: "3d4h", 48 * time.Hour: "2d", -time.Minute: "-1m",
	} {
		if got := span(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 850 * time.Millisecond: "850ms", 1949 * time.Millisecond: "1.9s", 2 * time.Second: "2s", 59960 * time.Millisecond: "59s", 61 * time.Second: "1m1s"} {
		if got := took(d); got != want {
			t.Errorf("%d: took %s, want %s", d, got, want)
		}
	}
	e := &env{now: func() time.Time { return testNow }}
	for _, tc := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, "-"},
		{testNow.Add(-3 * time.Minute).In(time.FixedZone("x", 7200)), "2026-07-01 11:57:00Z (3m ago)"},
		{testNow.Add(90 * time.Second), "2026-07-01 12:01:30Z (in 1m30s)"},
	} {
		if got := e.moment(tc.at); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
}

func TestWhen(t *testing.T) {
	for text, want := range map[string]time.Time{
		"6h": testNow.Add(-6 * time.Hour), "2d": testNow.Add(-48 * time.Hour), "1w2d3h": testNow.Add(-(9*24 + 3) * time.Hour), "90s": testNow.Add(-90 * time.Second),
		"0s": testNow, "2026-06-30": time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC), "2026-06-30T10:00:00+02:00": time.Date(2026, 6, 30, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := parseWhen(text, testNow); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-6h", "2d-1h", "1d1d", "6", "2026-13-01", "99999999d", "9999w9999d2000000h"} {
		if got, err := parseWhen(text, testNow); err == nil {
			t.Errorf("%q was read as %s", text, got)
		}
	}
}

func TestProgressIsALineOnATerminalAndNothingElsewhere(t *testing.T) {
	now := testNow
	var out strings.Builder
	e := &env{err: &out, errTerminal: true, now: func() time.Time { return now }}
	p := e.progress()
	for i := range 100 {
		p.show("sent %d%s", 100-i, strings.Repeat("x", 3*(i%2)))
		now = now.Add(20 * time.Millisecond)
	}
	if n := strings.Count(out.String(), "\r"); n != 10 {
		t.Errorf("drawn %d times in 2 s, want 10", n)
	}
	p.clear()
	if !strings.HasSuffix(out.String(), "\r"+strings.Repeat(" ", len("sent 10"))+"\r") {
		t.Errorf("not cleared: %q", out.String())
	}
	out.Reset()
	now = now.Add(time.Second)
	p.show("%s", strings.Repeat("y", 500)+hostile)
	if got := out.String(); len([]rune(got)) > 80 || strings.ContainsAny(got[1:], "\x1b\n\r") {
		t.Errorf("wraps or is not clean: %q", got)
	}
	p.clear()
	out.Reset()
	now = now.Add(time.Second)
	p.show("%s", strings.Repeat("\u65e5", 60))
	if n := width(strings.TrimPrefix(out.String(), "\r")); n > 78 {
		t.Errorf("wraps: %d columns", n)
	}
	out.Reset()
	e.errTerminal = false
	p = e.progress()
	p.show("x")
	p.clear()
	if err := p.during("x", func() error { return errSilent }); err != errSilent || out.Len() > 0 {
		t.Errorf("%v, wrote %q without a terminal", err, out.String())
	}
}
