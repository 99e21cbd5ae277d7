package supabase

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestWhatLandsWhere(t *testing.T) {
	p := settled(t)
	d := opened(t, p)
	const user = `"user":{"user_id":"u","provider":"GARMIN"}`
	daily := happened(t, 1, `{"type":"daily","version":"2022-03-16",`+user+`,"data":[{"metadata":{"start_time":"2026-07-01T00:00:00+01:00","end_time":"soon"}},{"metadata":{"start_time":"0000-01-01"}}]}`)
	athlete := happened(t, 2, `{"type":"athlete",`+user+`,"athlete":{"name":"x"}}`)
	report := happened(t, 3, `{"type":"lab_report.completed","event_id":"e","data":{}}`)
	auth := happened(t, 4, `{"type":"auth",`+user+`}`)
	odd := happened(t, 5, `{"type":"../ü[",`+user+`}`)
	send(t, d, daily, athlete, report, auth, odd)
	send(t, d, daily, athlete, report, auth, odd) // repeats add nothing

	id := func(e *event.Event) string { return e.ID.String() }
	want := []string{
		"daily/" + id(daily) + "-0.json", "daily/" + id(daily) + "-1.json", "athlete/" + id(athlete) + ".json",
		"lab_report.completed/" + id(report) + ".json", "auth/" + id(auth) + ".json", "=2E.=2F=C3=BC=5B/" + id(odd) + ".json",
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(p.Objects("terra-payloads"))); !slices.Equal(got, want) {
		t.Errorf("objects %q, want %q", got, want)
	}
	data := p.Rows(t, "terra_data_payloads", "payload_id")
	if len(data) != 4 || data[0]["data_type"] != "daily" || data[0]["start_time"] != "2026-06-30T23:00:00Z" || data[0]["created_at"] != "2026-07-01T09:12:34.123456Z" {
		t.Errorf("data: %v", data)
	}
	if _, there := data[0]["end_time"]; there || data[1]["start_time"] != "" {
		t.Errorf("an unreadable time became one: %v", data)
	}
	misc := p.Rows(t, "terra_misc_payloads", "payload_id")
	if len(misc) != 2 || misc[0]["payload_type"] != "auth" || misc[0]["data_type"] != "" || misc[1]["payload_type"] != "../ü[" {
		t.Errorf("misc: %v", misc)
	}
	users := p.Rows(t, "terra_users", "user_id")
	if len(users) != 2 || users[0]["user_id"] != "" || users[0]["state"] != "" || users[1]["state"] != "active" {
		t.Errorf("users: %v", users)
	}
	if n := len(bodies(t, p)); n != 6 {
		t.Errorf("%d payloads", n)
	}
}

// The last moment that a time can say stays in its year.
func TestTheLastMomentStaysInItsYear(t *testing.T) {
	p := settled(t)
	e := happened(t, 1, `{"type":"daily","user":{"user_id":"u"},"data":[{"metadata":{"start_time":"9999-12-31T23:59:59.999999999Z","end_time":"9999-12-31T23:59:59-01:00"}}]}`)
	send(t, opened(t, p), e)
	row := p.Rows(t, "terra_data_payloads", "payload_id")[0]
	if _, there := row["end_time"]; row["start_time"] != "9999-12-31T23:59:59.999999Z" || there {
		t.Errorf("%v", row)
	}
}

func TestContentItem(t *testing.T) {
	p := settled(t)
	d := opened(t, p, func(c *Config) { c.Content = contentItem })
	send(t, d, happened(t, 1, `{"type":"sleep","user":{"user_id":"u"},"data":[{"n":1},{"n":2}]}`))
	var got []string
	for _, body := range bodies(t, p) {
		got = append(got, string(body))
	}
	if want := []string{`{"n":1,"user":{"user_id":"u"}}`, `{"n":2,"user":{"user_id":"u"}}`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func many(items int) string {
	all := make([]string, items)
	for i := range all {
		all[i] = fmt.Sprintf(`{"n":%d,"metadata":{"start_time":"2026-07-01T00:00:%02dZ"}}`, i, i%60)
	}
	return `{"type":"body","user":{"user_id":"u"},"data":[` + strings.Join(all, ",") + `]}`
}

// An attempt that ends in the middle leaves what it has done, and the next one
// does not do it again.
func TestALargeEventMakesProgress(t *testing.T) {
	p := settled(t)
	d := opened(t, p)
	e := happened(t, 1, many(300))
	var uploads, fails atomic.Int64
	fails.Store(150)
	p.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/storage/") {
			return false
		}
		if uploads.Add(1) > fails.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	})
	if err := deliver(t, d, e); err == nil {
		t.Fatal("it succeeded although storage broke")
	}
	kept := len(p.Rows(t, "terra_data_payloads", "payload_id"))
	if kept < 150-fanout.Width || kept > 150 {
		t.Errorf("%d rows after 150 objects", kept)
	}
	fails.Store(1 << 40)
	uploads.Store(0)
	if _, err := d.Send(t.Context(), destination.Delivery{ID: "x", Attempt: 2, Event: e}); err != nil {
		t.Fatal(err)
	}
	if n := uploads.Load(); n != int64(300-kept) {
		t.Errorf("the second attempt wrote %d objects, want the missing %d", n, 300-kept)
	}
	if n := len(bodies(t, p)); n != 300 {
		t.Errorf("%d payloads of 300", n)
	}
}

// stored is storage's answer to an upload.
func stored(r *http.Request) answers {
	return answers{200, nil, `{"Key":"` + strings.TrimPrefix(r.URL.Path, "/storage/v1/object/") + `","Id":"x"}`}
}

// heldUp is a project whose storage keeps uploads waiting.
type heldUp struct {
	waiting atomic.Int64
	release chan struct{}
}

func (h *heldUp) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, "/storage/") {
		h.waiting.Add(1)
		<-h.release
		h.waiting.Add(-1)
		return stored(r).RoundTrip(r)
	}
	if r.Method == http.MethodPost { // the rows that it brings are new
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		return answers{201, nil, string(body)}.RoundTrip(r)
	}
	return answers{200, nil, `[{}]`}.RoundTrip(r)
}

func TestEightObjectsAreWrittenAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heldUp{release: make(chan struct{})}
		d := over(t, h)
		sent := make(chan error)
		go func() { sent <- deliver(t, d, happened(t, 1, many(100))) }()
		for left := 100; left > 0; left-- {
			synctest.Wait()
			if n := h.waiting.Load(); n != int64(min(left, 8)) {
				t.Fatalf("%d objects are on their way, want %d of %d", n, min(left, 8), left)
			}
			h.release <- struct{}{}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// One item that will never fit is told, and spares the others.
func TestARejectedItemSparesTheOthers(t *testing.T) {
	p := settled(t)
	d := opened(t, p)
	p.Restrict("terra-payloads", false, 1000)
	large := `{"n":"` + strings.Repeat("x", 2000) + `"},`
	err := deliver(t, d, happened(t, 1, strings.Replace(many(100), "[", "["+large, 1)))
	if class, _ := destination.ClassOf(err); class != destination.Rejected {
		t.Errorf("%v is %v", err, class)
	}
	if n := len(bodies(t, p)); n != 100 {
		t.Errorf("%d payloads, want all 100 but the large one", n)
	}
}

func day(n int, hour string) string {
	return fmt.Sprintf(`{"type":"daily","user":{"user_id":"u"},"n":%d,"data":[{"metadata":{"start_time":"2026-07-01T%s:00:00Z"}}]}`, n, hour)
}

func TestNaturalIdentityLastWriteWins(t *testing.T) {
	p := settled(t)
	d := opened(t, p, natural)
	first, second, third := happened(t, 1, day(1, "00")), happened(t, 2, day(2, "01")), happened(t, 3, day(3, "02"))
	third.Ordering = second.Ordering // ids decide
	other := happened(t, 4, strings.Replace(day(4, "00"), "daily", "body", 1))
	for _, order := range [][]*event.Event{{first, second, third}, {third, first, second}, {second, third, first, third}} {
		send(t, d, append(order, other)...)
		rows := p.Rows(t, "terra_data_payloads", "data_type")
		if len(rows) != 2 || rows[1]["start_time"] != "2026-07-01T02:00:00Z" || rows[1]["created_at"] != sqltables.PlaceOf(third).CreatedAt {
			t.Errorf("%v", rows)
		}
		var got []string
		for _, b := range bodies(t, p) {
			got = append(got, string(b))
		}
		slices.Sort(got)
		if want := []string{string(other.Body), string(third.Body)}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		empty(t, p)
	}
}

func TestNaturalIdentityRaced(t *testing.T) {
	p := settled(t)
	d := opened(t, p, natural)
	for round := range 5 {
		var all sync.WaitGroup
		var newest *event.Event
		for n := range 8 {
			e := happened(t, 10*round+n, day(n, "00"))
			newest = e
			all.Go(func() {
				for err := deliver(t, d, e); err != nil; err = deliver(t, d, e) {
					t.Logf("again: %v", err)
				}
			})
		}
		all.Wait()
		if got := bodies(t, p); len(got) != 1 || string(got[0]) != string(newest.Body) {
			t.Errorf("%q, want %s", got, newest.Body)
		}
		empty(t, p)
	}
}

// What another daemon wrote meanwhile, newer than ours, keeps its row.
func TestNaturalIdentityGuardsItsRow(t *testing.T) {
	for name, sql := range map[string]string{
		"changed": `UPDATE terra_data_payloads SET updated_at = '2027', start_time = '2027-01-01'`,
		"added":   `INSERT INTO terra_data_payloads (payload_id, user_id, updated_at, start_time) SELECT $1, 'u', '2027', '2027-01-01'`,
	} {
		p := settled(t)
		d := opened(t, p, natural)
		first, second := happened(t, 1, day(1, "00")), happened(t, 2, day(2, "00"))
		var args []any
		if name == "changed" {
			send(t, d, first)
		} else {
			for i := range d.items(first) {
				args = append(args, i.id())
			}
		}
		p.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/storage/") {
				if _, err := p.DB.Exec(sql, args...); err != nil {
					t.Error(err)
				}
			}
			return false
		})
		send(t, d, second)
		if rows := p.Rows(t, "terra_data_payloads", "payload_id"); len(rows) != 1 || rows[0]["updated_at"] != "2027" || rows[0]["start_time"] != "2027-01-01T00:00:00Z" {
			t.Errorf("%s: %v", name, rows)
		}
	}
}

// Items of one event that are the same thing: the last one counts. Those without
// an identity are each their own.
func TestNaturalIdentityWithinAnEvent(t *testing.T) {
	p := settled(t)
	d := opened(t, p, natural)
	item := `{"n":%d,"metadata":{"start_time":"2026-07-01T00:00:00Z"}}`
	send(t, d, happened(t, 1, `{"type":"daily","user":{"user_id":"u"},"data":[`+fmt.Sprintf(item, 1)+","+fmt.Sprintf(item, 2)+","+fmt.Sprintf(item, 3)+`,{},{}]}`))
	got := bodies(t, p)
	if len(got) != 3 || !slices.ContainsFunc(got, func(b []byte) bool { return strings.Contains(string(b), `"n":3`) }) {
		t.Errorf("%q", got)
	}
}

func TestTurnsEnd(t *testing.T) {
	var turns turns
	done, err := turns.take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := turns.take(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it gave up waiting", err)
	}
	done()
	if done, err = turns.take(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	done()
	if len(turns.busy) > 0 {
		t.Error("a turn was left behind")
	}
}

func TestSegments(t *testing.T) {
	long := strings.Repeat("é", 200)
	for text, want := range map[string]string{
		"daily": "daily", "lab_report.completed": "lab_report.completed", "a b": "a b", "a/b": "a=2Fb", "a=b": "a=3Db", "..": "=2E.",
		"ü": "=C3=BC", "a%2F": "a=252F", "[]": "=5B=5D", "\x00\n~^|\\\"<>{}#`": "=00=0A=7E=5E=7C=5C=22=3C=3E=7B=7D=23=60", "!-*'() &$@;:+,?": "!-*'() &$@;:+,=3F",
	} {
		if got := segment(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	a, b := segment(long), segment(long+"x")
	if a == b || len(a) > maxSegment || len(b) > maxSegment || !strings.Contains(a, "==") {
		t.Errorf("%s, %s", a, b)
	}
	if reflect.DeepEqual(segment("a"), segment("A")) {
		t.Error("letters lost their case")
	}
}
