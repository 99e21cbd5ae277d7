package cli

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

const eventID = "019f1d8a-22e0-7000-8000-000000000001" // accepted at 2026-07-01T11:57:00Z

const oneEvent = `{"id":"` + eventID + `","developer":"acme","type":"activity","version":"2022-03-16","user":"u1","reference":"r1",
	"accepted":"2026-07-01T11:57:00Z","ordering":"2026-07-01T11:57:00Z","size":1536,"destinations":["app","lake"]}`

const oneDelivery = `{"id":"` + eventID + `_3","event":"` + eventID + `","developer":"acme","destination":"app","kind":"webhook","state":"pending","tried":2,"due":"2026-07-01T12:01:30Z"`

func TestEventsAreListed(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/events": inOrder(
		say(`{"items":[`+oneEvent+`],"next":"c1"}`), say(`{"items":[],"next":"c2"}`),
		say(`{"items":[{"id":"e2","developer":"acme","type":"x","accepted":"2026-06-28T11:57:00Z","size":10,"destinations":[]}],"next":""}`))})
	r := f.run(t, "events", "--developer", "acme", "--type", "activity,sleep", "--user", "u 1", "--since", "6h", "--until", "2026-07-01", "--unmatched")
	if r.code != 2 { // since lies after until
		t.Errorf("%+v", r)
	}
	r = f.run(t, "events", "--developer", "acme", "--type", "activity,sleep", "--user", "u 1", "--since", "2d", "--until", "1h", "--unmatched")
	r.want(t, 0, `AGE  ID                  DEVELOPER  TYPE      USER  SIZE     GOES TO
3m   `+eventID[:18]+`  acme       activity  u1    1.5 KiB  app, lake
3d   e2                  acme       x         -     10 B     nobody
`, "")
	want := "GET /v1/events?developer=acme&limit=51&since=2026-06-29T12%3A00%3A00Z&type=activity&type=sleep&unmatched=true&until=2026-07-01T11%3A00%3A00Z&user=u+1"
	if got := f.requests()[0].what; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

func TestALongListSaysThatThereIsMore(t *testing.T) {
	items := strings.Repeat(`{"id":"e"},`, 3)
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/events": say(`{"items":[` + items + `{"id":"e"}],"next":"c"}`)})
	r := f.run(t, "events", "--limit", "3")
	if r.code != 0 || strings.Count(r.out, "\n") != 4 || !strings.Contains(r.err, "more than the 3 shown") {
		t.Errorf("%+v", r)
	}
	r = f.run(t, "events", "--limit", "3", "--json")
	if r.code != 0 || strings.Count(r.out, "\n") != 3 || strings.Count(r.out, "{") != 3 {
		t.Errorf("%+v", r)
	}
	f = newFake(t, map[string]http.HandlerFunc{"GET /v1/deliveries": say(`{"items":[` + oneDelivery + `},
		{"id":"d2","event":"x","developer":"acme","destination":"app","state":"pending","due":"2026-07-01T11:00:00Z"}],"next":""}`)})
	f.run(t, "deliveries", "--developer", "acme", "--destination", "app", "--state", "dead,pending").want(t, 0,
		`AGE  ID                    DESTINATION  TYPE  USER  STATE    TRIED  LAST ANSWER  NEXT OR WHY
3m   `+eventID[:18]+`_3  acme/app     -     -     pending  2      -            in 1m30s
-    d2                    acme/app     -     -     pending  0      -            due now
`, "")
	if got := f.requests()[0].what; got != "GET /v1/deliveries?destination=app&detail=true&developer=acme&limit=51&state=dead&state=pending" {
		t.Errorf("asked %s", got)
	}
	f = newFake(t, map[string]http.HandlerFunc{"GET /v1/deliveries": say(`{"items":[],"next":""}`)})
	f.run(t, "deliveries").want(t, 0, "", "No such deliveries.\n")
	f.run(t, "deliveries", "--json").want(t, 0, "", "")
}

func TestAnErrorInTheMiddleOfAListFailsTheCommand(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/events": inOrder(say(`{"items":[`+oneEvent+`],"next":"c"}`), deny(500, "internal", "internal error"))})
	r := f.run(t, "events")
	if r.code != 1 || strings.Count(r.out, "\n") != 2 || !strings.Contains(r.err, "internal error") {
		t.Errorf("%+v", r)
	}
}

func TestOneEventAndItsBody(t *testing.T) {
	body := "{\"type\":\"x\",\r\n\"y\":\"\u009b2J\"}\n"
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/events/" + eventID:           say(oneEvent),
		"GET /v1/events/" + eventID + "/body": say(body),
		"GET /v1/deliveries":                  say(`{"items":[` + oneDelivery + `}]}`),
	})
	r := f.run(t, "events", eventID)
	for _, part := range []string{"event      " + eventID, "reference  r1", "body       1.5 KiB", "acme/app", "in 1m30s"} {
		if r.code != 0 || !strings.Contains(r.out, part) {
			t.Errorf("lacks %q: %+v", part, r)
		}
	}
	if got := f.requests()[1].what; got != "GET /v1/deliveries?detail=true&event="+eventID+"&limit=1000" {
		t.Errorf("asked %s", got)
	}
	f.run(t, "events", eventID, "--body").want(t, 0, body, "")
	tr := trial{terminal: true, env: map[string]string{"FANTAIL_SERVER": f.URL}}
	tr.run(t, "events", eventID, "--body").want(t, 0, "{\"type\":\"x\",\\r\n\"y\":\"\\x9b2J\"}\n", "")
	r = f.run(t, "events", "nonesuch")
	if r.code != 1 || !strings.Contains(r.err, "not_found") {
		t.Errorf("%+v", r)
	}
}

func TestOneDeliveryAndItsAttempts(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/deliveries/d1": say(oneDelivery + `,"frozen":true,"changed":"2026-07-01T11:59:00Z","attempts":[
			{"at":"2026-07-01T11:58:00Z","ms":30000,"class":"transient","code":0,"answer":"timeout","counted":true},
			{"at":"2026-07-01T11:59:00Z","ms":12,"class":"interrupted","code":503,"answer":"busy\u001b[2J","address":"192.0.2.1:443"}]}`),
		"GET /v1/deliveries/d2": say(`{"id":"d2","event":"` + eventID + `","developer":"acme","destination":"app","state":"dead","reason":"rejected: no"}`),
	})
	r := f.run(t, "deliveries", "d1")
	r.want(t, 0, `delivery      `+eventID+`_3
event         `+eventID+`
destination   acme/app (webhook)
state         pending
changed       2026-07-01 11:59:00Z (1m ago)
next attempt  2026-07-01 12:01:30Z (in 1m30s)
settings      those of its first attempt ("fantail retry --rebind" moves it to current ones)

#   AT                             TOOK  RESULT       CODE  ADDRESS        ANSWER
1   2026-07-01 11:58:00Z (2m ago)  30s   transient    -     -              timeout
2*  2026-07-01 11:59:00Z (1m ago)  12ms  interrupted  503   192.0.2.1:443  busy\x1b[2J
* does not count: it used up no attempt of the schedule
`, "")
	r = f.run(t, "deliveries", "d2")
	if r.code != 0 || !strings.Contains(r.out, "dead (rejected: no)") || !strings.Contains(r.out, "No attempt was made yet.") {
		t.Errorf("%+v", r)
	}
	r = f.run(t, "deliveries", "d1", "--json")
	if strings.Count(r.out, "\n") != 1 || !strings.Contains(r.out, `"ms":12`) || !strings.Contains(r.out, `busy\u001b[2J`) {
		t.Errorf("%+v", r)
	}
}

func TestDestinationsAreListed(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/destinations": say(`{"items":[
		{"developer":"acme","name":"app","kind":"webhook","state":"active","pending":12,"oldest_pending":"2026-07-01T11:00:00Z","in_flight":3,"breaker":"closed","check":{"at":"2026-07-01T11:00:00Z","ms":3,"result":"warn","findings":[]}},
		{"developer":"acme","name":"lake","kind":"s3","state":"held","reason":"access denied\u001b[2J","pending":0,"in_flight":0,"breaker":"closed"},
		{"developer":"acme","name":"slow","kind":"webhook","state":"active","reason":"answered 429 Too Many Requests","waits_for":"throttled","waits_until":"2026-07-01T12:10:00Z","pending":4,"in_flight":0,"breaker":"closed"}]}`)})
	f.run(t, "destinations", "--developer", "acme", "--state", "held").want(t, 0, `DESTINATION  KIND     STATE   PENDING  DEAD 24H  LAST OK  ANSWER  WAITS  REASON
acme/lake    s3       held    0        0         -        -       -      access denied\x1b[2J
acme/slow    webhook  active  4        0         -        -       10m    answered 429 Too Many Requ…
acme/app     webhook  active  12       0         -        -       -      its last check: warn
`, "")
	if got := f.requests()[0].what; got != "GET /v1/destinations?developer=acme&limit=1000&state=held" {
		t.Errorf("asked %s", got)
	}
	if r := f.run(t, "destinations", "--json"); strings.Count(r.out, "\n") != 3 {
		t.Errorf("%+v", r)
	}
}

// Every command that shows text is run with a daemon whose every text is hostile.
func TestNoCommandShowsHostileTextRaw(t *testing.T) {
	const evil = `\u001b]0;x\u0007\u009b2J\u202e\r\nfake row\u007f`
	object := `{"id":"ID","event":"ID","developer":"X","name":"X","destination":"X","kind":"X","state":"X","reason":"X","type":"X","user":"X",
		"version":"X","reference":"X","gone":"X","destinations":["X"],"breaker":"X","accepted":1,"delivered":2,"balanced":true,
		"attempts":[{"class":"X","answer":"X","address":"X"}],"error":{"code":"X","message":"X"}}`
	object = strings.ReplaceAll(strings.ReplaceAll(object, `"ID"`, `"`+eventID+evil+`"`), `"X"`, `"`+evil+`"`)
	timeless := strings.ReplaceAll(object, `"accepted":1,`, "") // a number in the audit, a time in an event
	list := say(`{"items":[` + timeless + `],"next":""}`)
	refusal := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		fmt.Fprint(w, object)
	}
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/events": list, "GET /v1/deliveries": list, "GET /v1/destinations": list, "GET /v1/audit": say("[" + object + "]"),
		"GET /v1/events/x": say(timeless), "GET /v1/events/x/body": say(timeless), "GET /v1/deliveries/x": say(timeless),
		"POST /v1/reload": refusal, "POST /v1/backup": refusal, "POST /v1/events": refusal, "POST /v1/deliveries/x/retry": refusal, "POST /v1/deliveries/y/retry": refusal,
		"POST /v1/destinations/a/b/pause": refusal, "DELETE /v1/users/u/data": refusal,
	})
	for _, args := range []string{
		"events", "events x", "events x --body", "deliveries", "deliveries x", "destinations", "audit", "reload", "backup d", "retry x y",
		"pause a/b", "erase --yes --developer a u", "send --developer a FILE",
	} {
		for _, extra := range []string{"", " --json"} {
			tr := trial{terminal: true, env: map[string]string{"FANTAIL_SERVER": f.URL, "NO_COLOR": "1", "COLUMNS": "1000"}}
			r := tr.run(t, strings.Fields(strings.ReplaceAll(args, "FILE", write(t, "a.json", "{}"))+extra)...)
			shown := strings.ReplaceAll(r.out+r.err, "\r", "") // the progress line's own
			if strings.Contains(r.err, "unreadable_answer") || !strings.Contains(shown, "fake row") {
				t.Errorf("%s%s does not show what was sent: %+v", args, extra, r)
			}
			if i := strings.IndexFunc(strings.NewReplacer("\n", "", "\t", "").Replace(shown), hazard); i >= 0 {
				t.Errorf("%s%s shows raw text: %q", args, extra, shown)
			}
			for line := range strings.Lines(shown) {
				if strings.HasPrefix(line, "fake row") {
					t.Errorf("%s%s: a line was forged: %q", args, extra, shown)
				}
			}
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	gone := newFake(t, nil)
	gone.Close()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		env    map[string]string
		args   []string
		want   string
	}{
		"nobody there":      {nil, map[string]string{"FANTAIL_SERVER": gone.URL}, []string{"destinations"}, `Is the daemon running? Start it with "fantail serve --config fantail.yaml"`},
		"nobody there,send": {nil, map[string]string{"FANTAIL_SERVER": gone.URL}, []string{"send", "--developer", "a", os.DevNull}, `Is the daemon running?`},
		"no token":          {deny(401, "unauthorized", "a valid bearer token is needed"), nil, []string{"destinations"}, "give one with --token-file, FANTAIL_TOKEN_FILE or FANTAIL_TOKEN"},
		"wrong token":       {deny(401, "unauthorized", "a valid bearer token is needed"), nil, []string{"destinations", "--token", "x"}, "does not know this token"},
		"not allowed":       {deny(403, "forbidden", "the token may not do this"), nil, []string{"destinations"}, `see "may" and "developers"`},
		"plain to TLS": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			fmt.Fprintln(w, "Client sent an HTTP request to an HTTPS server.")
		}, nil, []string{"destinations"}, "Use https://"},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"GET /v1/destinations": tc.answer})
		env := map[string]string{"FANTAIL_SERVER": f.URL}
		for k, v := range tc.env {
			env[k] = v
		}
		r := trial{env: env}.run(t, tc.args...)
		if r.code != 1 || !strings.Contains(r.err, tc.want) || strings.Contains(r.err, "Get \"") {
			t.Errorf("%s: %+v, want %q", name, r, tc.want)
		}
	}
	f := newFake(t, nil)
	r := trial{}.run(t, "destinations", "--server", "https"+strings.TrimPrefix(f.URL, "http"))
	if r.code != 1 || !strings.Contains(r.err, "use http://") {
		t.Errorf("TLS to plain: %+v", r)
	}
}

func TestTheTokenIsFound(t *testing.T) {
	file := write(t, "token", " from-file\n")
	for _, tc := range []struct{ args, env, want string }{
		{"", "", ""}, {"", "from-env", "Bearer from-env"}, {"--token x", "from-env", "Bearer x"}, {"--token-file " + file, "from-env", "Bearer from-file"},
	} {
		f := newFake(t, map[string]http.HandlerFunc{"GET /v1/destinations": say(`{"items":[]}`)})
		tr := trial{env: map[string]string{"FANTAIL_SERVER": "http://127.0.0.1:1", "FANTAIL_TOKEN": tc.env}}
		tr.run(t, append([]string{"destinations", "--server", f.URL}, strings.Fields(tc.args)...)...)
		if got := f.requests()[0].header.Get("Authorization"); got != tc.want {
			t.Errorf("%q with %q: %q, want %q", tc.args, tc.env, got, tc.want)
		}
	}
	for _, text := range []string{"", "two words", "line\nline"} {
		if r := (trial{}).run(t, "destinations", "--token-file", write(t, "token", text)); r.code != 1 || !strings.Contains(r.err, "does not hold one token") {
			t.Errorf("%q: %+v", text, r)
		}
	}
}
