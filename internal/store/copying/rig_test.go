package copying_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

var ctx = context.Background()

// place is where a store lies: in a folder, or in a database.
type place struct{ dir, url string }

func (p place) open(copied bool) (copying.Store, error) {
	quiet := slog.New(slog.DiscardHandler)
	if p.dir != "" {
		return pebblestore.Open(p.dir, pebblestore.Options{Log: quiet, Copying: copied})
	}
	lease := 20 * time.Second // of a daemon: a busy machine must not end it
	if copied {
		lease = 300 * time.Millisecond // copies are killed, and the next one waits for it
	}
	return pgstore.Open(ctx, pgstore.Options{URLs: []secret.Value{secret.New(p.url)}, Log: quiet, Lease: lease, Copying: copied})
}

func (p place) side() copying.Side {
	name := "the folder"
	if p.dir == "" {
		name = "the database"
	}
	return copying.Side{Name: name, Open: func(context.Context) (copying.Store, error) { return p.open(true) }}
}

func folder(t testing.TB) place { return place{dir: filepath.Join(t.TempDir(), "store")} }

func database(t testing.TB) place {
	t.Helper()
	url := servers.StartPostgres(t).DSN
	if _, err := pgstore.Migrate(ctx, pgstore.Options{URLs: []secret.Value{secret.New(url)}}); err != nil {
		t.Fatal(err)
	}
	return place{url: url}
}

// open opens a store as a daemon does, and closes it with t.
func open(t testing.TB, p place) copying.Store {
	t.Helper()
	s, err := p.open(false)
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

func options(from, to place) copying.Options {
	return copying.Options{From: from.side(), To: to.side(), Patience: 3 * time.Second}
}

func mustCopy(t testing.TB, from, to place) copying.Report {
	t.Helper()
	rep, err := copying.Run(ctx, options(from, to))
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// fill has a history of n events: delivered, failed and pending ones, replays, keys and settings.
func fill(t testing.TB, s copying.Store, n int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dests, err := s.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "app", Kind: "webhook"}, {Developer: "acme", Name: "db", Kind: "postgres"}, {Developer: "globex", Name: "app", Kind: "webhook"}})
	must(err)
	must(s.PutSettings(ctx, map[uint64][]byte{7: []byte("sealed"), 1 << 63: []byte("high")}, map[string][]byte{"a": []byte("b"), "empty": nil}))
	for v := range 60 {
		_, err := s.PutDocument(ctx, uint64(v), store.Document{Developer: "acme", At: time.Unix(int64(v), 0), By: "ann", Text: []byte{byte(v)}})
		must(err)
	}
	_, err = s.PutDocument(ctx, 0, store.Document{Developer: "globex", At: time.Unix(1, 0), Deleted: true})
	must(err)
	now := time.Now().Add(-72 * time.Hour)
	size := max(100, n/200)
	for at := 0; at < n; at += size {
		batch := make([]*store.Entry, min(size, n-at))
		for i := range batch {
			batch[i] = &store.Entry{To: dests[:(at+i)%4], Event: &event.Event{Developer: "acme", Reference: fmt.Sprint("ref-", at+i),
				Envelope: event.Envelope{Type: "activity", UserID: fmt.Sprint("user-", i%7)}, Body: fmt.Appendf(nil, `{"n":%d,"text":"%0200d"}`, at+i, i)}}
			if i%3 == 0 {
				batch[i].IdempotencyKey = fmt.Sprint("key-", at+i)
			}
		}
		now = now.Add(72 * time.Hour / 200)
		out, err := s.Append(ctx, now, batch)
		must(err)
		var outcomes []store.Outcome
		for i, a := range out {
			for k, it := range a.Items {
				o := store.Outcome{Item: it, State: store.Delivered, Attempts: 1, Attempt: &store.Attempt{At: now.UnixNano() + 1, Took: time.Millisecond, Class: "delivered", Code: 200, Answer: "thanks", Address: "192.0.2.1:443", Counted: true}}
				switch (i + k) % 5 {
				case 0:
					continue
				case 1:
					o.State, o.Due, o.Settings = store.Pending, now.Add(time.Hour).UnixNano(), uint64(i%2)*7
					o.Attempt.Class, o.Attempt.Code = "transient", 500
				case 2:
					o.State, o.Reason = store.Dead, "rejected: no"
				}
				outcomes = append(outcomes, o)
			}
		}
		_, err = s.Settle(ctx, now, outcomes)
		must(err)
		var wants []store.Want
		for _, o := range outcomes[:min(5, len(outcomes))] {
			wants = append(wants, store.Want{Event: o.Item.ID.Event, Day: o.Item.ID.Day, Dest: o.Item.ID.Dest, Due: 5})
		}
		_, err = s.Replay(ctx, now.Add(30*time.Hour), 3, wants)
		must(err)
	}
	must(s.Note(ctx, now, []store.Act{{By: "ann", Call: "createBackup", Developer: "acme", Count: 1}, {By: "bob", Call: "start", Result: "ok", Count: 1}}))
	must(s.SetLast(ctx, map[uint32]store.Last{dests[0]: {Success: 5, Failed: 2, Answer: store.Answer{At: 5, Class: "transient", Text: "no"}}}))
	_, err = s.Erase(ctx, now, store.Erasure{Developer: "acme", User: "user-3", By: "operator"}, nil)
	must(err)
}

func TestMain(m *testing.M) {
	if os.Getenv("FANTAIL_COPY") != "" {
		os.Exit(child())
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil { // they wait for the database and for processes
		panic(err)
	}
	os.Exit(m.Run())
}
