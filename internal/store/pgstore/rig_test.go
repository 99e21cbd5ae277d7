package pgstore

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// testLease is how long a store waits for one that was not closed.
const testLease = 300 * time.Millisecond

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

// templates have, for each server, the name of a database with the schema and the
// partitions of the days that tests are mostly about: copying one is cheaper than
// making one.
var templates sync.Map

func templateOn(t testing.TB, server string) string {
	t.Helper()
	if name, ok := templates.Load(server); ok {
		return name.(string)
	}
	name := servers.Name()
	exec(t, server, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	template := databaseOn(t, server, name)
	migrate(t, template)
	s, err := Open(context.Background(), optionsOf(template))
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
	templates.Store(server, name)
	return name
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

// freshOn makes one on the server of a URL.
func freshOn(t testing.TB, server string) string {
	t.Helper()
	name := servers.Name()
	quoted := pgx.Identifier{name}.Sanitize()
	exec(t, server, "CREATE DATABASE "+quoted+" TEMPLATE "+pgx.Identifier{templateOn(t, server)}.Sanitize())
	t.Cleanup(func() { exec(t, server, "DROP DATABASE "+quoted+" WITH (FORCE)") })
	return databaseOn(t, server, name)
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
