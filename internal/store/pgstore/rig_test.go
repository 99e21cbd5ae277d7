package pgstore

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// testLease is how long a store waits for one that was not closed.
const testLease = 300 * time.Millisecond

// fresh returns the URL of a database with the schema.
func freshDatabase(t testing.TB) string {
	t.Helper()
	url := servers.StartPostgres(t).DSN
	if _, err := Migrate(context.Background(), optionsOf(url)); err != nil {
		t.Fatal(err)
	}
	return url
}

func optionsOf(url string) Options {
	return Options{URLs: []secret.Value{secret.New(url)}, Log: slog.New(slog.DiscardHandler), Lease: testLease}
}

// opened is a store that knows where its database is.
type opened struct {
	*Store
	url string
}

func openAt(t testing.TB, url string, change ...func(*Options)) *opened {
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
	return &opened{s, url}
}

func harness(through func(t testing.TB, url string) string) storetest.Harness {
	return storetest.Harness{
		Open: func(t testing.TB) store.Store {
			return openAt(t, through(t, freshDatabase(t)))
		},
		Reopen: func(t testing.TB, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			return openAt(t, s.(*opened).url)
		},
		Seeds: []uint64{1, 2},
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, harness(func(_ testing.TB, url string) string { return url }))
}
