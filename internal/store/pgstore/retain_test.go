package pgstore

import (
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// TestRetentionThatWasCutShortGoesOn: whatever it had dropped by then, the next run drops the rest of a day.
func TestRetentionThatWasCutShortGoesOn(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	now := time.Now()
	old := event.DayOf(now.AddDate(0, 0, -40))
	left := func() int {
		return ask[int](t, url, "SELECT count(*)::int FROM pg_class WHERE relnamespace = 'fantail'::regnamespace AND relname ~ ('_' || $1::text || '$')", old.Start().Format("20060102"))
	}
	for n := range partitioned {
		if err := s.days.make(s, []int32{int32(old)}); err != nil {
			t.Fatal(err)
		}
		for _, table := range partitioned[:n] {
			exec(t, url, "DROP TABLE "+partition(table, old))
		}
		if _, err := s.Retain(ctx, now, store.Retention{Events: 24 * time.Hour, Attempts: 24 * time.Hour}, nil); err != nil {
			t.Fatal(err)
		}
		if some := left(); some > 0 {
			t.Errorf("after the first %d tables were dropped %d partitions are left", n, some)
		}
		s.days.note(old, false)
	}
}
