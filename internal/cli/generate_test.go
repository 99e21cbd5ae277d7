package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestGenerateCountsWhatIsRefused(t *testing.T) {
	var n atomic.Int64
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events": func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%4 == 0 {
			deny(422, "odd", "not this one")(w, r)
			return
		}
		w.WriteHeader(202)
		w.Write([]byte(`{"id":"e","reference":"r","deliveries":2}`))
	}})
	r := f.run(t, "generate", "--developer", "acme", "--rate", "1000", "--for", "40ms", "--types", "sleep", "--users", "1", "--seed", "7", "--json")
	var g generated
	if err := json.Unmarshal([]byte(r.out), &g); err != nil {
		t.Fatalf("%v: %s%s", err, r.out, r.err)
	}
	if r.code != 1 || g.Accepted != 30 || g.Refused != 10 || g.Deliveries != 60 || g.Refusals["odd: not this one"] != 10 || g.Seed != 7 || g.Max < g.P50 || g.P50 <= 0 {
		t.Errorf("exit %d: %+v", r.code, g)
	}
	keys := map[string]bool{}
	for _, q := range f.requests() {
		keys[q.header.Get("Idempotency-Key")] = true
		if !strings.Contains(q.body, `"type":"sleep"`) || !strings.Contains(q.body, `"user_id":"00000000-0000-4000-8000-000000000000"`) || q.header.Get("Dev-Id") != "acme" {
			t.Fatalf("sent %s", q.body)
		}
	}
	if len(keys) != 40 {
		t.Errorf("%d idempotency keys for 40 events", len(keys))
	}
}

func TestGenerateAsksForWhatItCanMake(t *testing.T) {
	for _, args := range []string{"--developer acme --types slep", "--developer acme --rate 0", "--developer acme --rate NaN", "--developer acme --for -1s", "--developer acme --users 0"} {
		if r := (trial{}).run(t, append([]string{"generate"}, strings.Fields(args)...)...); r.code != 2 {
			t.Errorf("%s: exit %d: %s", args, r.code, r.err)
		}
	}
}

// A daemon that does not answer is a fault at once, not after minutes.
func TestGenerateFailsAtOnceWithoutADaemon(t *testing.T) {
	r := trial{env: map[string]string{"FANTAIL_SERVER": "http://127.0.0.1:1"}}.run(t, "generate", "--developer", "acme")
	if r.code != 1 || !strings.Contains(r.err, "Is the daemon running?") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// The README's command without a developer works where only one developer can be meant.
func TestGenerateKnowsTheOnlyDeveloper(t *testing.T) {
	row := func(developer, name, state string) string {
		return `{"developer":"` + developer + `","name":"` + name + `","kind":"webhook","state":"` + state + `","pending":0,"in_flight":0,"breaker":"closed"}`
	}
	acme := row("acme", "app", "active") + "," + row("acme", "lake", "held")
	for list, want := range map[string]string{
		acme + "," + row("old", "app", "removed"):   "",
		acme + "," + row("globex", "app", "active"): "--developer: acme, globex",
		row("old", "app", "removed"):                "nobody has a destination",
	} {
		f := newFake(t, map[string]http.HandlerFunc{
			"GET /v1/destinations": say(`{"items":[` + list + `],"next":""}`),
			"POST /v1/events":      say(`{"id":"e","reference":"r","deliveries":1}`),
		})
		r := f.run(t, "generate", "--rate", "1000", "--for", "2ms")
		asked := f.requests()
		if last := asked[len(asked)-1]; want == "" && (r.code != 0 || last.header.Get("Dev-Id") != "acme") {
			t.Errorf("exit %d: %s%s; asked %+v", r.code, r.out, r.err, last)
		}
		if want != "" && (r.code != 2 || !strings.Contains(r.err, want)) {
			t.Errorf("exit %d: %s, want %q", r.code, r.err, want)
		}
	}
}

// A refusal that no event of the stream can avoid ends it at the first event, and says what to do.
func TestGenerateEndsWhenTheDaemonTakesNothing(t *testing.T) {
	const row = `{"items":[{"developer":"acme","name":"app","kind":"webhook","state":"active"}],"next":""}`
	for name, tc := range map[string]struct {
		refusal http.HandlerFunc
		want    string
	}{
		"a slip in the name":    {deny(404, "unknown_developer", "there is no such developer"), `no developer "acmee" is known: did you mean acme?`},
		"a wrong token":         {deny(401, "unauthorized", "a valid bearer token is needed"), "The daemon wants a token"},
		"a token without right": {deny(403, "forbidden", `the token "x" may not do this`), `see "may" and "developers"`},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"POST /v1/events": tc.refusal, "GET /v1/destinations": func(w http.ResponseWriter, r *http.Request) {
			if d := r.URL.Query().Get("developer"); d != "" && d != "acme" {
				say(`{"items":[],"next":""}`)(w, r)
				return
			}
			say(row)(w, r)
		}, "GET /v1/events": say(`{"items":[],"next":""}`)})
		began := time.Now()
		r := f.run(t, "generate", "--developer", "acmee", "--rate", "2", "--for", "10m")
		if took := time.Since(began); r.code != 1 || r.out != "" || !strings.Contains(r.err, tc.want) || took > time.Minute {
			t.Errorf("%s: %+v after %v, want %q", name, r, took, tc.want)
		}
	}
}

// A time beside a rate is given in tenths of a second, because the rate is computed from those.
func TestGenerateSaysItsTimeInTenths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := &stream{env: &env{out: &out}, began: time.Now().Add(-1900 * time.Millisecond), accepted: 19}
		if err := s.summary(); err != nil || !strings.HasPrefix(out.String(), "accepted 19, refused 0 (0 deliveries) in 1.9s: 10.0/s\n") {
			t.Errorf("%v: %s", err, out.String())
		}
	})
}
