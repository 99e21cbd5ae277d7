package cli

import (
	"net/http"
	"strings"
	"testing"
)

func TestRetryAndCancelByID(t *testing.T) {
	const moved = `{"id":"d1","from":"dead","to":"pending"}`
	f := newFake(t, map[string]http.HandlerFunc{
		"POST /v1/deliveries/d1/retry": say(moved), "POST /v1/deliveries/d3/retry": say(moved), "POST /v1/deliveries/d1/cancel": say(moved),
		"POST /v1/deliveries/d2/retry": deny(404, "not_found", "there is no such thing"), "POST /v1/deliveries/d2/cancel": deny(409, "conflict", "it is delivered"),
	})
	f.run(t, "retry", "d1").want(t, 0, "d1 retried (was dead)\n", "")
	f.run(t, "retry", "d1", "d2", "d3").want(t, 1, "d1 retried (was dead)\nd3 retried (was dead)\n", "d2: there is no such thing (not_found)\n")
	f.run(t, "cancel", "d1", "--json").want(t, 0, moved+"\n", "")
	f.run(t, "retry", "--rebind", "d1").want(t, 0, "d1 rebound (was dead)\n", "")
	if asked := f.requests(); asked[len(asked)-1].body != `{"rebind":true}` || asked[0].body != "" {
		t.Errorf("asked %+v", asked)
	}
	f.run(t, "cancel", "d2").want(t, 1, "", "fantail: it is delivered (conflict)\n")
}

func TestRetryAndCancelOverASelection(t *testing.T) {
	pages := func() http.HandlerFunc {
		return inOrder(say(`{"matched":500,"changed":498,"next":"n"}`), say(`{"matched":3,"changed":3,"next":""}`))
	}
	for _, tc := range []struct{ args, path, body, out string }{
		{"retry --developer acme --destination app --state dead --since 6h -y", "retry",
			`{"developer":"acme","destination":"app","state":"dead","since":"2026-07-01T06:00:00Z"}`, "retried 501 deliveries; 2 had changed meanwhile or another delivery of their event is pending there, or has arrived since\n"},
		{"retry --all --yes", "retry", `{"state":"dead","all":true}`, "retried 501 deliveries; 2 had changed meanwhile or another delivery of their event is pending there, or has arrived since\n"},
		{"retry --developer acme --rebind --json --yes", "retry", `{"developer":"acme","state":"pending","rebind":true}`, `{"matched":503,"changed":501}` + "\n"},
		{"cancel --event x --until 2026-07-01 --yes", "cancel", `{"state":"pending","event":"x","until":"2026-07-01T00:00:00Z"}`, "cancelled 501 deliveries; 2 had changed meanwhile or needed nothing\n"},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"POST /v1/deliveries/" + tc.path: pages()})
		f.run(t, strings.Fields(tc.args)...).want(t, 0, tc.out, "")
		asked := f.requests()
		if len(asked) != 2 || asked[0].body != tc.body || asked[1].body != tc.body[:len(tc.body)-1]+`,"cursor":"n"}` {
			t.Errorf("%s: asked %+v, want %s", tc.args, asked, tc.body)
		}
	}
	f := newFake(t, map[string]http.HandlerFunc{"POST /v1/deliveries/cancel": inOrder(say(`{"matched":5,"changed":5,"next":"n"}`), deny(503, "unavailable", "disk"))})
	f.run(t, "cancel", "--all", "--yes").want(t, 1, "cancelled 5 deliveries\n", "fantail: disk (unavailable)\n")
}

func TestADryRunOnlyCounts(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/deliveries": inOrder(say(`{"items":[{},{}],"next":"n"}`), say(`{"items":[{}]}`))})
	f.run(t, "retry", "--developer", "acme", "--destination", "app", "--dry-run").want(t, 0, "3 dead deliveries of acme/app would be retried\n", "")
	if got := f.requests()[0].what; got != "GET /v1/deliveries?destination=app&developer=acme&limit=1000&state=dead" {
		t.Errorf("asked %s", got)
	}
}

func TestDestinationsAndTheDaemonAreOperated(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"POST /v1/destinations/acme/app/pause":  say("{}"),
		"POST /v1/destinations/acme/app/rebind": say(`{"rebound":17}`), "POST /v1/reload": say("{}"), "POST /v1/backup": say("{}"),
		"DELETE /v1/users/u1/data": say(`{"events":1,"cancelled":2}`),
	})
	for _, tc := range []struct{ args, out, what, body string }{
		{"pause acme/app --reason tonight", "acme/app: paused\n", "POST /v1/destinations/acme/app/pause", `{"reason":"tonight"}`},
		{"rebind acme/app --yes", "acme/app: rebound 17 pending deliveries\n", "POST /v1/destinations/acme/app/rebind", ""},
		{"rebind acme/app --json --yes", `{"destination":"app","developer":"acme","result":"rebound 17 pending deliveries"}` + "\n", "POST /v1/destinations/acme/app/rebind", ""},
		{"reload", "The settings were reloaded.\n", "POST /v1/reload", ""},
		{"backup /var/b1", "The backup is in /var/b1.\n", "POST /v1/backup", `{"dir":"/var/b1"}`},
		{"erase --developer acme --yes u1", "erased 1 event, cancelled 2 pending deliveries\n", "DELETE /v1/users/u1/data?developer=acme", ""},
	} {
		before := len(f.requests())
		f.run(t, strings.Fields(tc.args)...).want(t, 0, tc.out, "")
		if asked := f.requests(); len(asked) != before+1 || asked[before].what != tc.what || asked[before].body != tc.body {
			t.Errorf("%s: asked %+v", tc.args, asked[before:])
		}
	}
}

func TestAuditFailsWhenItDoesNotAddUp(t *testing.T) {
	row := func(name, balanced string) string {
		return `{"developer":"acme","destination":"` + name + `","kind":"webhook","accepted":10,"delivered":7,"pending":1,"dead":1,"cancelled":1,"balanced":` + balanced + `}`
	}
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/audit": say("[" + row("app", "true") + "]")})
	f.run(t, "audit").want(t, 0, `DESTINATION  ACCEPTED  DELIVERED  PENDING  DEAD  CANCELLED  
acme/app     10        7          1        1     1          balanced
`, "")
	f.run(t, "audit", "--deep", "--json").want(t, 0, row("app", "true")+"\n", "")
	if got := f.requests()[1].what; got != "GET /v1/audit?deep=1" {
		t.Errorf("asked %s", got)
	}
	f = newFake(t, map[string]http.HandlerFunc{"GET /v1/audit": say("[" + row("app", "true") + "," + row("lake", "false") + "," + strings.Replace(row("app", "true"), "acme", "beta", 1) + "]")})
	r := f.run(t, "audit")
	if r.code != 1 || !strings.Contains(r.out, "acme/lake    10        7          1        1     1          DOES NOT ADD UP") || r.err != "fantail: 1 destination does not add up\n" {
		t.Errorf("%+v", r)
	}
	if r := f.run(t, "audit", "--developer", "beta"); r.code != 0 || strings.Contains(r.out, "acme") {
		t.Errorf("%+v", r)
	}
	f.answers["GET /v1/destinations"], f.answers["GET /v1/events"] = inOrder(say(`{"items":[],"next":""}`), say(someDestinations)), say(`{"items":[],"next":""}`)
	f.run(t, "audit", "--developer", "acm").want(t, 1, "", "fantail: no developer \"acm\" is known: did you mean acme?\n")
	if r := f.run(t, "audit", "--json"); r.code != 1 || strings.Count(r.out, "\n") != 3 {
		t.Errorf("%+v", r)
	}
}
