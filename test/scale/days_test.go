package scale

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// dayTables have a partition for each day.
var dayTables = []string{"event", "body", "done", "attempt"}

// day is the number of a day in the store, and what its partitions end in.
func day(at time.Time) (n int64, suffix string) {
	return at.Unix() / 86400, at.UTC().Format("20060102")
}

func (f *fleet) connect(name string) *pgx.Conn {
	f.t.Helper()
	c, err := pgx.Connect(f.t.Context(), f.server.DSN+"&application_name="+name)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func ask[T any](t *testing.T, c *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// hold opens a transaction that sees one moment for as long as it lasts, as pg_dump does.
func (f *fleet) hold(name string) (end func()) {
	f.t.Helper()
	c := f.connect(name)
	if _, err := c.Exec(f.t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM fantail.event; SELECT count(*) FROM fantail.pending"); err != nil {
		f.t.Fatal(err)
	}
	return func() { c.Close(context.Background()) }
}

// Days that are over retention are dropped and days to come are made while somebody reads for long, as pg_dump
// does (T19). Nobody waits for that reader but the dropping itself, which goes on once the reader is gone.
func TestDaysComeAndGoBesideALongReader(t *testing.T) {
	f := layOut(t, servers.PrivatePostgres(t), 2, shape{more: "shutdown_delay: 0s\nretention: { events: 72h, attempts: 72h }\n"})
	f.migrate()
	c := f.connect("test")
	partitions := func(at time.Time) int {
		_, suffix := day(at)
		return ask[int](t, c, "SELECT count(*)::int FROM pg_class WHERE relname ~ ('^(event|body|done|attempt)_' || $1::text || '$')", suffix)
	}
	end := f.hold("pg_dump")
	for _, d := range f.daemons {
		d.start()
	}
	l := newLoad(t, 4, f.urls()...)
	l.more(t, 100)
	until(t, 2*time.Minute, "the days to come are made", func() bool { return partitions(time.Now().AddDate(0, 0, 3)) == len(dayTables) })
	old := time.Now().AddDate(0, 0, -40)
	n, suffix := day(old)
	for _, table := range dayTables {
		sql := fmt.Sprintf("CREATE TABLE fantail.%[1]s_%[2]s (LIKE fantail.%[1]s INCLUDING DEFAULTS INCLUDING STORAGE);"+
			"ALTER TABLE fantail.%[1]s ATTACH PARTITION fantail.%[1]s_%[2]s FOR VALUES FROM (%[3]d) TO (%[4]d)", table, suffix, n, n+1)
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	again := func() { // retention runs at the start, and every hour
		for _, d := range f.daemons {
			d.stop()
			d.start()
			l.more(t, 50)
		}
	}
	again()
	until(t, time.Minute, "the day is being taken off", func() bool {
		return ask[bool](t, c, "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhdetachpending)")
	})
	l.more(t, 300)
	if partitions(old) == 0 {
		t.Error("the day is gone while somebody reads: the test says nothing")
	}
	end()
	again()
	until(t, time.Minute, "the day is gone", func() bool { return partitions(old) == 0 })
	f.settle(l.end(), nil, 0)
}
