package pgstore

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// skewed is a store whose machine's clock is wrong by something that may change. It measures that ten times a
// second.
type skewed struct {
	*Store
	by atomic.Int64
}

func openSkewed(t testing.TB, url string, by time.Duration) *skewed {
	t.Helper()
	s := &skewed{}
	s.by.Store(int64(by))
	s.Store = openAt(t, url, alone, func(o *Options) { o.clock = func() time.Time { return time.Now().Add(time.Duration(s.by.Load())) } })
	return s
}

// measured tells whether the offset is known, to within what a test looks for.
func (s *skewed) measured() bool {
	return (s.lease.clocks.offset() + time.Duration(s.by.Load())).Abs() <= exact
}

const exact = 15 * time.Millisecond

// TestClocksOfDaemons (T15): whatever the clocks of daemons say, the order of events is that of the
// database's clock: each is accepted between two looks at it. A busy machine may measure an offset less
// exactly for a while, which no event is held to.
func TestClocksOfDaemons(t *testing.T) {
	t.Parallel()
	url := freshDatabase(t)
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	clock := func() (now time.Time) {
		t.Helper()
		if err := c.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
			t.Fatal(err)
		}
		return now
	}
	var dest uint32
	for _, by := range []time.Duration{50 * time.Millisecond, -500 * time.Millisecond, 2 * time.Second} {
		s := openSkewed(t, url, by)
		if dest == 0 {
			dest = register(t, s.Store)
		}
		looked := 0
		eventually(t, "five events are accepted while the offset is known", func() bool {
			if !s.measured() {
				return false
			}
			before := clock().Add(-exact)
			out, err := s.Append(ctx, s.now(), []*store.Entry{entryTo(`{}`, dest)})
			after := clock().Add(exact)
			if err != nil {
				t.Fatal(err)
			}
			if !s.measured() {
				return false
			}
			if at := out[0].ID.Time(); at.Before(before.Truncate(time.Millisecond)) || at.After(after) {
				t.Fatalf("clock wrong by %v: accepted at %v, between %v and %v", by, at, before, after)
			}
			looked++
			return looked == 5
		})
		warned := slices.ContainsFunc(s.Warnings(), func(w string) bool { return strings.Contains(w, "synchronise them") })
		if want := by.Abs() > clockWarning; warned != want && s.measured() {
			t.Errorf("clock wrong by %v: warned %v", by, warned)
		}
		if err := s.Ready(); err != nil {
			t.Errorf("clock wrong by %v: %v", by, err)
		}
		s.Close()
	}
}

// TestAClockThatIsFarOffEndsIntake (T15), and intake goes on when the clock is right again.
func TestAClockThatIsFarOffEndsIntake(t *testing.T) {
	t.Parallel()
	s := openSkewed(t, freshDatabase(t), 6*time.Second)
	dest := register(t, s.Store)
	accepts := func() error {
		_, err := s.Append(ctx, s.now(), []*store.Entry{entryTo(`{}`, dest)})
		return err
	}
	for range 2 {
		var refused *store.Unavailable
		eventually(t, "the clock is found wrong", func() bool { return errors.As(accepts(), &refused) })
		if !strings.Contains(refused.Reason, "clocks") || s.Ready() == nil {
			t.Errorf("refused with %q, ready: %v", refused.Reason, s.Ready())
		}
		s.by.Store(0)
		eventually(t, "the clock is found right", func() bool { return accepts() == nil && s.Ready() == nil })
		s.by.Store(int64(-6 * time.Second))
	}
}

// TestAClockThatWasSetIsNoticedAtTheNextRenewal: the best of the last samples is of no use once a clock was set.
func TestAClockThatWasSetIsNoticedAtTheNextRenewal(t *testing.T) {
	const ms = time.Millisecond
	o := &offsets{}
	for i, step := range []struct{ took, ahead, want time.Duration }{
		{2 * ms, 300 * ms, 300 * ms},
		{4 * ms, 301 * ms, 300 * ms},
		{2000 * ms, 900 * ms, 300 * ms}, // a slow call: it says nothing new
		{1 * ms, 302 * ms, 302 * ms},
		{30 * ms, 6000 * ms, 6000 * ms}, // set
		{20 * ms, 5995 * ms, 5995 * ms},
		{500 * ms, 6100 * ms, 5995 * ms},
		{40 * ms, 10 * ms, 0}, // set back: what the call itself explains is no offset
		{1 * ms, 0, 0},
	} {
		o.add(sample{took: step.took, ahead: step.ahead})
		if got := o.offset(); got != step.want {
			t.Errorf("sample %d: the offset is %v, want %v", i, got, step.want)
		}
	}
}
