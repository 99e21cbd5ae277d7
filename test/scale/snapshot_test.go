package scale

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Somebody holds a snapshot, as pg_dump does, and nothing that dies meanwhile can be swept up (T11). What a daemon
// reads of what is pending passes over none of it: how many entries of the index a scan returns does not grow with
// what is dead. A metric says how old the snapshot is and of what kind its holder.
func TestAHeldSnapshotIsPassedOver(t *testing.T) {
	f := newFleet(t, 2, "shutdown_delay: 0s\n", nil)
	c := f.connect("test")
	l := newLoad(t, 6, f.urls()...)
	l.more(t, 200)
	alone := l.rate(t)
	end := f.hold("pg_dump")
	var first, last float64
	for i := range 1 + rounds(2) {
		// What waits for a destination that is away is tried again and again: each time one dead row more.
		before := readPending(t, c)
		f.sink.set(true)
		l.more(t, 300)
		f.sink.set(false)
		until(t, time.Minute, "the backlog is delivered", func() bool { return f.pending() < 50 })
		l.more(t, 300)
		entries := readPending(t, c).per(before)
		if last = entries; i == 0 {
			first = entries
		}
		t.Logf("a scan of what is pending returns %.1f entries; %d dead rows", entries, ask[int64](t, c, "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'pending'"))
	}
	if last > 2*first+100 {
		t.Errorf("a scan returned %.1f entries at first and %.1f at the end", first, last)
	}
	if rounds(0) > 0 { // a figure of a machine that does other things decides nothing in CI
		t.Logf("%.0f events a second without the snapshot, %.0f with it", alone, l.rate(t))
	}
	f.daemons[1].stop()
	f.daemons[1].start() // which looks at the database at once
	until(t, 2*time.Minute, "the metric says how old the snapshot is", func() bool {
		return f.daemons[1].figure(`fantail_oldest_snapshot_transactions{of="session"}`) > 100
	})
	end()
	f.settle(l.end(), nil, 0)
}

// rate is how many events a second are acknowledged now.
func (l *load) rate(t *testing.T) float64 {
	t.Helper()
	n := 300
	if rounds(0) > 0 {
		n = 5000
	}
	began := time.Now()
	l.more(t, n)
	return float64(n) / time.Since(began).Seconds()
}

// reads are what was read of what is pending so far.
type reads struct{ scans, entries int64 }

func readPending(t *testing.T, c *pgx.Conn) (r reads) {
	t.Helper()
	const sql = "SELECT sum(idx_scan)::bigint, sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE indexrelname = 'pending_queue'"
	if err := c.QueryRow(t.Context(), sql).Scan(&r.scans, &r.entries); err != nil {
		t.Fatal(err)
	}
	return r
}

// per is how many entries a scan returned since then.
func (r reads) per(before reads) float64 {
	return float64(r.entries-before.entries) / float64(max(r.scans-before.scans, 1))
}
