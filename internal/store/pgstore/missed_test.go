package pgstore

import (
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// TestWhatAnotherDaemonLostIsNotCounted: a crash of the database behind a pooler breaks no connection of this
// daemon. The other one's last commit is taken back here as such a crash does it.
func TestWhatAnotherDaemonLostIsNotCounted(t *testing.T) {
	t.Parallel()
	url := freshDatabase(t)
	a, b := openAt(t, url, longLease), openAt(t, url, longLease)
	dest := register(t, a)
	it := appendOne(t, a, entryTo(`{"n":1}`, dest)).Items[0]
	before := store.Counts{Accepted: 1, Pending: 1, PendingBytes: int64(it.Size)}
	eventually(t, "the other daemon has read of the event", func() bool { return b.Counts(dest) == before })
	if _, err := a.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered, Attempts: 1}}); err != nil {
		t.Fatal(err)
	}
	after := store.Counts{Accepted: 1, Delivered: 1}
	eventually(t, "the other daemon has read of the outcome", func() bool { return b.Counts(dest) == after })
	c := connectTo(t, url)
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO fantail.pending (event, dest, day, ordering, size, slot, replay, settings, due, changed, version, round, attempts)
			SELECT event, dest, day, ordering, size, slot, replay, 0, changed, changed, 1, round, 0 FROM fantail.done`,
		`DELETE FROM fantail.done`,
		`DELETE FROM fantail.tally t WHERE delivered = '{1}'`,
	} {
		if tag, err := tx.Exec(ctx, sql); err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("%s: %v, %v", sql, tag, err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both count what is there", func() bool { return a.Counts(dest) == before && b.Counts(dest) == before })
	// It is missed once, and what comes after counts on.
	if _, err := a.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered, Attempts: 1}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what comes after counts", func() bool { return a.Counts(dest) == after && b.Counts(dest) == after })
}
