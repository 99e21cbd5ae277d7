package pgstore

import (
	"context"
	"flag"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestMain has more tests run at a time than there are cores: those that may have a server of their
// own, and wait for it, or for a time-out, most of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// testLease is longer than a machine that does other things keeps a daemon from renewing it: where no
// test asks for it, none ends.
const testLease = 20 * time.Second

// alone has the next store wait shortly for one that was not closed. Beside another daemon a store would
// lose so short a lease when the machine is busy.
func alone(o *Options) { o.Lease = 300 * time.Millisecond }

// lapsing is the lease of daemons of which one is to lose its own, and none other.
func lapsing(t testing.TB, url string) func(*Options) {
	lease := lasting(t, url, 1500*time.Millisecond)
	return func(o *Options) { o.Lease = lease }
}

// lasting returns how long a lease must be for its owner to keep it: least, or what ten renewals take,
// each over a new connection.
func lasting(t testing.TB, url string, least time.Duration) time.Duration {
	t.Helper()
	for range 3 {
		began := time.Now()
		exec(t, url, "UPDATE fantail.lease SET until = until")
		least = max(least, 10*time.Since(began))
	}
	return least
}

// freshDatabase returns the URL of a database with the schema, on the server that all
// tests share.
func freshDatabase(t testing.TB) string {
	t.Helper()
	url := servers.StartPostgres(t).DSN
	migrate(t, url)
	return url
}

func migrate(t testing.TB, url string) {
	t.Helper()
	if _, err := Migrate(context.Background(), optionsOf(url)); err != nil {
		t.Fatal(err)
	}
}

// used are databases that tests have given back, for each server: emptying one takes a tenth of the
// time that making one does.
var used = struct {
	sync.Mutex
	names map[string][]string
}{names: map[string][]string{}}

// freshOn returns the URL of a database with the schema on a server, without a row that the migration
// did not make. It has the partitions of the days that tests are mostly about.
func freshOn(t testing.TB, server string) string {
	t.Helper()
	used.Lock()
	names := used.names[server]
	name := ""
	if len(names) > 0 {
		name, used.names[server] = names[len(names)-1], names[:len(names)-1]
	}
	used.Unlock()
	if name == "" {
		name = newDatabase(t, server)
	}
	url := databaseOn(t, server, name)
	t.Cleanup(func() {
		if t.Failed() { // whatever it has left there
			return
		}
		empty(t, url)
		used.Lock()
		defer used.Unlock()
		used.names[server] = append(used.names[server], name)
	})
	return url
}

// newDatabase makes one, and keeps the rows that the migration has made.
func newDatabase(t testing.TB, server string) string {
	t.Helper()
	name := servers.Name()
	exec(t, server, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	url := databaseOn(t, server, name)
	migrate(t, url)
	exec(t, url, `DO $$ DECLARE t text; some bool; BEGIN
		CREATE SCHEMA pristine;
		FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'fantail'::regnamespace AND relkind = 'r' AND NOT relispartition AND relname <> 'schema_version' LOOP
			EXECUTE format('CREATE TABLE pristine.%I AS TABLE fantail.%1$I', t);
		END LOOP;
	END $$`)
	s, err := Open(context.Background(), optionsOf(url))
	if err != nil {
		t.Fatal(err)
	}
	first := int32(event.DayOf(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)))
	if err := s.days.make(s, []int32{first, first + 1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the days to come have partitions", func() bool { return s.days.has(event.DayOf(time.Now()) + ahead) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	exec(t, url, `CREATE TABLE pristine.partitions AS SELECT relname FROM pg_class WHERE relnamespace = 'fantail'::regnamespace AND relkind = 'r'`)
	empty(t, url)
	return name
}

// empty brings a database back to what newDatabase has made. Of a day that retention has touched all
// partitions go, and come back with its next row.
func empty(t testing.TB, url string) {
	t.Helper()
	exec(t, url, `DO $$ DECLARE t text; BEGIN
		PERFORM pg_terminate_backend(pid, 1000) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle';
		FOR t IN SELECT relname FROM pg_class c WHERE relnamespace = 'fantail'::regnamespace AND relkind = 'r' AND relname ~ '_[0-9]{8}$'
			AND (SELECT count(*) FROM pristine.partitions p WHERE right(p.relname, 8) = right(c.relname, 8)) IS DISTINCT FROM nullif(
				(SELECT count(*) FROM pg_class o WHERE o.relnamespace = c.relnamespace AND o.relispartition AND o.relkind = 'r' AND right(o.relname, 8) = right(c.relname, 8)), 0) LOOP
			EXECUTE format('DROP TABLE fantail.%I', t);
		END LOOP;
		FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'fantail'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'schema_version' LOOP
			EXECUTE format('DELETE FROM fantail.%I', t);
		END LOOP;
		FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'pristine'::regnamespace AND relname <> 'partitions' LOOP
			EXECUTE format('INSERT INTO fantail.%I SELECT * FROM pristine.%1$I', t);
		END LOOP;
	END $$`)
}

func databaseOn(t testing.TB, server, name string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// otherHost returns the URL with the host of another.
func otherHost(t testing.TB, of, host string) string {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	h, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = h.Host
	return u.String()
}

func exec(t testing.TB, url string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, sql := range statements {
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func optionsOf(url string) Options {
	return Options{URLs: []secret.Value{secret.New(url)}, Log: slog.New(slog.DiscardHandler), Lease: testLease}
}

func optionsWith(url string, change ...func(*Options)) Options {
	o := optionsOf(url)
	for _, with := range change {
		with(&o)
	}
	return o
}

func openAt(t testing.TB, url string, change ...func(*Options)) *Store {
	t.Helper()
	s, err := Open(context.Background(), optionsWith(url, change...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
