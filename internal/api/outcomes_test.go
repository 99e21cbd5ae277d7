package api

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// What the engine knows of a destination's last attempts is shown, a check says
// what is wrong, and an erasure takes what the far side said.
func TestADestinationShowsItsOutcomes(t *testing.T) {
	r := newRig(t, setup{})
	r.checks.result.Level = check.OK
	at := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	until := at.Add(time.Minute)
	r.sched.all[0].Last = store.Last{Success: at.UnixNano(), Failed: 3, Answer: store.Answer{At: at.Add(time.Hour).UnixNano(), Class: "transient", Code: 500, Text: "oops", Fault: "answered 500"}}
	r.sched.all[0].Reason, r.sched.all[0].Dead = "the last 3 attempts failed: answered 500", 7
	r.sched.all[0].Wait = delivery.Wait{For: delivery.WaitBreaker, Until: until}
	r.sched.all[1].Wait = delivery.Wait{For: delivery.WaitRate, Until: until}
	var list, after struct {
		Items []destinationView `json:"items"`
	}
	r.do("GET", "/v1/destinations?developer=acme", "").into(t, &list)
	app, night := list.Items[0], list.Items[1]
	if a := app.LastAnswer; a == nil || *a != (answerView{at.Add(time.Hour), "transient", 500, "oops", "answered 500"}) {
		t.Errorf("answer %+v", a)
	}
	if !app.LastSuccess.Equal(at) || app.Failed != 3 || app.Dead != 7 || app.WaitsFor != "breaker" || !app.WaitsUntil.Equal(until) {
		t.Errorf("%+v", app)
	}
	if night.LastAnswer != nil || !night.LastSuccess.IsZero() || night.WaitsFor != "" || !night.WaitsUntil.IsZero() {
		t.Errorf("of one that was never tried, and has a rate: %+v", night)
	}
	for what, want := range map[string]string{
		"app":   "the last 3 attempts failed: answered 500; the last success was at 2026-07-01T09:00:00Z",
		"night": "",
	} {
		var checked destinationView
		r.do("POST", "/v1/destinations/acme/"+what+"/check", "").into(t, &checked)
		found := ""
		for _, f := range checked.Check.Findings {
			if f.Name == "state" {
				found = f.Message
				if f.Result != "warn" || !strings.Contains(f.Advice, "fantail deliveries --developer acme --destination app") {
					t.Errorf("%s: %+v", what, f)
				}
			}
		}
		if found != want {
			t.Errorf("%s: %q, want %q", what, found, want)
		}
	}
	if a := r.do("DELETE", "/v1/users/u/data?developer=acme", ""); a.status != 200 {
		t.Fatal(a)
	}
	r.do("GET", "/v1/destinations?developer=acme", "").into(t, &after)
	if a := after.Items[0].LastAnswer; a.Answer != "" || a.Fault != "" || a.Code != 500 {
		t.Errorf("after an erasure: %+v", a)
	}
}
