package sqltablestest

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Far is a database and how to open a destination to it.
type Far struct {
	DB    *sql.DB // may do everything
	Store *Store
	Open  func(tb testing.TB) destination.Destination // closed by itself
}

var orders = map[string]string{"terra_users": "user_id", "terra_data_payloads": "payload_id", "terra_other_payloads": "payload_id"}

// Tables returns all rows of the three tables, without the links, which differ
// each time.
func (f Far) Tables(tb testing.TB) map[string][]Row {
	tb.Helper()
	all := map[string][]Row{}
	for table, order := range orders {
		all[table] = Rows(tb, f.DB, table, order)
		for _, row := range all[table] {
			delete(row, "payload_url")
		}
	}
	return all
}

// Empty removes all rows.
func (f Far) Empty(tb testing.TB) {
	tb.Helper()
	for table := range orders {
		Exec(tb, f.DB, "DELETE FROM "+table)
	}
}

// Send sends an event and expects success.
func Send(tb testing.TB, d destination.Destination, e *event.Event) {
	tb.Helper()
	if _, err := d.Send(tb.Context(), destination.Delivery{ID: e.ID.String() + "_1", Attempt: 1, Event: e}); err != nil {
		tb.Fatalf("send %s: %v", e.Body, err)
	}
}

// Batch sends events together and expects success of each.
func Batch(tb testing.TB, d destination.Destination, events ...*event.Event) {
	tb.Helper()
	var ds []destination.Delivery
	for _, e := range events {
		ds = append(ds, destination.Delivery{ID: e.ID.String() + "_1", Attempt: 1, Event: e})
	}
	for i, r := range d.(destination.Batcher).SendBatch(tb.Context(), ds) {
		if r.Err != nil {
			tb.Fatalf("send %s: %v", events[i].Body, r.Err)
		}
	}
}

// EveryOrderEndsInTheSameRows sends five events in every order, one by one, and
// in batches, some of them twice.
func EveryOrderEndsInTheSameRows(t *testing.T, f Far) {
	d := f.Open(t)
	for n, story := range Stories(t) {
		Batch(t, d, story...)
		want := f.Tables(t)
		f.Empty(t)
		if n == 0 {
			u := want["terra_users"][0]
			got := []string{u["user_id"], u["reference_id"], u["granted_scopes"], u["provider"], u["state"], u["created_at"]}
			if w := []string{"u", "r3", "s2", "P4", "auth_error", "2026-07-01T09:12:34.123456Z"}; !reflect.DeepEqual(got, w) {
				t.Errorf("the user is %q, want %q", got, w)
			}
		}
		turn := 0
		Permute(len(story), func(order []int) {
			if turn++; n > 0 && turn%4 != 0 { // one story in every order, the others in some
				return
			}
			for _, i := range order[:turn%5] {
				Send(t, d, story[i])
			}
			var rest []*event.Event
			for _, i := range order[turn%5:] {
				rest = append(rest, story[i])
			}
			Batch(t, d, append(rest, story[order[0]])...)
			if got := f.Tables(t); !reflect.DeepEqual(got, want) {
				t.Fatalf("in the order %v: %v, want %v", order, got, want)
			}
			f.Empty(t)
		})
	}
}

// ARepeatRefreshesTheLink: never a second row, and the link works.
func ARepeatRefreshesTheLink(t *testing.T, f Far) {
	d := f.Open(t)
	for n, body := range []string{`{"type":"sleep","user":{"user_id":"u"},"data":[{"n":1},{"n":2}]}`, `{"type":"auth","user":{"user_id":"u"}}`} {
		e := destinationtest.Delivery(t, 600+n, []byte(body)).Event
		Send(t, d, e)
		first := append(Rows(t, f.DB, "terra_data_payloads", "payload_id"), Rows(t, f.DB, "terra_other_payloads", "payload_id")...)
		Send(t, d, e)
		second := append(Rows(t, f.DB, "terra_data_payloads", "payload_id"), Rows(t, f.DB, "terra_other_payloads", "payload_id")...)
		if len(first) != len(second) {
			t.Fatalf("%d rows, and %d after a repeat", len(first), len(second))
		}
		for i := range first {
			if first[i]["payload_url"] == second[i]["payload_url"] {
				t.Errorf("row %s has the link of before", first[i]["payload_id"])
			}
			f.Store.Get(t, second[i]["payload_url"])
		}
		f.Empty(t)
	}
}

// AnEventIsWhole: hundreds of items, in one transaction, with texts that SQL
// must not read.
func AnEventIsWhole(t *testing.T, f Far) {
	d := f.Open(t)
	const nasty = `'; DROP TABLE terra_users; -- \\ \" {a,b} NULL $1 %s 😀 \u0000`
	items := make([]string, 1203)
	for i := range items {
		items[i] = fmt.Sprintf(`{"n":%d,"metadata":{"start_time":"%d %s","end_time":"NULL"}}`, i, i, nasty)
	}
	e := destinationtest.Delivery(t, 500, []byte(`{"type":"daily","user":{"user_id":"u'\\","reference_id":"`+nasty+`","scopes":"NULL","provider":"{}"},"data":[`+strings.Join(items, ",")+`]}`)).Event
	Send(t, d, e)
	text := `'; DROP TABLE terra_users; -- \ " {a,b} NULL $1 %s 😀 ` + "\uFFFD"
	rows := Rows(t, f.DB, "terra_data_payloads", "payload_id")
	if len(rows) != len(items) {
		t.Fatalf("%d rows of %d items", len(rows), len(items))
	}
	for _, row := range rows {
		n := row["payload_id"][len(e.ID.String())+1:]
		if row["start_time"] != n+" "+text || row["end_time"] != "NULL" || row["user_id"] != `u'\` {
			t.Fatalf("%v", row)
		}
		if body := f.Store.Get(t, row["payload_url"]); !strings.Contains(string(body), `"data":[{"n":`+n+`,`) {
			t.Fatalf("row %s leads to %.200s", n, body)
		}
	}
	if u := Rows(t, f.DB, "terra_users", "user_id")[0]; u["reference_id"] != text || u["granted_scopes"] != "NULL" || u["provider"] != "{}" {
		t.Errorf("%v", u)
	}
	f.Empty(t)
}

// TablesAreMadeAndMadeAgain: at the first event, and when they were dropped.
func TablesAreMadeAndMadeAgain(t *testing.T, f Far) {
	d := f.Open(t)
	e := Stories(t)[0]
	for range 2 {
		for _, one := range e {
			Send(t, d, one)
		}
		if n := len(Rows(t, f.DB, "terra_data_payloads", "payload_id")); n != 4 {
			t.Errorf("%d rows", n)
		}
		for table := range orders {
			Exec(t, f.DB, "DROP TABLE "+table)
			Send(t, d, e[0])
			Send(t, d, e[2])
		}
		f.Empty(t)
	}
}

// Others is a table of each kind as others may have made it: without our
// columns, with some of their own, and with rows.
var Others = []string{
	"CREATE TABLE terra_users (user_id VARCHAR(36) PRIMARY KEY, reference_id TEXT, created_at TEXT NOT NULL, granted_scopes TEXT, provider TEXT NOT NULL, state VARCHAR(20), mine INT)",
	"CREATE TABLE terra_data_payloads (user_id VARCHAR(36) NOT NULL, data_type TEXT NOT NULL, created_at TEXT NOT NULL, payload_url TEXT NOT NULL, start_time TEXT, end_time TEXT)",
	"CREATE TABLE terra_other_payloads (user_id VARCHAR(36) NOT NULL, data_type TEXT, payload_type TEXT, created_at TEXT NOT NULL, payload_url TEXT NOT NULL)",
	"INSERT INTO terra_users VALUES ('u', 'old', '2020-01-01T00:00:00Z', 'old', 'OLD', 'deauth', 7)",
	"INSERT INTO terra_data_payloads VALUES ('u', 'daily', '2020-01-01T00:00:00Z', 'https://old', NULL, NULL)",
	"INSERT INTO terra_data_payloads VALUES ('u', 'daily', '2020-01-02T00:00:00Z', 'https://old', NULL, NULL)",
}

// TablesOfOthersAreCompleted: what is in them stays.
func TablesOfOthersAreCompleted(t *testing.T, f Far) {
	d := f.Open(t)
	for _, e := range Stories(t)[0] {
		Send(t, d, e)
	}
	u := Rows(t, f.DB, "terra_users", "user_id")[0]
	got := []string{u["reference_id"], u["granted_scopes"], u["provider"], u["state"], u["created_at"], u["mine"]}
	if want := []string{"r3", "s2", "P4", "auth_error", "2020-01-01T00:00:00Z", "7"}; !reflect.DeepEqual(got, want) {
		t.Errorf("the user is %q, want %q", got, want)
	}
	if n := len(Rows(t, f.DB, "terra_data_payloads", "created_at")); n != 6 {
		t.Errorf("%d rows of data, want 6", n)
	}
}

// Load sends events as the engine would, many at a time and in batches, each
// until it is delivered, while faults happen; then the rows are exactly the
// events, once each.
func Load(t *testing.T, f Far, d destination.Destination, from, n int, faults func()) {
	t.Helper()
	var events []*event.Event
	for i := range n {
		events = append(events, destinationtest.Delivery(t, from+i, fmt.Appendf(nil, `{"type":"daily","user":{"user_id":"u%d","provider":"P"},"data":[{"n":%d},{"m":%d}]}`, i%7, i, i)).Event)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	queue := make(chan []*event.Event, n)
	for part := range slices.Chunk(events, 5) {
		queue <- part
	}
	close(queue)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for part := range queue {
				deliver(ctx, t, d, part)
			}
		})
	}
	faults()
	all.Wait()
	want := map[string]bool{}
	for _, e := range events {
		want[e.ID.String()+"-0"], want[e.ID.String()+"-1"] = true, true
	}
	for _, row := range Rows(t, f.DB, "terra_data_payloads", "payload_id") {
		if !want[row["payload_id"]] {
			t.Errorf("the row %s is nobody's, or there twice", row["payload_id"])
		}
		delete(want, row["payload_id"])
		f.Store.Get(t, row["payload_url"])
	}
	if len(want) > 0 {
		t.Errorf("%d rows are missing", len(want))
	}
	if users := len(Rows(t, f.DB, "terra_users", "user_id")); users != 7 {
		t.Errorf("%d users", users)
	}
	f.Empty(t)
}

// deliver sends a batch again and again, without what was delivered.
func deliver(ctx context.Context, t *testing.T, d destination.Destination, events []*event.Event) {
	for len(events) > 0 && ctx.Err() == nil {
		var ds []destination.Delivery
		for _, e := range events {
			ds = append(ds, destination.Delivery{ID: e.ID.String() + "_1", Attempt: 1, Event: e})
		}
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		results := d.(destination.Batcher).SendBatch(attempt, ds)
		cancel()
		var left []*event.Event
		for i, r := range results {
			if r.Err != nil {
				left = append(left, events[i])
			}
			if class, _ := destination.ClassOf(r.Err); class == destination.Rejected {
				t.Errorf("rejected: %v", r.Err)
				return
			}
		}
		if len(left) > 0 {
			select { // the engine waits longer
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		events = left
	}
	if len(events) > 0 {
		t.Errorf("%d events were never delivered", len(events))
	}
}
