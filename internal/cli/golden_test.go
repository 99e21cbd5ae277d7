package cli

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const otherID = "019f1d89-0000-7000-8000-000000000002"

// usualAnswers are what a daemon answers, evilAnswers what a hostile one might.
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
		{"id":"` + otherID + `_30123_12_20635","event":"` + otherID + `","developer":"globex","destination":"db","kind":"postgres","state":"delivered","tried":1,"type":"sleep","user":"u2","last_answer":{"at":"2026-07-01T11:58:00Z","class":"delivered","code":0}}],"next":""}`),
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
	"GET /v1/daemons": say(`{"items":[{"id":"0198a7c0","name":"fantail-0","api":"http://10.0.0.5:8080","version":"1.4.0","self":true,"alive":true,"started":"2026-07-01T10:00:00Z","seen":"2026-07-01T11:59:58Z","slots":[1,2,3],"clock_offset_ms":0.4,"same_keys":true,"same_files":true},
		{"id":"0198a7c1","name":"fantail-1","version":"1.3.9","alive":true,"started":"2026-06-28T10:00:00Z","seen":"2026-07-01T11:59:59Z","slots":[4,5,6],"clock_offset_ms":-131,"same_keys":false,"same_files":false},
		{"id":"0198a7c2","name":"fantail-2","api":"http://10.0.0.7:8080","version":"1.4.0","alive":false,"started":"2026-06-28T10:00:00Z","seen":"2026-07-01T11:59:30Z","slots":[],"same_keys":true,"same_files":true}],"next":""}`),
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
	"GET /v1/changes": say(`{"items":[
		{"at":"2026-07-01T11:59:30Z","by":"support","call":"pauseDestination","developer":"acme","object":"app","reason":"their database moves tonight, and nobody there reads mail before Monday morning","result":"ok","state":"paused","count":1},
		{"at":"2026-07-01T11:58:00Z","by":"support","via":"lnk_abcdefghijklmnop","call":"getEventBody","developer":"globex","object":"` + eventID + `","result":"ok","count":412},
		{"at":"2026-07-01T11:50:00Z","from":"192.0.2.0/24","call":"logIn","object":"listEvents","result":"unauthorized","count":9001},
		{"at":"2026-07-01T10:00:00Z","by":"daemon","call":"destination.held","developer":"acme","object":"lake","reason":"access denied: the bucket's policy names another role","result":"ok","state":"held","count":1},
		{"at":"2026-06-28T12:00:00Z","by":"signal","call":"reload","result":"ok","count":1}],"next":""}`),
	"GET /v1/portal-links": say(`{"items":[
		{"id":"lnk_abcdefghijklmnop","developer":"acme","may":["read","retry"],"by":"backend","created":"2026-07-01T11:59:00Z","ends":"2026-07-01T12:59:00Z"},
		{"id":"lnk_ponmlkjihgfedcba","developer":"globex","may":["read"],"by":"support","created":"2026-07-01T11:00:00Z","ends":"2026-07-02T11:00:00Z","used":"2026-07-01T11:01:00Z"}],"next":""}`),
	"GET /v1/live": live(
		`{"at":"2026-07-01T12:00:01Z","delivery":"`+eventID+`_3","developer":"acme","destination":"app","kind":"webhook","type":"activity","user":"u1","tried":1,"class":"delivered","code":200,"ms":34,"state":"delivered"}`,
		`{"at":"2026-07-01T12:00:02Z","delivery":"`+otherID+`_4","developer":"globex","destination":"a-destination-with-a-long-name","type":"lab_report.completed","tried":1,"class":"transient","ms":30000,"state":"pending","due":"2026-07-01T12:00:32Z","fault":"no answer within 30s: the far side took the request and said nothing"}`,
		`{"lost":12,"at":"2026-07-01T12:00:03Z","delivery":"`+eventID+`_30123_12_20635","developer":"acme","destination":"app","type":"sleep","tried":9,"class":"transient","code":500,"ms":3,"state":"dead","reason":"attempts used up: answered 500 Internal Server Error"}`,
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
	"GET /v1/daemons":   say(strings.ReplaceAll(`{"items":[{"id":"BAD","name":"BAD","api":"BAD","version":"BAD","started":"2026-07-01T10:00:00Z","seen":"2026-07-01T11:59:58Z"}],"next":""}`, "BAD", bad)),
	"GET /v1/usage": say(strings.ReplaceAll(`{"since":"BAD","until":"BAD","by":"BAD","counted_from":"BAD","items":[{"day":"BAD","developer":"BAD","destination":"BAD","accepted":1,"attempts":null,"bytes":1},
		{"day":"2026-07-01","accepted":1}]}`, "BAD", bad)),
	"GET /v1/changes": say(strings.ReplaceAll(`{"items":[{"at":"2026-07-01T11:59:30Z","by":"BAD","via":"BAD","call":"BAD","developer":"BAD","object":"BAD","reason":"BAD","result":"BAD","count":1},
		{"at":"2026-07-01T11:59:30Z","from":"BAD","call":"reload","result":"ok","count":1,"reason":"שלום עולם 日本語カナ"}],"next":""}`, "BAD", bad)),
	"GET /v1/portal-links": say(strings.ReplaceAll(`{"items":[{"id":"BAD","developer":"BAD","may":["BAD"],"by":"BAD","ends":"2026-07-02T11:00:00Z"}],"next":""}`, "BAD", bad)),
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
	// Whether a short line of progress is drawn depends on how fast the machine is.
	passing = regexp.MustCompile(`\r(reading the settings|rebinding|erasing|restoring|backing up)[^\n]*\r`)
)

const cleared = "\x1b[H\x1b[2J" // of a list that is watched on a terminal

// picture is a command whose output is drawn: at 80 and 100 columns, on a terminal and
// in a pipe.
type picture struct {
	name    string
	args    []string
	in      string
	waits   int
	answers func() map[string]http.HandlerFunc
	hide    string // a path of this run
	whole   bool   // cuts nothing
	folds   bool   // cuts nothing in a pipe, and folds on a terminal

	moves   bool                      // the clock, by a quarter of a second at each look: every line of progress is drawn
	slow    string                    // the call that is answered once a line of progress is drawn
	prepare func(dir string) []string // returns args of a folder of the run's own, shown as PATH
	steady  func(text string) string  // takes out what no two runs have alike
	exact   bool                      // a pipe gets events byte for byte
}

// run runs the command once.
func (p picture) run(t *testing.T, columns int, terminal bool) result {
	answers := p.answers()
	tr := trial{in: p.in, terminal: terminal, waits: p.waits, kinds: paperKinds()}
	if p.moves {
		now := testNow
		tr.now = func() time.Time { now = now.Add(redraw + 50*time.Millisecond); return now }
	}
	if answer := answers[p.slow]; answer != nil && terminal {
		drawn := make(chan struct{})
		tr.drawn = sync.OnceFunc(func() { close(drawn) })
		answers = maps.Clone(answers)
		answers[p.slow] = func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-drawn:
			case <-r.Context().Done():
			}
			answer(w, r)
		}
	}
	args, hide := p.args, p.hide
	if p.prepare != nil {
		hide = t.TempDir()
		args = p.prepare(hide)
	}
	f := newFake(t, answers)
	tr.env = map[string]string{"FANTAIL_SERVER": f.URL, "COLUMNS": fmt.Sprint(columns)}
	r := tr.run(t, args...)
	if p.steady != nil {
		r.out, r.err = p.steady(r.out), p.steady(r.err)
	}
	if hide != "" {
		r.out, r.err = strings.ReplaceAll(r.out, hide, "PATH"), strings.ReplaceAll(r.err, hide, "PATH")
	}
	r.out = strings.ReplaceAll(r.out, cleared, "-- the screen is cleared\n")
	if p.slow == "" && !p.moves {
		r.err = passing.ReplaceAllString(r.err, "")
	}
	if strings.HasSuffix(r.err, "\r") {
		r.err += "\n" // nothing but a line of progress, which was taken away
	}
	return r
}

func (p picture) draw(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, columns := range []int{80, 100} {
		for _, terminal := range []bool{true, false} {
			r := p.run(t, columns, terminal)
			fmt.Fprintf(&all, "== %d columns, terminal %t: %d\n%s-- stderr\n%s", columns, terminal, r.code, r.out, strings.ReplaceAll(r.err, "\r", "\\r"))
			name := fmt.Sprintf("%s, %d columns, terminal %t", p.name, columns, terminal)
			for line := range strings.Lines(r.out + r.err) {
				plain := ownColour.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
				if strings.ContainsFunc(ownSigns.Replace(plain), hazard) && (terminal || !p.exact) || !terminal && !p.exact && strings.ContainsFunc(strings.TrimSuffix(line, "\n"), hazard) {
					t.Errorf("%s: raw text: %q", name, line)
				}
				if strings.HasPrefix(plain, "fake row") {
					t.Errorf("%s: a row is forged: %q", name, line)
				}
			}
			for line := range strings.Lines(r.out) {
				plain := ownSigns.Replace(ownColour.ReplaceAllString(line, ""))
				if n := width(plain); n > columns && !p.whole && (terminal || !p.folds) {
					t.Errorf("%s: %d columns: %q", name, n, plain)
				}
			}
		}
	}
	return all.String()
}

// album is the golden file of several pictures, by their names.
func album(t *testing.T, name string, pictures map[string]picture) {
	t.Helper()
	var all strings.Builder
	for _, title := range slices.Sorted(maps.Keys(pictures)) {
		p := pictures[title]
		p.name = name + ", " + title
		all.WriteString("#### " + title + "\n" + p.draw(t) + "\n")
	}
	golden(t, filepath.Join("golden", name+".txt"), all.String())
}

// Every list looks as before: at 80 and 100 columns, on a terminal and in a pipe, whatever the
// daemon sends. go test -run Golden -update writes what it looks like now.
func TestGoldenLists(t *testing.T) {
	for set, answers := range map[string]map[string]http.HandlerFunc{"usual": usualAnswers, "hostile": evilAnswers} {
		for _, command := range []string{"deliveries", "deliveries -o wide", "deliveries -o id", "deliveries -o jsonl", "deliveries d1",
			"events", "events e1", "destinations", "check", "tail", "usage", "usage --by destination", "daemons", "changes", "changes -o wide", "changes -o id", "changes -o jsonl", "portal-links"} {
			if set == "hostile" && command == "check" {
				command = "check acme/app"
			}
			p := picture{name: set + " " + strings.ReplaceAll(strings.ReplaceAll(command, "/", "-"), " -o ", " "), args: strings.Fields(command)}
			p.answers = func() map[string]http.HandlerFunc { return answers }
			p.whole = slices.Contains([]string{"deliveries -o wide", "deliveries -o id", "deliveries -o jsonl", "deliveries d1", "events e1", "changes -o wide", "changes -o id", "changes -o jsonl"}, command)
			p.folds = strings.HasPrefix(command, "check")
			p.waits = 2 // of tail, which asks again after the end of its stream
			golden(t, filepath.Join("golden", p.name+".txt"), p.draw(t))
		}
	}
}

// A watched list is redrawn on a terminal. In a pipe it goes on with what is new.
func TestGoldenWatch(t *testing.T) {
	for set, answers := range map[string]map[string]http.HandlerFunc{"usual": usualAnswers, "hostile": evilAnswers} {
		pictures := map[string]picture{}
		for _, list := range []string{"deliveries", "events", "destinations"} {
			pictures[list] = picture{args: []string{list, "--watch"}, waits: 2, answers: func() map[string]http.HandlerFunc {
				return map[string]http.HandlerFunc{"GET /v1/" + list: inOrder(say(`{"items":[],"next":""}`), answers["GET /v1/"+list])}
			}}
		}
		album(t, set+" watch", pictures)
	}
}

// Questions, the results of their answers, and the message where nobody can be asked.
func TestGoldenQuestions(t *testing.T) {
	pictures := map[string]picture{}
	for _, tc := range changing {
		for _, answer := range []string{"y", "n"} {
			pictures[tc.args+", answered "+answer] = picture{args: strings.Fields(tc.args), in: answer + "\n", whole: true,
				answers: func() map[string]http.HandlerFunc { return asked(t).answers }}
		}
	}
	album(t, "usual questions", pictures)
	pictures = map[string]picture{}
	for name, args := range hostileQuestions {
		pictures[name] = picture{args: args, in: "y\n", whole: true, answers: func() map[string]http.HandlerFunc { return askedByEvil(t) }}
	}
	album(t, "hostile questions", pictures)
}

// What validate says of sound settings, of settings that may not be meant, and of faults.
func TestGoldenValidate(t *testing.T) {
	odd := strings.ReplaceAll(acme, "events: [sleep,", `events: [slep, "sl\u202eep\e[2J\u65e5\u672c\u8a9e\u05e9\u05dc\u05d5\u05dd",`)
	hostile := strings.NewReplacer("kind: paper", `kind: "pa\e[2J\u202e日本語שלום\n"`, "name: sleepers", `name: "sle\e]0;x\a\u202e日本語"`, "enabled: false", `"en\e[2Jabled\u202e日本": false`).Replace(acme)
	for set, files := range map[string]map[string]map[string]string{
		"usual": {
			"warnings": {"acme": acme, "empty": "developer: empty\n"},
			"faults":   {"acme": strings.ReplaceAll(acme, "kind: paper", "kind: papper"), "b": "developer: b\nfrobnicate: 1\n"},
		},
		"hostile": {
			"warnings":        {"acme": strings.ReplaceAll(acme, "events: [sleep,", "events: [slep日本語שלום,")},
			"faults of types": {"acme": odd},
			"faults":          {"acme": hostile, "b": "developer: \"b\\e[2J\\u202e日本語שלום\"\n"},
			"name of a file":  {"a\x1b[2J\u202e日本語שלום": "developer: empty\n"},
		},
	} {
		pictures := map[string]picture{}
		for name, developers := range files {
			path := settings(t, developers)
			pictures[name] = picture{args: []string{"validate", "--config", path}, hide: filepath.Dir(path), whole: true, answers: func() map[string]http.HandlerFunc { return nil }}
		}
		album(t, set+" validate", pictures)
	}
}

// Completions as the shells get them: names that the daemon cannot have are left out.
func TestGoldenCompletion(t *testing.T) {
	for set, answers := range map[string]map[string]http.HandlerFunc{"usual": usualAnswers, "hostile": evilAnswers} {
		pictures := map[string]picture{}
		for name, args := range map[string][]string{
			"developers": {"pause", ""}, "destinations": {"retry", "--developer", "acme", "--destination", ""}, "types": {"events", "--type", "s"},
			"what nobody is called": {"pause", "\x1b[2J\u202e日本語שלום"},
		} {
			pictures[name] = picture{args: append([]string{"__complete"}, args...), answers: func() map[string]http.HandlerFunc { return answers }}
		}
		album(t, set+" completion", pictures)
	}
}
