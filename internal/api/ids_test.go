package api

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// The beginning of an id stands for it wherever an id is taken, as long as it means one
// thing that the caller may see.
func TestIDsMayBeCutShort(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate"), token("initech", "read", "initech")}})
	one := r.post(`{"type":"daily"}`, bearer("all")) // to app alone
	two := r.post(sleep, bearer("all"))              // to app and night
	for one[:8] != two[:8] {                         // a minute ended between them
		one, two = r.post(`{"type":"daily"}`, bearer("all")), r.post(sleep, bearer("all"))
	}
	short := one[:18]
	for _, path := range []string{"/v1/events/ID", "/v1/events/ID/body", "/v1/deliveries/ID_1", "/v1/deliveries/ID", "/v1/deliveries?event=ID"} {
		a := r.do("GET", strings.ReplaceAll(path, "ID", short), "", bearer("all"))
		if a.status != 200 || !strings.HasSuffix(path, "body") && !strings.Contains(string(a.body), `"`+one) {
			t.Errorf("%s: %s", path, a)
		}
		if a := r.do("GET", strings.ReplaceAll(path, "ID", short), "", bearer("initech")); a.status != 404 && !strings.Contains(string(a.body), `"items":[]`) {
			t.Errorf("somebody else's %s: %s", path, a)
		}
	}
	if a := r.do("POST", "/v1/deliveries/"+two[:18]+"_2/cancel", "", bearer("all")); a.status != 200 || !strings.Contains(string(a.body), two+"_2") {
		t.Errorf("cancelling: %s", a)
	}
	if a := r.do("POST", "/v1/deliveries/cancel", `{"event":"`+short+`"}`, bearer("all")); a.status != 200 || !strings.Contains(string(a.body), `"changed":1`) {
		t.Errorf("cancelling many: %s", a)
	}
	// Two events of the same minute, and one with two deliveries.
	for path, want := range map[string]string{"/v1/events/" + one[:9]: two, "/v1/deliveries/" + two[:18]: two + "_2", "/v1/deliveries?event=" + one[:8]: one} {
		if a := r.do("GET", path, "", bearer("all")); a.status != 400 || a.code() != "ambiguous_id" || !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %s", path, a)
		}
	}
	if a := r.do("GET", "/v1/events/"+one[:8], "", bearer("initech")); a.status != 404 {
		t.Errorf("somebody else's ids are named: %s", a)
	}
	for path, want := range map[string]int{
		"/v1/events/" + one[:7]: 404, "/v1/events/00000000-0000": 404, "/v1/events/" + strings.ToUpper(short): 404, "/v1/events/" + one[:18] + "x": 404,
		"/v1/deliveries/" + short + "_9": 404, "/v1/deliveries/" + short + "_x": 404, "/v1/deliveries?event=" + one[:7]: 400, "/v1/deliveries?event=00000000": 200,
		"/v1/events/ffffffff-ffff": 404,
	} {
		if a := r.do("GET", path, "", bearer("all")); a.status != want {
			t.Errorf("%s: %s, want %d", path, a, want)
		}
	}
}

// Of 1,000 events of one moment each has a beginning of its own in 18 characters, and is
// found by it.
func TestEventsOfOneMomentHaveBeginningsOfTheirOwn(t *testing.T) {
	r := newRig(t, setup{})
	batch := make([]*store.Entry, 1000)
	for i := range batch {
		batch[i] = &store.Entry{Event: &event.Event{Developer: "acme", Envelope: event.Envelope{Type: "sleep"}, Body: []byte(sleep)}, To: []uint32{1}}
	}
	appended, err := r.store.Append(t.Context(), time.Now(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range appended {
		if !a.ID.Time().Equal(appended[0].ID.Time()) {
			t.Fatal("they are not of one moment")
		}
		for _, path := range []string{"/v1/events/" + a.ID.String()[:18], "/v1/deliveries/" + a.ID.String()[:18] + "_1"} {
			if got := r.do("GET", path, ""); got.status != 200 || !strings.Contains(string(got.body), `"`+a.ID.String()) {
				t.Fatalf("%s: %s", path, got)
			}
		}
	}
}

// A list tells type, user and last answer, finds by them, and why a delivery is not
// tried when it is due.
func TestDeliveriesAreFoundByWhatTheyMet(t *testing.T) {
	r := newRig(t, setup{})
	id := r.post(`{"type":"daily","user":{"user_id":"ann"}}`)
	r.post(`{"type":"sleep","user":{"user_id":"bob"}}`)
	ev, err := event.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	due := now.Add(time.Hour)
	items, _, err := r.store.Due(t.Context(), store.QueueID{Dest: 1}, store.Position{}, 1<<62, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if it.ID.Event == ev {
			_, err := r.store.Settle(t.Context(), now, []store.Outcome{{
				Item: it, State: store.Pending, Due: due.UnixNano(), Attempts: 1,
				Attempt: &store.Attempt{At: now.UnixNano(), Took: time.Second, Class: "transient", Code: 503, Answer: "busy", Counted: true},
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func(query string) []client.Delivery {
		t.Helper()
		var p struct{ Items []client.Delivery }
		r.do("GET", "/v1/deliveries?"+query, "").into(t, &p)
		return p.Items
	}
	for query, want := range map[string]int{
		"detail=true": 3, "type=daily": 1, "type=daily&type=sleep": 3, "user=ann": 1, "user=nobody": 0, "class=transient": 1, "class=delivered": 0,
		"code=503": 1, "code=503&code=500": 1, "code=500": 0, "code=0": 0, "user=bob&destination=night": 1,
	} {
		got := list(query)
		if len(got) != want {
			t.Errorf("%s: %d, want %d", query, len(got), want)
		}
		for _, d := range got {
			if d.Type == "" || d.User == "" || (d.Event == id) != (d.LastAnswer != nil) {
				t.Errorf("%s: %+v", query, d)
			}
			if l := d.LastAnswer; l != nil && (l.Code != 503 || l.Answer != "busy" || !l.At.Equal(now.Add(time.Second))) {
				t.Errorf("%s: last answer %+v", query, l)
			}
		}
	}
	if got := list(""); got[0].Type != "" || got[0].LastAnswer != nil {
		t.Errorf("details that nobody asked for: %+v", got[0])
	}
	for _, query := range []string{"class=bad", "code=x", "detail=perhaps"} {
		if a := r.do("GET", "/v1/deliveries?"+query, ""); a.status != 400 {
			t.Errorf("%s: %s", query, a)
		}
	}
	wait := func(w delivery.Wait) client.Delivery {
		t.Helper()
		_ = r.sched.set(1, func(s *delivery.Status) { s.Wait = w })
		var d client.Delivery
		r.do("GET", "/v1/deliveries/"+id+"_1", "").into(t, &d)
		return d
	}
	if d := wait(delivery.Wait{For: delivery.WaitThrottled, Until: due.Add(time.Minute), Reason: "429"}); d.WaitsFor != "throttled" || d.WaitsReason != "429" || !d.WaitsUntil.Equal(due.Add(time.Minute)) {
		t.Errorf("%+v", d)
	}
	if d := wait(delivery.Wait{For: delivery.WaitThrottled, Until: due.Add(-time.Minute)}); d.WaitsFor != "" || d.LastAnswer == nil || d.Type != "daily" || d.User != "ann" {
		t.Errorf("of a wait that ends before it is due: %+v", d)
	}
	if d := wait(delivery.Wait{For: delivery.WaitHeld, Until: due.Add(-time.Minute), Reason: "401"}); d.WaitsFor != "held" {
		t.Errorf("of a hold that is probed before: %+v", d)
	}
}
