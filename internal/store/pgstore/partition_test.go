package pgstore

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// connectTo returns a connection that ends with the test.
func connectTo(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

const attached = `SELECT count(*)::int FROM pg_inherits WHERE inhrelid = to_regclass($1) AND NOT inhdetachpending`

// TestPartitionsAreMadeBesideWhoHoldsTheTable (T19): a long reader does not keep them from being made. Whoever
// holds a lock that does, such as a vacuum, is waited for, again and again, and nobody waits behind that.
func TestPartitionsAreMadeBesideWhoHoldsTheTable(t *testing.T) {
	t.Parallel()
	url := freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	eventually(t, "the partitions of the next days", func() bool { return s.days.has(event.DayOf(time.Now()) + ahead) })
	appendOne(t, s, entryTo(`{}`, dest))
	day := event.DayOf(time.Now()) + 100
	name := func(day event.Day) string { return partition("event", day) }

	reader := connectTo(t, url)
	if _, err := reader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM fantail.event"); err != nil {
		t.Fatal(err)
	}
	if err := s.days.make(s, []int32{int32(day)}); err != nil {
		t.Fatalf("beside a reader: %v", err)
	}
	holder := connectTo(t, url)
	tx, err := holder.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "LOCK TABLE fantail.event IN SHARE UPDATE EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	made := make(chan error, 1)
	go func() { made <- s.days.make(s, []int32{int32(day) + 1}) }()
	var tries []int
	eventually(t, "the lock is waited for a second time", func() bool {
		began := ask[int](t, url, `SELECT coalesce(max((extract(epoch FROM query_start) * 1000000)::bigint), 0) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%ATTACH PARTITION%' AND pid <> pg_backend_pid()`)
		if began > 0 && !slices.Contains(tries, began) {
			tries = append(tries, began)
		}
		return len(tries) >= 2
	})
	appendOne(t, s, entryTo(`{}`, dest)) // today's are there
	if n := ask[int](t, url, attached, name(day+1)); n != 0 {
		t.Errorf("%d partitions are attached while another holds the table", n)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil { // its tries were over first: the next call, a minute later, makes them
		t.Log(err)
		if err := s.days.make(s, []int32{int32(day) + 1}); err != nil {
			t.Errorf("after the lock was let go: %v", err)
		}
	}
	for d := range event.Day(2) {
		if n := ask[int](t, url, attached, name(day+d)); n != 1 {
			t.Errorf("%s: %d", name(day+d), n)
		}
	}
}

// TestADayIsDroppedBehindALongReader (T19): retention waits for the reader no longer than it has patience, keeps
// nobody else waiting, and goes on where it was when it is called again.
func TestADayIsDroppedBehindALongReader(t *testing.T) {
	t.Parallel()
	url := freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	eventually(t, "the partitions of the next days", func() bool { return s.days.has(event.DayOf(time.Now()) + ahead) })
	old := time.Now().AddDate(0, 0, -40)
	day := event.DayOf(old)
	ended(t, s, old, 3, dest)
	reader := connectTo(t, url)
	tx, err := reader.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		t.Helper()
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM fantail.body").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 3 {
		t.Fatalf("the reader sees %d bodies", n)
	}
	keep := store.Retention{Events: 30 * 24 * time.Hour, Attempts: 30 * 24 * time.Hour}
	done := make(chan error, 1)
	go func() {
		_, err := s.Retain(ctx, time.Now(), keep, nil)
		done <- err
	}()
	eventually(t, "the partition is being detached", func() bool {
		return ask[bool](t, url, `SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1) AND inhdetachpending)`, partition("body", day))
	})
	// Nobody waits behind it: events are taken, lists are read, also by who reads all days.
	appendOne(t, s, entryTo(`{"n":2}`, dest))
	if page, err := s.Events(ctx, store.EventQuery{Limit: 10}); err != nil || len(page.Items) == 0 {
		t.Errorf("events beside a removal that waits: %+v, %v", page, err)
	}
	if n := count(); n != 3 {
		t.Errorf("the reader's snapshot has %d bodies now", n)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("a day was removed from under a reader")
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("retention waits for ever")
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next call removes the day", func() bool {
		_, err := s.Retain(ctx, time.Now(), keep, nil)
		if err != nil {
			t.Logf("retain: %v", err)
		}
		return err == nil
	})
	for _, table := range partitioned {
		if ask[bool](t, url, "SELECT to_regclass($1) IS NOT NULL", partition(table, day)) {
			t.Errorf("%s is there", partition(table, day))
		}
	}
}

// TestStatisticsAreGathered (T19): the server gathers none of partitioned tables by itself.
func TestStatisticsAreGathered(t *testing.T) {
	t.Parallel()
	url := freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	ended(t, s, time.Now(), 1000, dest)
	if err := s.analyze(); err != nil {
		t.Fatal(err)
	}
	for _, table := range partitioned {
		if n := ask[int](t, url, "SELECT count(*)::int FROM pg_stats WHERE schemaname = 'fantail' AND tablename = $1 AND inherited", table); n == 0 {
			t.Errorf("nothing is known of all days of %s", table)
		}
	}
}
