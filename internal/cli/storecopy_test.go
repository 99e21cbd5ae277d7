package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store/copying"
)

// TestACopySaysHowFarItIs: the rate is that of this run and phase, not of one that was interrupted. Without
// a terminal a line comes every half minute.
func TestACopySaysHowFarItIs(t *testing.T) {
	at := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	e := &env{err: &out, now: func() time.Time { return at }}
	c := &copyProgress{line: e.progress(), env: e}
	c.show(copying.Copying, copying.Progress{Deliveries: 1000, Total: 10_000}) // an earlier run has done these
	for _, n := range []int64{2000, 4000, 7000} {
		at = at.Add(15 * time.Second)
		c.show(copying.Copying, copying.Progress{Deliveries: n, Total: 10_000})
	}
	if got, want := out.String(), "copying: 4000 of 10000 deliveries, 100/s, 1m left\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for want, text := range map[string]string{
		"copying: 7000 of 10000 deliveries, 133/s, 23s left": c.text(copying.Progress{Deliveries: 7000, Total: 10_000}, 45*time.Second),
		"copying: 90 records":                                c.text(copying.Progress{Records: 90}, 0),
	} {
		if text != want {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	c.show(copying.Auditing, copying.Progress{Records: 5})
	if got, want := c.text(copying.Progress{Records: 70}, 3*time.Second), "counting every delivery again: 70 rows, 3s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestACopySaysAtOnceForWhomItWaits.
func TestACopySaysAtOnceForWhomItWaits(t *testing.T) {
	var out bytes.Buffer
	e := &env{err: &out}
	e.copyWaits(copying.Wait{Side: "PostgreSQL at db:5432/fantail", Daemons: []string{"fantail-0", "evil\x1b[2J"}, Most: 25 * time.Second})
	want := "2 daemons on PostgreSQL at db:5432/fantail: fantail-0, evil"
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Contains(got, "\x1b") || !strings.Contains(got, "Waiting up to 25s") {
		t.Errorf("said %q", got)
	}
}
