package api

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// checks stands for the real ones: it finds what a test says.
type checks struct {
	mu     sync.Mutex
	result check.Result
	asked  []store.DestinationKey
	last   map[store.DestinationKey]check.Result
}

var _ Checks = (*checks)(nil)

func (c *checks) Check(_ context.Context, key store.DestinationKey) (check.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, key)
	return c.result, nil
}

func (c *checks) LastCheck(key store.DestinationKey) (check.Result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.last[key]
	return r, ok
}

var found = check.Result{
	At: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), Took: 42 * time.Millisecond, Level: check.Warn,
	Expires: time.Date(2026, 7, 10, 0, 0, 0, 0, time.UTC),
	Findings: []check.Finding{
		{Name: "connect", Level: check.OK, Message: "connected"},
		{Name: "tls", Level: check.Warn, Message: "it ends soon", Advice: "renew it"},
	},
}

func TestCheckShowsEveryFindingAndWhyADestinationStands(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("op", "operate", "acme"), token("reader", "read")}})
	r.checks.result = found
	got := r.do("POST", "/v1/destinations/acme/app/check", "", bearer("op"))
	want := `"check":{"at":"2026-07-01T12:00:00Z","ms":42,"result":"warn","certificate_expires":"2026-07-10T00:00:00Z","findings":[{"name":"connect","result":"ok","message":"connected"},{"name":"tls","result":"warn","message":"it ends soon","advice":"renew it"}]}}`
	if got.status != 200 || !strings.Contains(string(got.body), want) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if err := r.sched.set(1, func(s *delivery.Status) { s.State, s.Reason = "held", "no such bucket" }); err != nil {
		t.Fatal(err)
	}
	got = r.do("POST", "/v1/destinations/acme/app/check", "{}", bearer("op"))
	for _, part := range []string{`"result":"fail"`, `"name":"state"`, "held by the daemon: no such bucket", "fantail resume acme/app"} {
		if !strings.Contains(string(got.body), part) {
			t.Errorf("it does not say %q: %s", part, got)
		}
	}
	if err := r.sched.set(1, func(s *delivery.Status) {
		s.State, s.Reason, s.WaitsUntil = "active", "answered 429 Too Many Requests", time.Date(2026, 7, 1, 13, 0, 0, 0, time.UTC)
	}); err != nil {
		t.Fatal(err)
	}
	got = r.do("POST", "/v1/destinations/acme/app/check", "", bearer("op"))
	for _, part := range []string{`"waits_until":"2026-07-01T13:00:00Z"`, "waits until 2026-07-01T13:00:00Z, as its far side asked: answered 429 Too Many Requests", "fantail resume acme/app"} {
		if !strings.Contains(string(got.body), part) {
			t.Errorf("it does not say %q: %s", part, got)
		}
	}
	for path, status := range map[string]int{"initech/crm": 404, "acme/none": 404} {
		if got := r.do("POST", "/v1/destinations/"+path+"/check", "", bearer("op")); got.status != status {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := r.do("POST", "/v1/destinations/acme/app/check", "", bearer("reader")); got.status != 403 {
		t.Errorf("a reader: %s", got)
	}
	if got := r.do("POST", "/v1/destinations/acme/app/check", `{"x":1}`, bearer("op")); got.status != 400 {
		t.Errorf("a strange body: %s", got)
	}
	if len(r.checks.asked) != 3 {
		t.Errorf("checked %v", r.checks.asked)
	}
}

func TestDestinationsShowWhatTheLastCheckFoundAmiss(t *testing.T) {
	r := newRig(t, setup{})
	r.checks.last = map[store.DestinationKey]check.Result{{Developer: "acme", Name: "app", Kind: "webhook"}: found}
	got := r.do("GET", "/v1/destinations?developer=acme", "")
	if n := strings.Count(string(got.body), `"check"`); n != 1 {
		t.Errorf("%d checks: %s", n, got.body)
	}
	if !strings.Contains(string(got.body), `"findings":[{"name":"tls"`) {
		t.Errorf("not what is amiss alone: %s", got.body)
	}
}

func TestTestEventGoesToOneDestinationAlone(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("op", "operate", "acme"), token("producer", "ingest"), token("all", "operate")}})
	type answer struct {
		ID, Reference, Delivery string
		Destination             destinationView
	}
	test := func(path, body string) (v answer) {
		t.Helper()
		got := r.do("POST", path, body, bearer("op"))
		if got.into(t, &v); got.status != 202 {
			t.Fatal(got)
		}
		return v
	}
	// night wants sleep alone, and gets what is sent to test it.
	v := test("/v1/destinations/acme/night/test?type=daily&provider=OURA&user=u-1&seed=7", "")
	if v.Delivery != v.ID+"_2" || !strings.HasPrefix(v.Reference, "fantail-test-") || v.Destination.Name != "night" {
		t.Errorf("%+v", v)
	}
	var e eventView
	r.do("GET", "/v1/events/"+v.ID, "", bearer("op")).into(t, &e)
	if e.Type != "daily" || e.User != "u-1" || strings.Join(e.Destinations, " ") != "night" {
		t.Errorf("stored %+v", e)
	}
	body := string(r.do("GET", "/v1/events/"+v.ID+"/body", "", bearer("op")).body)
	if !strings.Contains(body, `"provider":"OURA"`) {
		t.Errorf("made up: %s", body)
	}
	again := test("/v1/destinations/acme/night/test?type=daily&provider=OURA&user=u-1&seed=7", "")
	if again.ID == v.ID {
		t.Error("it is no new event")
	}
	if got := string(r.do("GET", "/v1/events/"+again.ID+"/body", "", bearer("op")).body); got != body {
		t.Errorf("the same seed made another event:\n%s\n%s", body, got)
	}
	// It does not wait until the far side wants more.
	if err := r.sched.set(1, func(s *delivery.Status) { s.WaitsUntil = time.Now().Add(time.Hour) }); err != nil {
		t.Fatal(err)
	}
	if v := test("/v1/destinations/acme/app/test", ""); !v.Destination.WaitsUntil.IsZero() {
		t.Errorf("it says that it waits: %+v", v.Destination)
	}
	if s := r.sched.Status()[0]; s.ID != 1 || !s.WaitsUntil.IsZero() {
		t.Errorf("after a test event: %+v", s)
	}
	// A body of one's own arrives byte for byte.
	own := "{\"type\":\"sleep\",\n \"n\": 1.50}"
	v = test("/v1/destinations/acme/app/test", own)
	if got := string(r.do("GET", "/v1/events/"+v.ID+"/body", "", bearer("op")).body); got != own {
		t.Errorf("stored %q", got)
	}

	for _, c := range []struct {
		path, body, who string
		status          int
		code            string
	}{
		{"acme/app/test?type=slep", "", "op", 400, "unknown_type"},
		{"acme/app/test?seed=-1", "", "op", 400, "invalid_parameter"},
		{"acme/app/test?typ=sleep", "", "op", 400, "invalid_parameter"},
		{"acme/app/test?user=" + strings.Repeat("u", 257), "", "op", 400, "invalid_parameter"},
		{"acme/app/test?type=sleep", own, "op", 400, "invalid_request"},
		{"acme/app/test", "{", "op", 400, "invalid_json"},
		{"acme/none/test", "", "op", 404, "not_found"},
		{"initech/crm/test", "", "op", 404, "not_found"},
		{"acme/app/test", "", "producer", 403, "forbidden"},
	} {
		if got := r.do("POST", "/v1/destinations/"+c.path, c.body, bearer(c.who)); got.status != c.status || got.code() != c.code {
			t.Errorf("%s by %s: %s", c.path, c.who, got)
		}
	}
	if n := r.stored(); n != 4 {
		t.Errorf("%d events are stored, want 4", n)
	}
}

// What is refused of events that come in as events is refused here too.
func TestTestEventsAreLimitedAsAll(t *testing.T) {
	r := newRig(t, setup{maxBody: 4096, limits: ingest.Limits{Rate: 1}})
	const path = "/v1/destinations/acme/app/test"
	if a := r.do("POST", path, `{"type":"`+strings.Repeat("x", 5000)+`"}`); a.status != 413 {
		t.Errorf("too large: %s", a)
	}
	if a := r.do("POST", path, sleep, "Content-Encoding: gzip"); a.status != 415 {
		t.Errorf("compressed: %s", a)
	}
	for n := 0; ; n++ {
		a := r.do("POST", path, sleep)
		if a.status == 429 && n > 0 {
			break
		}
		if a.status != 202 || n > 100 {
			t.Fatalf("%d: %s", n, a)
		}
	}
}

// deadlines is a writer that remembers until when a body may come.
type deadlines struct {
	*httptest.ResponseRecorder
	last time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.last = t
	return nil
}

// TestTheTimeForABodyEndsWithIt: net/http takes a client for gone when it runs out,
// which ended the check of a host that was silent for longer, without a result.
func TestTheTimeForABodyEndsWithIt(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("op", "ingest operate", "acme")}})
	r.checks.result = found
	for path, body := range map[string]string{"/v1/destinations/acme/app/check": "{}", "/v1/events": sleep} {
		for _, length := range []int64{int64(len(body)), -1} {
			req := httptest.NewRequest("POST", "http://localhost"+path, strings.NewReader(body))
			req.ContentLength = length
			req.Header.Set("Authorization", strings.TrimPrefix(bearer("op"), "Authorization: "))
			req.Header.Set("dev-id", "acme")
			w := &deadlines{httptest.NewRecorder(), time.Unix(1, 0)}
			if r.api.ServeHTTP(w, req); w.Code >= 300 || !w.last.IsZero() {
				t.Errorf("%s, length %d: %d %s, the body may come until %v", path, length, w.Code, w.Body, w.last)
			}
		}
	}
}
