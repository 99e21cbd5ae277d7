package pgstore

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// place is where stores of a test lie.
type database struct {
	fresh   func(testing.TB) string               // an empty database with the schema
	through func(t testing.TB, url string) string // by which URL a store reaches it
	crash   func(t testing.TB, url string) string // a copy as after a power failure
}

func direct(_ testing.TB, url string) string { return url }

func (d database) harness(seeds ...uint64) storetest.Harness {
	h := storetest.Harness{
		Seeds: seeds,
		Open: func(t testing.TB) store.Store {
			url := d.fresh(t)
			return &opened{openAt(t, d.through(t, url)).Store, d.through(t, url), url}
		},
		Reopen: func(t testing.TB, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			o := s.(*opened)
			return &opened{openAt(t, o.url).Store, o.url, o.server}
		},
		Stall: func(t testing.TB, s store.Store) func() { return stall(t, s.(*opened).server) },
	}
	if d.crash != nil {
		h.Crash = func(t testing.TB, s store.Store) store.Store {
			url := d.crash(t, s.(*opened).server)
			return &opened{openAt(t, url).Store, url, url}
		}
	}
	return h
}

// stall makes every commit that waits for durability wait for a standby that there is
// not, which is what the stall of a real one looks like.
func stall(t testing.TB, url string) (release func()) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	do := func(sql string) {
		t.Helper()
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	over := false
	release = func() {
		if over {
			return
		}
		over = true
		do("ALTER SYSTEM RESET synchronous_standby_names")
		do("SELECT pg_reload_conf()")
		c.Close(ctx)
	}
	t.Cleanup(release)
	do("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	do("SELECT pg_reload_conf()")
	for range 100 { // each process of the server hears of it by itself
		waiting, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		other, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = other.Exec(waiting, "SELECT pg_logical_emit_message(true, 'test', 'waits')")
		cancel()
		other.Close(ctx)
		if err != nil {
			return release
		}
	}
	t.Fatal("commits do not wait for the standby")
	return nil
}

// TestConformance also stalls and crashes a server of its own.
func TestConformance(t *testing.T) {
	private := servers.PrivatePostgres(t)
	storetest.Run(t, database{
		fresh:   func(t testing.TB) string { return freshOn(t, private.DSN) },
		through: direct,
		crash:   func(_ testing.TB, url string) string { return private.Crashed(url) },
	}.harness(1, 2))
}

// TestConformanceBehindPgBouncer: in transaction mode every transaction may have another
// connection to the server.
func TestConformanceBehindPgBouncer(t *testing.T) {
	private := servers.PrivatePostgres(t)
	pooler := servers.StartPgBouncer(t, private.DSN, 5)
	storetest.Run(t, database{
		fresh:   func(t testing.TB) string { return freshOn(t, private.DSN) },
		through: func(t testing.TB, url string) string { return otherHost(t, url, pooler.DSN) },
	}.harness(3))
}
