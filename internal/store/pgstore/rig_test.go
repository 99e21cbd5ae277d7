package pgstore

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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

// freshOn makes one on the server of a URL.
func freshOn(t testing.TB, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	name := servers.Name()
	exec(t, server, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	t.Cleanup(func() { exec(t, server, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)") })
	u.Path = "/" + name
	migrate(t, u.String())
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

func openAt(t testing.TB, url string, change ...func(*Options)) *Store {
	t.Helper()
	o := optionsOf(url)
	for _, with := range change {
		with(&o)
	}
	s, err := Open(context.Background(), o)
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
