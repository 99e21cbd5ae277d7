package copying_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// TestLittleIsCopiedToo: an empty store, and one event that nobody wanted.
func TestLittleIsCopiedToo(t *testing.T) {
	t.Parallel()
	for n := range 2 {
		source, there, back := folder(t), database(t), folder(t)
		s := open(t, source)
		if n > 0 {
			e := &store.Entry{Event: &event.Event{Developer: "acme", Envelope: event.Envelope{Type: "sleep"}, Body: []byte("{}")}}
			if _, err := s.Append(ctx, time.Now(), []*store.Entry{e}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		mustCopy(t, source, there)
		if rep := mustCopy(t, there, back); rep.Events != int64(n) {
			t.Errorf("%d events: %+v", n, rep)
		}
	}
}

// TestWhatCannotBeCopiedIsRefused, and nothing is changed by it.
func TestWhatCannotBeCopiedIsRefused(t *testing.T) {
	t.Parallel()
	source, used := folder(t), database(t)
	s, target := open(t, source), open(t, used)
	fill(t, s, 10)
	fill(t, target, 10)
	refused := func(from, to place, want string) {
		t.Helper()
		if _, err := copying.Run(ctx, options(from, to)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	refused(source, used, "is in use by another process") // a daemon works on the source
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refused(source, used, "a daemon works on the database") // one works on the target
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	refused(source, used, "is not empty")
	for _, p := range []place{source, used} { // neither has a mark
		s := open(t, p)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}

	there := database(t)
	mustCopy(t, source, there)
	refused(source, folder(t), "was copied to")
	refused(source, there, "was copied to")
	if _, err := source.open(false); err == nil || !strings.Contains(err.Error(), "fantail store release") {
		t.Errorf("a daemon on what was copied from: %v", err)
	}
	s, err := source.open(true)
	if err != nil {
		t.Fatal(err)
	}
	if err := copying.Release(ctx, s); err != nil {
		t.Error(err)
	}
	if err := copying.Release(ctx, s); err == nil {
		t.Error("released twice")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, source)
}

// TestADifferenceIsFound: the copy of one record differs by one byte, or is missing.
func TestADifferenceIsFound(t *testing.T) {
	t.Parallel()
	source := folder(t)
	s := open(t, source)
	fill(t, s, 200)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(copying.Record) copying.Record{
		"a body": func(r copying.Record) copying.Record {
			if e, ok := r.(*copying.Event); ok && len(e.Body) > 0 {
				e.Body[len(e.Body)-1] ^= 1
			}
			return r
		},
		"a key is missing": func(r copying.Record) copying.Record {
			if _, ok := r.(*copying.Key); ok {
				return nil
			}
			return r
		},
		"a version": func(r copying.Record) copying.Record {
			if e, ok := r.(*copying.Event); ok && len(e.Deliveries) > 0 {
				e.Deliveries[0].Version++
			}
			return r
		},
		"a counter": func(r copying.Record) copying.Record {
			if c, ok := r.(*copying.Counters); ok {
				c.Counts.Delivered++
			}
			return r
		},
	} {
		there := folder(t)
		o := options(source, there)
		plain := o.To.Open
		o.To.Open = func(ctx context.Context) (copying.Store, error) {
			s, err := plain(ctx)
			return &lossy{s, change}, err
		}
		if _, err := copying.Run(ctx, o); err == nil {
			t.Errorf("%s: nothing is found", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
		if _, err := there.open(false); err == nil {
			t.Errorf("%s: a daemon starts on the copy", name)
		}
		if s, err := source.open(true); err != nil {
			t.Fatal(err)
		} else if err := errors.Join(copying.Release(ctx, s), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// lossy imports something else than it is given.
type lossy struct {
	copying.Store
	change func(copying.Record) copying.Record
}

func (l *lossy) Import(ctx context.Context, records []copying.Record, mark []byte) error {
	var all []copying.Record
	for _, r := range records {
		if r = l.change(r); r != nil {
			all = append(all, r)
		}
	}
	return l.Store.Import(ctx, all, mark)
}

// TestPendingGoesWhereItsDestinationIsServed: a destination that one daemon has to serve gets all from one
// place, whatever is accepted after the copy.
func TestPendingGoesWhereItsDestinationIsServed(t *testing.T) {
	t.Parallel()
	source, there := folder(t), database(t)
	s := open(t, source)
	fill(t, s, 60)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustCopy(t, source, there)
	db, err := pgx.Connect(ctx, there.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(ctx)
	one := func(sql string) (n int) {
		t.Helper()
		if err := db.QueryRow(ctx, sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const slots = "SELECT count(DISTINCT slot)::int FROM fantail.pending WHERE dest = 1"
	if n := one("SELECT count(*)::int FROM fantail.pending WHERE dest = 1"); n == 0 {
		t.Fatal("nothing is pending")
	}
	if n := one(slots); n != 1 {
		t.Errorf("what was pending lies in %d slots", n)
	}
	serial, err := pgstore.Open(ctx, pgstore.Options{URLs: []secret.Value{secret.New(there.url)}, Log: slog.New(slog.DiscardHandler), Lease: 20 * time.Second, Serial: func(uint32) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := serial.Append(ctx, time.Now(), []*store.Entry{{To: []uint32{1}, Event: &event.Event{Developer: "acme", Envelope: event.Envelope{Type: "sleep"}, Body: []byte("{}")}}}); err != nil {
		t.Fatal(err)
	}
	if n := one(slots); n != 1 {
		t.Errorf("with what was accepted after the copy, a destination's deliveries lie in %d slots", n)
	}
	if err := serial.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNothingIsDrawnTwiceAfterACopy: ids of events and destinations, numbers of acts, versions of documents and
// numbers of replays go on behind those of the source, also where its clock was ahead.
func TestNothingIsDrawnTwiceAfterACopy(t *testing.T) {
	t.Parallel()
	at := folder(t)
	s := open(t, at)
	fill(t, s, 60)
	ahead := time.Now().Add(time.Hour)
	entry := func() []*store.Entry {
		return []*store.Entry{{Event: &event.Event{Developer: "acme", Envelope: event.Envelope{Type: "sleep"}, Body: []byte("{}")}}}
	}
	out, err := s.Append(ctx, ahead, entry())
	if err != nil {
		t.Fatal(err)
	}
	last := out[0].ID
	if err := s.Note(ctx, ahead, []store.Act{{By: "ann", Call: "ahead", Count: 1}}); err != nil {
		t.Fatal(err)
	}
	dest, version, number := uint32(3), uint64(60), uint32(41) // as fill has drawn them
	for range 2 {
		to := database(t)
		if at.dir == "" {
			to = folder(t)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		mustCopy(t, at, to)
		at = to
		s = open(t, at)
		out, err := s.Append(ctx, time.Now(), entry())
		if err != nil || bytes.Compare(out[0].ID[:], last[:]) <= 0 {
			t.Errorf("the event after %v has the id %v, %v", last, out, err)
		}
		last = out[0].ID
		dest++
		if ids, err := s.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: fmt.Sprint("new-", dest), Kind: "webhook"}}); err != nil || ids[0] != dest {
			t.Errorf("the destination after %d has the id %v, %v", dest-1, ids, err)
		}
		got, err := s.PutDocument(ctx, version, store.Document{Developer: "acme", At: time.Now(), By: "ann", Text: []byte("new")})
		if version++; err != nil || got != version {
			t.Errorf("the version after %d is %d, %v", version-1, got, err)
		}
		if seq, ok := s.(interface {
			Number(ctx context.Context, name string, above uint32) (uint32, error)
		}); ok { // the list of replays, which is copied, has the last one
			n, err := seq.Number(ctx, "replays", number)
			if err != nil || n <= number {
				t.Errorf("the number after %d is %d, %v", number, n, err)
			}
			number = n
		}
		if err := s.Note(ctx, time.Now(), []store.Act{{By: "ann", Call: "now", Count: 1}}); err != nil {
			t.Error(err)
		}
		var acts []*copying.Act
		err = s.Export(ctx, copying.Place{}, func(r copying.Record) error {
			if a, ok := r.(*copying.Act); ok {
				acts = append(acts, a)
			}
			return nil
		})
		if err != nil || len(acts) < 2 || acts[len(acts)-1].Call != "now" {
			t.Errorf("the last act is not the last: %+v, %v", acts[len(acts)-1], err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestACopySaysForWhomItWaits: at once, by name.
func TestACopySaysForWhomItWaits(t *testing.T) {
	t.Parallel()
	source, there := folder(t), database(t)
	if err := open(t, source).Close(); err != nil {
		t.Fatal(err)
	}
	target := open(t, there)
	if err := target.(store.Shared).Announce(ctx, store.Daemon{Name: "fantail-0"}); err != nil {
		t.Fatal(err)
	}
	o := options(source, there)
	o.Patience = time.Hour
	told := make(chan copying.Wait, 1)
	o.Waits = func(w copying.Wait) { told <- w }
	done := make(chan error, 1)
	go func() { _, err := copying.Run(ctx, o); done <- err }()
	select {
	case w := <-told:
		if len(w.Daemons) != 1 || w.Daemons[0] != "fantail-0" || w.Side != "the database" || w.Most != time.Hour {
			t.Errorf("told of %+v", w)
		}
	case err := <-done:
		t.Fatalf("ended with %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatal("nobody is told")
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after the daemon was stopped: %v", err)
	}
}
