package cli

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const otherID = "019f1d89-0000-7000-8000-000000000002"

// usualAnswers and evilAnswers are what a daemon answers: as it is, and as somebody may want it.
var usualAnswers = map[string]http.HandlerFunc{
	"GET /v1/deliveries": say(`{"items":[
		{"id":"` + eventID + `_3","event":"` + eventID + `","developer":"acme","destination":"app","kind":"webhook","state":"pending","due":"2026-07-01T12:01:30Z","tried":2,
			"type":"activity","user":"5f0c1bd2-77aa-4b6e-9a0d-1c2d3e4f5a6b","last_answer":{"at":"2026-07-01T11:59:00Z","class":"transient","code":503,"answer":"upstream is away, try again later"}},
		{"id":"` + eventID + `_4","event":"` + eventID + `","developer":"acme","destination":"lake","kind":"s3","state":"pending","due":"2026-07-01T11:57:00Z","tried":0,"type":"activity","user":"u1",
			"waits_for":"held","waits_until":"2026-07-01T12:08:00Z","waits_reason":"access denied: the bucket's policy names another role"},
		{"id":"` + eventID + `_5","event":"` + eventID + `","developer":"acme","destination":"night","kind":"webhook","state":"pending","due":"2026-07-01T11:57:00Z","tried":0,"type":"activity","user":"u1","waits_for":"paused","waits_reason":"lunch"},
		{"id":"` + eventID + `_6","event":"` + eventID + `","developer":"acme","destination":"slow","kind":"webhook","state":"pending","due":"2026-07-01T11:57:00Z","tried":1,"type":"activity","user":"u1",
			"waits_for":"throttled","waits_until":"2026-07-01T12:10:00Z","waits_reason":"answered 429 Too Many Requests","last_answer":{"at":"2026-07-01T11:58:00Z","class":"throttled","code":429}},
		{"id":"` + otherID + `_3","event":"` + otherID + `","developer":"globex","destination":"a-destination-with-a-long-name","kind":"webhook","state":"dead","reason":"attempts used up: answered 500 Internal Server Error","tried":9,
			"type":"lab_report.completed","last_answer":{"at":"2026-07-01T11:58:00Z","class":"transient","code":500,"answer":"oops"}},
		{"id":"` + otherID + `_7_2_20635","event":"` + otherID + `","developer":"globex","destination":"db","kind":"postgres","state":"delivered","tried":1,"type":"sleep","user":"u2","last_answer":{"at":"2026-07-01T11:58:00Z","class":"delivered","code":0}}],"next":""}`),
	"GET /v1/events": say(`{"items":[` + oneEvent + `,
		{"id":"` + otherID + `","developer":"globex-international","type":"lab_report.completed","user":"5f0c1bd2-77aa-4b6e-9a0d-1c2d3e4f5a6b","accepted":"2026-07-01T11:55:00Z","size":10,"destinations":["app","lake","night","a-destination-with-a-long-name"],"gone":"erased"},
		{"id":"` + otherID[:35] + `3","developer":"acme","type":"x","accepted":"2026-06-28T11:57:00Z","size":3145728,"destinations":[]}],"next":""}`),
	"GET /v1/destinations": say(`{"items":[
		{"developer":"acme","name":"app","kind":"webhook","state":"active","pending":12,"oldest_pending":"2026-07-01T11:00:00Z","in_flight":3,"breaker":"closed","last_success":"2026-07-01T11:59:58Z","last_answer":{"at":"2026-07-01T11:59:58Z","class":"delivered","code":200},"failed_attempts":0,"dead_24h":0},
		{"developer":"acme","name":"broken","kind":"webhook","state":"active","reason":"the last 3 attempts failed: answered 500 Internal Server Error","pending":1,"in_flight":0,"breaker":"closed","last_success":"2026-06-30T09:00:00Z",
			"last_answer":{"at":"2026-07-01T11:58:00Z","class":"transient","code":500,"answer":"oops","fault":"answered 500 Internal Server Error"},"failed_attempts":3,"dead_24h":39},
		{"developer":"acme","name":"lake","kind":"s3","state":"held","reason":"access denied: the bucket's policy names another role","waits_for":"held","waits_until":"2026-07-01T12:08:00Z","pending":4,"in_flight":0,"breaker":"closed","failed_attempts":1,"dead_24h":0},
		{"developer":"globex","name":"a-destination-with-a-long-name","kind":"postgres","state":"active","waits_for":"throttled","waits_until":"2026-07-01T12:10:00Z","reason":"answered 429 Too Many Requests","pending":4,"in_flight":0,"breaker":"closed","failed_attempts":1,"dead_24h":0},
		{"developer":"globex","name":"off","kind":"webhook","state":"disabled","reason":"enabled: false in the settings","pending":0,"in_flight":0,"breaker":"closed","failed_attempts":0,"dead_24h":0}],"next":""}`),
	"POST /v1/destinations/acme/app/check": say(checkedGood),
	"POST /v1/destinations/acme/broken/check": say(`{"developer":"acme","name":"broken","kind":"webhook","state":"active","check":{"at":"2026-07-01T12:00:00Z","ms":12,"result":"warn","findings":[
		{"name":"state","result":"warn","message":"the last 3 attempts failed: answered 500 Internal Server Error; the last success was at 2026-06-30T09:00:00Z","advice":"` + "`fantail deliveries --developer acme --destination broken`" + ` shows what was answered"}]}}`),
	"POST /v1/destinations/acme/lake/check":                             say(checkedBad),
	"POST /v1/destinations/globex/a-destination-with-a-long-name/check": say(checkedGood),
	"POST /v1/destinations/globex/off/check":                            say(checkedGood),
	"GET /v1/deliveries/d1": say(`{"id":"d1","event":"` + eventID + `","developer":"acme","destination":"app","kind":"webhook","state":"pending","due":"2026-07-01T12:01:30Z","tried":2,"frozen":true,
		"changed":"2026-07-01T11:59:00Z","type":"activity","user":"5f0c1bd2-77aa-4b6e-9a0d-1c2d3e4f5a6b","attempts":[
		{"at":"2026-07-01T11:58:00Z","ms":12,"class":"transient","code":503,"answer":"upstream is away, try again later","address":"192.0.2.1:443"},
		{"at":"2026-07-01T11:59:00Z","ms":30000,"class":"transient","answer":"no answer in time"}]}`),
	"GET /v1/events/e1": say(oneEvent),
	"GET /v1/usage": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("by") == "day" {
			fmt.Fprint(w, `{"since":"2026-06-02","until":"2026-07-02","by":"day","counted_from":"2026-07-01","items":[
				{"day":"2026-06-30","accepted":1204512,"delivered":1204000,"pending":12,"dead":500,"cancelled":0,"attempts":null,"bytes":null},
				{"day":"2026-07-01","accepted":98,"delivered":40,"pending":50,"dead":0,"cancelled":8,"attempts":131,"bytes":3145728}]}`)
			return
		}
		fmt.Fprint(w, `{"since":"2026-06-02","until":"2026-07-02","by":"destination","items":[
			{"developer":"acme","destination":"app","kind":"webhook","accepted":98,"delivered":40,"pending":50,"dead":0,"cancelled":8,"attempts":131,"bytes":3145728},
			{"developer":"globex-international","destination":"a-destination-with-a-long-name","kind":"postgres","accepted":1204512,"delivered":1204000,"pending":12,"dead":500,"cancelled":0,"attempts":0,"bytes":0}]}`)
	},
	"GET /v1/live": live(
		`{"at":"2026-07-01T12:00:01Z","delivery":"`+eventID+`_3","developer":"acme","destination":"app","kind":"webhook","type":"activity","user":"u1","tried":1,"class":"delivered","code":200,"ms":34,"state":"delivered"}`,
		`{"at":"2026-07-01T12:00:02Z","delivery":"`+otherID+`_4","developer":"globex","destination":"a-destination-with-a-long-name","type":"lab_report.completed","tried":1,"class":"transient","ms":30000,"state":"pending","due":"2026-07-01T12:00:32Z","fault":"no answer within 30s: the far side took the request and said nothing"}`,
		`{"lost":12,"at":"2026-07-01T12:00:03Z","delivery":"`+eventID+`_3","developer":"acme","destination":"app","type":"sleep","tried":9,"class":"transient","code":500,"ms":3,"state":"dead","reason":"attempts used up: answered 500 Internal Server Error"}`,
		`{"lost":3}`),
}

// bad is text that would act on a terminal, take two columns a letter, and run from right to left.
const bad = `\u001b[31m\u202efake row\u0007\r\n日本語カナ　שלום עולם مرحبا👩‍👧é`

var evilAnswers = map[string]http.HandlerFunc{
	"GET /v1/deliveries": say(strings.ReplaceAll(`{"items":[{"id":"`+eventID+`_3BAD","event":"`+eventID+`","developer":"aBAD","destination":"bBAD","kind":"BAD","state":"BAD","reason":"BAD","type":"שלום","user":"日本語カナ日本語カナ日本語カナ","last_answer":{"class":"BAD","answer":"BAD"}},
		{"id":"`+eventID+`_4","event":"`+eventID+`","developer":"acme","destination":"app","state":"pending","due":"2026-07-01T12:01:30Z","type":"日本語","user":"مرحبا","waits_for":"BAD","waits_reason":"BAD"}],"next":""}`, "BAD", bad)),
	"GET /v1/events": say(strings.ReplaceAll(`{"items":[{"id":"BAD","developer":"BAD","type":"日本語","user":"שלום עולם","accepted":"2026-07-01T11:57:00Z","size":1,"destinations":["BAD"],"gone":"BAD"},`+oneEvent+`],"next":""}`, "BAD", bad)),
	"GET /v1/destinations": say(strings.ReplaceAll(`{"items":[{"developer":"BAD","name":"BAD","kind":"BAD","state":"BAD","reason":"BAD","waits_for":"BAD","pending":1,"breaker":"BAD","last_answer":{"at":"2026-07-01T11:58:00Z","class":"BAD","answer":"BAD"}},
		{"developer":"acme","name":"app","kind":"webhook","state":"active","pending":1,"breaker":"closed"}],"next":""}`, "BAD", bad)),
	"POST /v1/destinations/acme/app/check": say(strings.ReplaceAll(`{"developer":"BAD","name":"BAD","kind":"BAD","check":{"result":"fail","findings":[{"name":"BAD","result":"BAD","message":"a BAD b BAD","advice":"BAD"},{"name":"dns","result":"fail","message":"no","advice":"yes"}]}}`, "BAD", bad)),
	"GET /v1/deliveries/d1": say(strings.ReplaceAll(`{"id":"BAD","event":"BAD","developer":"BAD","destination":"BAD","kind":"BAD","state":"BAD","reason":"BAD","type":"שלום","user":"日本語カナ","waits_for":"BAD","waits_reason":"BAD",
		"attempts":[{"at":"2026-07-01T11:58:00Z","ms":12,"class":"BAD","code":503,"answer":"BAD","address":"BAD"}]}`, "BAD", bad)),
	"GET /v1/events/e1": say(strings.ReplaceAll(`{"id":"BAD","developer":"BAD","type":"日本語","user":"שלום עולם","reference":"BAD","accepted":"2026-07-01T11:57:00Z","size":1,"destinations":["BAD"],"gone":"BAD"}`, "BAD", bad)),
	"GET /v1/usage": say(strings.ReplaceAll(`{"since":"BAD","until":"BAD","by":"BAD","counted_from":"BAD","items":[{"day":"BAD","developer":"BAD","destination":"BAD","accepted":1,"attempts":null,"bytes":1},
		{"day":"2026-07-01","accepted":1}]}`, "BAD", bad)),
	"GET /v1/live": live(strings.ReplaceAll(`{"at":"2026-07-01T12:00:01Z","delivery":"BAD","developer":"BAD","destination":"BAD","type":"BAD","class":"BAD","state":"BAD","reason":"BAD"}`, "BAD", bad),
		`{"at":"2026-07-01T12:00:02Z","delivery":"`+eventID+`_3","developer":"acme","destination":"app","type":"שלום","class":"delivered","code":200,"state":"delivered"}`),
}

// live streams attempts, and says that the daemon stops.
func live(attempts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, ": attempts follow\n\n")
		for _, a := range attempts {
			fmt.Fprintf(w, "event: attempt\ndata: %s\n\n", a)
		}
		fmt.Fprint(w, "event: end\ndata: {\"code\":\"stopping\",\"message\":\"the daemon stops\"}\n\n")
	}
}

var (
	ownColour = regexp.MustCompile("\x1b\\[[0-9]{1,2}m")
	ownSigns  = strings.NewReplacer("\u2068", "", "\u2069", "", "\r", "", "\n", "", "\t", "")
)

// Every list looks the same as before, at 80 and 100 columns, on a terminal and in a
// pipe, whatever the daemon sends. go test -run Golden -update writes what it looks like now.
func TestGoldenLists(t *testing.T) {
	for set, answers := range map[string]map[string]http.HandlerFunc{"usual": usualAnswers, "hostile": evilAnswers} {
		for _, command := range []string{"deliveries", "deliveries -o wide", "deliveries -o id", "deliveries -o jsonl", "deliveries d1",
			"events", "events e1", "destinations", "check", "tail", "usage", "usage --by destination"} {
			if set == "hostile" && command == "check" {
				command = "check acme/app"
			}
			var all strings.Builder
			for _, columns := range []int{80, 100} {
				for _, terminal := range []bool{true, false} {
					f := newFake(t, answers)
					tr := trial{terminal: terminal, env: map[string]string{"FANTAIL_SERVER": f.URL, "COLUMNS": fmt.Sprint(columns)}}
					r := tr.run(t, strings.Fields(command)...)
					name := fmt.Sprintf("%s, %s, %d columns, terminal %t", set, command, columns, terminal)
					fmt.Fprintf(&all, "== %d columns, terminal %t: %d\n%s-- stderr\n%s", columns, terminal, r.code, r.out, strings.ReplaceAll(r.err, "\r", "\\r"))
					whole := slices.Contains([]string{"deliveries -o wide", "deliveries -o id", "deliveries -o jsonl", "deliveries d1", "events e1"}, command) // cuts nothing
					bounded := !whole && (terminal || !strings.HasPrefix(command, "check"))
					for line := range strings.Lines(r.out) {
						plain := ownColour.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
						if strings.ContainsFunc(ownSigns.Replace(plain), hazard) || !terminal && strings.ContainsFunc(strings.TrimSuffix(line, "\n"), hazard) {
							t.Errorf("%s: raw text: %q", name, line)
						}
						if strings.HasPrefix(plain, "fake row") {
							t.Errorf("%s: a row is forged: %q", name, line)
						}
						if n := width(ownSigns.Replace(plain)); bounded && n > columns {
							t.Errorf("%s: %d columns: %q", name, n, plain)
						}
					}
				}
			}
			path := filepath.Join("testdata", "golden", set+" "+strings.ReplaceAll(strings.ReplaceAll(command, "/", "-"), " -o ", " ")+".txt")
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(all.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != all.String() {
				t.Errorf("%s is not as in %s:\n%s", command, path, all.String())
			}
		}
	}
}
