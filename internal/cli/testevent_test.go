package cli

import (
	"net/http"
	"strings"
	"testing"
)

const testedEvent = `{"id":"e1","reference":"fantail-test-1","delivery":"e1_1","destination":{"developer":"acme","name":"app","kind":"webhook","state":"active","pending":0,"in_flight":0,"breaker":"closed"}}`

func TestTestWaitsForTheFirstAttemptAndShowsIt(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"POST /v1/destinations/acme/app/test": say(testedEvent),
		"GET /v1/deliveries/e1_1": inOrder(
			say(`{"id":"e1_1","event":"e1","state":"pending","due":"2026-07-01T12:00:00Z","attempts":[]}`),
			say(`{"id":"e1_1","event":"e1","state":"pending","due":"2026-07-01T12:00:30Z","attempts":[{"at":"2026-07-01T12:00:00Z","ms":42,"class":"transient","code":500,"answer":"out of order","address":"192.0.2.1:443","counted":true}]}`)),
	})
	f.run(t, "test", "acme/app", "--type", "sleep", "--provider", "GARMIN", "--user", "u", "--seed", "7").want(t, 1, `destination  acme/app
event        e1
reference    fantail-test-1
delivery     e1_1
result       failed; it is tried again 2026-07-01 12:00:30Z (in 30s)
attempt      transient
code         500
address      192.0.2.1:443
took         42ms
answer       out of order
`, "")
	if got := f.requests(); len(got) != 3 || got[0].what != "POST /v1/destinations/acme/app/test?provider=GARMIN&seed=7&type=sleep&user=u" {
		t.Errorf("asked %+v", got)
	}
}

func TestTestTellsWhyItWaits(t *testing.T) {
	for state, want := range map[string]string{
		`"disabled"`:               "result       waits: the destination is disabled\n",
		`"paused","reason":"move"`: "result       waits: the destination is paused (move)\n",
		`"active","reason":"answered 429","waits_until":"2026-07-01T13:00:00Z"`: "result       not tried yet: the destination waits until 2026-07-01 13:00:00Z (in 1h): answered 429\n",
	} {
		f := newFake(t, map[string]http.HandlerFunc{
			"POST /v1/destinations/acme/app/test": say(strings.Replace(testedEvent, `"active"`, state, 1)),
			"GET /v1/deliveries/e1_1":             say(`{"id":"e1_1","event":"e1","state":"pending","due":"2026-07-01T12:00:00Z","attempts":[]}`),
		})
		r := f.run(t, "test", "acme/app")
		if r.code != 1 || !strings.Contains(r.out, want) || len(f.requests()) != 2 { // at once
			t.Errorf("%s: %+v, want %q", state, r, want)
		}
	}
}

// TestTestSeesWhatBeginsWhileItWaits: a destination may be throttled after the event was accepted,
// so that its state at acceptance says nothing.
func TestTestSeesWhatBeginsWhileItWaits(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"POST /v1/destinations/acme/app/test": say(testedEvent),
		"GET /v1/deliveries/e1_1":             say(`{"id":"e1_1","event":"e1","state":"pending","due":"2026-07-01T12:00:00Z","attempts":[]}`),
		"GET /v1/destinations":                say(`{"items":[{"developer":"acme","name":"app","state":"held","reason":"no such bucket"}],"next":""}`),
	})
	r := f.run(t, "test", "acme/app")
	if r.code != 1 || !strings.Contains(r.out, "result       waits: the destination is held (no such bucket)\n") || len(f.requests()) > 20 {
		t.Errorf("%+v after %d requests", r, len(f.requests()))
	}
}

func TestTestSendsAFileAsItIs(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"POST /v1/destinations/acme/app/test": say(testedEvent),
		"GET /v1/deliveries/e1_1":             say(`{"id":"e1_1","event":"e1","state":"delivered","attempts":[]}`),
	})
	r := trial{in: "{\"type\":\n\"x\"}", env: map[string]string{"FANTAIL_SERVER": f.URL}}.run(t, "test", "acme/app", "--from", "-")
	if got := f.requests()[0]; r.code != 0 || got.body != "{\"type\":\n\"x\"}" || strings.Contains(got.what, "?") {
		t.Errorf("exit %d, asked %+v", r.code, got)
	}
	for _, args := range [][]string{{"test", "acme"}, {"test", "acme/app", "--from", "x", "--type", "sleep"}, {"test", "acme/app", "--seed", "-1"}} {
		if r := f.run(t, args...); r.code != 2 {
			t.Errorf("%v: exit %d", args, r.code)
		}
	}
}
