package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var (
	manyDeliveries = flag.Int("deliveries", 5000, "how many deliveries TestPagesOfAFullStore has in its store")
	slowestPage    = flag.Duration("slowest", 0, "the longest that one of its pages may take; 0: any")
)

// TestPagesOfAFullStore opens each page over a store with many deliveries: the rows that are read for it depend on
// what it shows, not on how many there are. make console-bench has two million, and holds each page to 300 ms.
func TestPagesOfAFullStore(t *testing.T) {
	w := &world{far: map[string]*farSide{}}
	cast := []part{}
	for i := range 20 {
		cast = append(cast, part{developer: fmt.Sprintf("developer-%d", i%5), name: fmt.Sprintf("hooks-%d", i), answer: healthy, more: "enabled: false"})
	}
	w.daemon = startDaemon(t, "", func(dir string) {
		err := os.WriteFile(filepath.Join(dir, "fantail.key"), []byte("a key that seals nothing that matters\n"), 0o600)
		if err == nil {
			w.dead, w.hostile.ID, err = fill(filepath.Join(dir, "store"), cast, *manyDeliveries)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	w.cast(cast)
	b := newWindow(t).tab()
	for _, p := range []page{
		{"overview", at("#/"), `Destinations`, 60, list},
		{"destinations", at("#/destinations"), `hooks-19`, 0, list},
		{"destination", at("#/destination/developer-0/hooks-0"), `hooks-0`, 90, list},
		{"deliveries", at("#/deliveries?state=dead&since=24h"), `50 deliveries shown`, 300, list},
		{"deliveries", at("#/deliveries?state=pending&developer=developer-4"), `50 deliveries shown`, 300, list},
		{"deliveries", at("#/deliveries?user=user-7"), `deliver(y|ies) shown`, 400, list},
		{"delivery", func(w *world) string { return "#/delivery/" + w.dead }, `dead`, 20, list},
		{"event", func(w *world) string { return "#/event/" + w.hostile.ID }, `Envelope`, 40, list},
		{"send", at("#/send"), `Nothing was sent yet`, 0, list},
	} {
		var took []time.Duration
		rows := 0
		for range 3 {
			before := w.rowsRead()
			b.open(w, &p)
			rows = w.rowsRead() - before
			var ms float64
			b.eval(`Math.max(performance.getEntriesByType('paint').at(-1)?.startTime ?? 0, ...performance.getEntriesByType('resource').filter(r => !r.name.includes('/v1/live')).map(r => r.responseEnd))`, &ms)
			took = append(took, time.Duration(ms*float64(time.Millisecond)))
		}
		slices.Sort(took)
		t.Logf("%-50s %4d ms, %5d rows", p.address(w), took[1].Milliseconds(), rows)
		if rows > p.rows {
			t.Errorf("%s: the store read %d rows, want at most %d", p.address(w), rows, p.rows)
		}
		if *slowestPage > 0 && took[1] > *slowestPage {
			t.Errorf("%s took %s, want at most %s", p.address(w), took[1], *slowestPage)
		}
	}
}

// fill writes n deliveries of the last day into a store: of ten, seven are delivered, two dead and one is pending. It
// returns one that is dead, and its event.
func fill(dir string, cast []part, n int) (dead, of string, err error) {
	s, err := pebblestore.Open(dir, pebblestore.Options{})
	if err != nil {
		return "", "", fmt.Errorf("fill a store: %w", err)
	}
	defer s.Close()
	ctx := context.Background()
	var keys []store.DestinationKey
	for _, p := range cast {
		keys = append(keys, store.DestinationKey{Developer: p.developer, Name: p.name, Kind: "webhook"})
	}
	ids, err := s.Register(ctx, keys)
	if err != nil {
		return "", "", fmt.Errorf("fill a store: %w", err)
	}
	const chunk = 1000
	now := time.Now().Add(-23 * time.Hour)
	step := 22 * time.Hour * chunk / time.Duration(max(n, chunk))
	for k := 0; k < n; k += chunk {
		var entries []*store.Entry
		for i := range chunk {
			at := (k + i) % len(ids)
			entries = append(entries, &store.Entry{To: ids[at : at+1], Event: &event.Event{
				Developer: keys[at].Developer, Reference: fmt.Sprintf("reference-%d", k+i), Body: []byte(`{"type":"sleep","data":[]}`),
				Envelope: event.Envelope{Type: "sleep", UserID: fmt.Sprintf("user-%d", (k+i)%1009)},
			}})
		}
		made, err := s.Append(ctx, now, entries)
		if err != nil {
			return "", "", fmt.Errorf("fill a store: %w", err)
		}
		var outcomes []store.Outcome
		for i, a := range made {
			for _, item := range a.Items {
				o := store.Outcome{Item: item, State: store.Delivered, Attempts: 1,
					Attempt: &store.Attempt{At: now.UnixNano(), Took: time.Millisecond, Class: "delivered", Code: 200, Counted: true}}
				switch {
				case i%10 == 9:
					continue
				case i%10 > 6:
					o.State, o.Reason, o.Attempt.Class, o.Attempt.Code, o.Attempt.Answer = store.Dead, "attempts used up: answered 503", "transient", 503, "busy"
					dead, of = item.ID.String(), item.ID.Event.String()
				}
				outcomes = append(outcomes, o)
			}
		}
		if _, err := s.Settle(ctx, now, outcomes); err != nil {
			return "", "", fmt.Errorf("fill a store: %w", err)
		}
		now = now.Add(step)
	}
	return dead, of, nil
}
