package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// What the pages of the console need is part of the API that everybody has.

type destinationList struct {
	page[destinationView]
	Totals *totalsView `json:"totals"`
}

func (l *destinationList) names() (names []string) {
	for _, d := range l.Items {
		names = append(names, d.Developer+"/"+d.Name)
	}
	return names
}

func TestDestinationsThatNeedSomebodyComeFirst(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "read"), token("acme", "read", "acme")}})
	old := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	app, night, crm := &r.sched.all[0], &r.sched.all[1], &r.sched.all[2]
	app.Pending, app.InFlight, app.OldestPending = 4, 1, old.Add(time.Hour)
	night.Pending, night.Dead, night.OldestPending = 2, 7, old
	night.Last = store.Last{Failed: 3}
	night.Wait = delivery.Wait{For: delivery.WaitBreaker}
	crm.State, crm.Pending = "held", 100
	for query, want := range map[string][]string{
		"":                           {"acme/app", "acme/night", "initech/crm"},
		"?sort=name":                 {"acme/app", "acme/night", "initech/crm"},
		"?sort=worst":                {"initech/crm", "acme/night", "acme/app"},
		"?sort=worst&developer=acme": {"acme/night", "acme/app"},
		"?failing=true":              {"acme/night"},
		"?failing=true&state=held":   nil,
		"?q=ACME/N":                  {"acme/night"},
		"?q=webhook":                 {"acme/app", "acme/night", "initech/crm"},
		"?q=acme/app%20webhook":      {"acme/app"},
		"?q=nobody":                  nil,
	} {
		var l destinationList
		if r.do("GET", "/v1/destinations"+query, "", bearer("all")).into(t, &l); !slices.Equal(l.names(), want) || l.Totals != nil {
			t.Errorf("%s: %q, want %q", query, l.names(), want)
		}
	}
	var names []string
	for cursor, n := "", 0; n == 0 || cursor != ""; n++ {
		var l destinationList
		r.do("GET", "/v1/destinations?sort=worst&limit=1"+cursor, "", bearer("all")).into(t, &l)
		names = append(names, l.names()...)
		if cursor = ""; l.Next != "" {
			cursor = "&cursor=" + l.Next
			if got := r.do("GET", "/v1/destinations?limit=1"+cursor, "", bearer("all")); got.status != 400 || got.code() != "invalid_cursor" {
				t.Errorf("a cursor of another order: %s", got)
			}
		}
	}
	if !slices.Equal(names, []string{"initech/crm", "acme/night", "acme/app"}) {
		t.Errorf("page by page: %q", names)
	}

	var l destinationList
	r.do("GET", "/v1/destinations?totals=true&limit=1&state=paused", "", bearer("all")).into(t, &l)
	if got, want := fmt.Sprintf("%+v", *l.Totals), fmt.Sprintf("%+v", totalsView{3, map[string]int{"active": 2, "held": 1}, 1, 1, 106, old, 1, 7}); got != want {
		t.Errorf("totals %s, want %s", got, want)
	}
	l = destinationList{}
	r.do("GET", "/v1/destinations?totals=true", "", bearer("acme")).into(t, &l)
	if l.Totals.Destinations != 2 || l.Totals.Pending != 6 || l.Totals.States["held"] != 0 {
		t.Errorf("totals of a token of one developer: %+v", l.Totals)
	}
}

func TestOutcomesOfADestinationThatIsRecorded(t *testing.T) {
	r := newRig(t, setup{})
	now := time.Now()
	app := r.api.Series.Dest(r.sched.all[0].ID, "webhook")
	r.api.Series.Tick(now.Add(-time.Hour), func(uint32) int64 { return 0 })
	if _, err := r.api.Series.Of(r.sched.all[0].ID, now); err != nil {
		t.Fatal(err)
	}
	app.Failed()
	app.Failed()
	for at := now.Add(-50 * time.Minute); at.Before(now); at = at.Add(10 * time.Second) {
		r.api.Series.Tick(at, func(uint32) int64 { return 0 })
	}
	var l destinationList
	r.do("GET", "/v1/destinations?outcomes=true", "").into(t, &l)
	o := l.Items[0].Outcomes
	if o == nil || o.Step != 1800 || len(o.Failed) != 48 || len(o.Delivered) != 48 || o.Failed[0] != nil {
		t.Fatalf("outcomes %+v", o)
	}
	sum := int64(0)
	for _, n := range o.Failed {
		if n != nil {
			sum += *n
		}
	}
	if sum != 2 {
		t.Errorf("%d failed, want 2", sum)
	}
	if l.Items[1].Outcomes != nil {
		t.Error("a list has a destination recorded that nobody asked for")
	}
	if r.do("GET", "/v1/destinations", "").into(t, &l); l.Items[0].Outcomes != nil && strings.Contains(string(r.do("GET", "/v1/destinations", "").body), "outcomes_24h") {
		t.Error("outcomes are told unasked")
	}
}

func TestAReferenceIsFound(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate"), token("crm", "read", "initech")}})
	id := r.post(sleep, bearer("all"), "terra-reference: order-17")
	for range 5 {
		r.post(sleep, bearer("all"))
	}
	for query, want := range map[string]int{"reference=order-17": 1, "reference=order-17&limit=1": 1, "reference=order-1": 0, "reference=order-17&type=daily": 0, "reference=order-17&developer=acme": 1} {
		var p page[eventView]
		r.do("GET", "/v1/events?"+query, "", bearer("all")).into(t, &p)
		if len(p.Items) != want || want == 1 && p.Items[0].ID.String() != id {
			t.Errorf("%s: %+v", query, p.Items)
		}
	}
	var p page[eventView]
	if r.do("GET", "/v1/events?reference=order-17", "", bearer("crm")).into(t, &p); len(p.Items) != 0 {
		t.Errorf("another developer sees %+v", p.Items)
	}
}

// A dry run counts what a change would change, and is no act.
func TestADryRunOfAChangeCountsAndChangesNothing(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate"), token("reader", "read")}})
	for range 3 {
		r.post(sleep, bearer("all"))
	}
	id := r.post(`{"type":"daily","user":{"user_id":"u2"},"data":[]}`, bearer("all")) + "_1"
	for body, want := range map[string]int{
		`{"developer":"acme","dry_run":true}`:                                 7,
		`{"developer":"acme","destination":"app","dry_run":true}`:             4,
		`{"developer":"acme","dry_run":true,"types":["daily"]}`:               1,
		`{"developer":"acme","dry_run":true,"types":["daily","sleep"]}`:       7,
		`{"developer":"acme","dry_run":true,"user":"u2"}`:                     1,
		`{"developer":"acme","dry_run":true,"classes":["transient"]}`:         0,
		`{"developer":"acme","dry_run":true,"codes":[500,503]}`:               0,
		`{"all":true,"dry_run":true,"state":"dead"}`:                          0,
		`{"developer":"acme","dry_run":true,"since":"2099-01-01T00:00:00Z"}`:  0,
		`{"developer":"acme","dry_run":true,"user":"u2","types":["sleep"]}`:   0,
		`{"developer":"acme","dry_run":true,"user":"u2","destination":"app"}`: 1,
	} {
		var s stepView
		if r.do("POST", "/v1/deliveries/cancel", body, bearer("all")).into(t, &s); s.Matched != want || s.Changed != 0 {
			t.Errorf("%s: %+v, want %d", body, s, want)
		}
	}
	if got := stateOfBy(r, id, "all"); got != "pending" {
		t.Errorf("after dry runs it is %s", got)
	}
	if acts := r.acts("?call=cancelDeliveries", bearer("all")); len(acts) != 0 {
		t.Errorf("dry runs are acts: %+v", acts)
	}
	if got := r.do("POST", "/v1/deliveries/cancel", `{"developer":"acme","dry_run":true}`, bearer("reader")); got.status != 403 {
		t.Errorf("of a reader: %s", got)
	}
	var s stepView
	if r.do("POST", "/v1/deliveries/cancel", `{"developer":"acme","user":"u2"}`, bearer("all")).into(t, &s); s.Matched != 1 || s.Changed != 1 || stateOfBy(r, id, "all") != "cancelled" {
		t.Errorf("of one user: %+v", s)
	}
}

func stateOfBy(r *rig, id, by string) string {
	var v struct{ State string }
	r.do("GET", "/v1/deliveries/"+id, "", bearer(by)).into(r.t, &v)
	return v.State
}

func TestTheRequestOfADelivery(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate"), token("crm", "read", "initech"), token("producer", "ingest")}})
	event := r.post(sleep, bearer("all"), "terra-reference: order-17")
	id := event + "_1"
	var v struct {
		Destination string
		Frozen      bool
		Request     struct{ Target, Body string }
	}
	if r.do("GET", "/v1/deliveries/"+id+"/request", "", bearer("all")).into(t, &v); v.Destination != "app" || v.Frozen || v.Request.Body != sleep || v.Request.Target != "https://example.com/"+id {
		t.Errorf("%+v", v)
	}
	if r.shown.seen.Reference != "order-17" {
		t.Errorf("explained %+v", r.shown.seen)
	}
	if acts := r.acts("?call=getDeliveryRequest", bearer("all")); len(acts) != 1 || acts[0].By != "all" || acts[0].Developer != "acme" {
		t.Errorf("a read of a body is an act: %+v", acts)
	}
	for by, want := range map[string]int{"crm": 404, "producer": 403} {
		if got := r.do("GET", "/v1/deliveries/"+id+"/request", "", bearer(by)); got.status != want {
			t.Errorf("by %s: %s", by, got)
		}
	}
	if got := r.do("DELETE", "/v1/users/u1/data?developer=acme", "", bearer("all")); got.status != 200 {
		t.Fatal(got)
	}
	if got := r.do("GET", "/v1/deliveries/"+id+"/request", "", bearer("all")); got.status != 410 || got.code() != "gone" {
		t.Errorf("of an erased body: %s", got)
	}
}

func TestAnExampleIsMadeUpAndNotStored(t *testing.T) {
	r := newRig(t, setup{})
	one := r.do("GET", "/v1/event-types/sleep/example?provider=GARMIN&user=u7&seed=18446744073709551615", "")
	if one.status != 200 || !strings.Contains(string(one.body), `"type":"sleep"`) || !strings.Contains(string(one.body), `"user_id":"u7"`) || !strings.Contains(string(one.body), "GARMIN") {
		t.Errorf("got %s", one)
	}
	if got := r.do("GET", "/v1/event-types/no_such/example", ""); got.status != 400 || got.code() != "unknown_type" {
		t.Errorf("another type: %s", got)
	}
	if n := r.stored(); n != 0 {
		t.Errorf("%d events are stored", n)
	}
}

// The pages are served to anybody, below /console/ and nowhere else.
func TestPagesNeedNoToken(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "read")}})
	r.api.Console = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, "page "+q.URL.Path) })
	r.api.mux = r.api.newMux()
	for path, want := range map[string]int{"/console/": 200, "/console/app.js": 200, "/console//": 404, "/console/x/../y": 404, "/consoles/": 404, "/Console/": 404, "/console/app.js/": 404} {
		w := httptest.NewRecorder()
		if r.api.ServeHTTP(w, httptest.NewRequest("GET", path, nil)); w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
	w := httptest.NewRecorder()
	if r.api.ServeHTTP(w, httptest.NewRequest("GET", "/console", nil)); w.Code != 301 || w.Header().Get("Location") != "console/" {
		t.Errorf("without its slash: %d, %v", w.Code, w.Header())
	}
}
