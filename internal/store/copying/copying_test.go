package copying_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/pkg/event"
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
