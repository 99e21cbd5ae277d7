package cli

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/build"
)

const (
	someDestinations = `{"items":[
		{"developer":"acme","name":"app","kind":"webhook","state":"active","breaker":"closed","pending":39,"oldest_pending":"2026-07-01T11:48:00Z"},
		{"developer":"acme","name":"gone","kind":"webhook","state":"removed","breaker":"closed"},
		{"developer":"acme","name":"lake","kind":"s3","state":"held","reason":"no such bucket\u001b[2J","breaker":"closed"}],"next":""}`
	// Ids of events accepted 12 minutes, and more than an hour, before testNow.
	newerEvent, olderEvent = "019f1d84-0e80-7000-8000-000000000001", "019f1d21-8880-7000-8000-000000000002"
)

// asked is a daemon with something to change.
func asked(t *testing.T) *fake {
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/destinations": func(w http.ResponseWriter, r *http.Request) {
			if d := r.URL.Query().Get("developer"); d != "" && d != "acme" {
				io.WriteString(w, `{"items":[],"next":""}`)
				return
			}
			io.WriteString(w, someDestinations)
		},
		"GET /v1/deliveries": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("developer") != "acme" || r.URL.Query().Get("destination") == "ap" {
				io.WriteString(w, `{"items":[],"next":""}`)
				return
			}
			io.WriteString(w, `{"items":[{"id":"`+newerEvent+`_1","event":"`+newerEvent+`"},{"id":"`+olderEvent+`_1","event":"`+olderEvent+`"}],"next":""}`)
		},
		"GET /v1/events": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("user") != "u1" {
				io.WriteString(w, `{"items":[],"next":""}`)
				return
			}
			io.WriteString(w, `{"items":[{"id":"`+newerEvent+`","accepted":"2026-07-01T11:48:00Z"}],"next":""}`)
		},
		"POST /v1/deliveries/retry":              say(`{"matched":2,"changed":2}`),
		"POST /v1/deliveries/cancel":             say(`{"matched":2,"changed":2}`),
		"POST /v1/destinations/acme/app/rebind":  say(`{"rebound":39}`),
		"POST /v1/destinations/acme/app/resume":  say(`{}`),
		"POST /v1/destinations/acme/lake/resume": say(`{}`),
		"DELETE /v1/users/u1/data":               say(`{"events":1,"cancelled":2}`),
		"POST /v1/replays":                       say(replayAnswer("finished", "")),
	})
	return f
}

// changes counts the requests that changed something; a replay that only counts does not.
func (f *fake) changes() (n int) {
	for _, r := range f.requests() {
		if !strings.HasPrefix(r.what, "GET ") && !strings.Contains(r.body, `"dry_run":true`) {
			n++
		}
	}
	return n
}

var changing = []struct{ args, question string }{
	{"retry --developer acme", "Retry 2 dead deliveries of acme, the oldest 1 h old? [y/N] "},
	{"retry --developer acme --destination app --rebind", "Rebind 2 pending deliveries of acme/app, the oldest 1 h old? [y/N] "},
	{"cancel --developer acme --destination app", "Cancel 2 pending deliveries of acme/app, the oldest 1 h old? [y/N] "},
	{"rebind acme/app", "Move 39 pending deliveries of acme/app, the oldest 12 m old, to its current settings? [y/N] "},
	{"erase --developer acme u1", "Erase 1 event of user u1 of acme, the newest 12 m old, for good? [y/N] "},
	{"replay --developer acme --destination app", "Make 9 deliveries again (dead), of acme/app, at 100/s? [y/N] "},
}

func TestNothingIsChangedUnasked(t *testing.T) {
	for _, tc := range changing {
		for _, yes := range []string{"y\n", "YES\n", "yes"} {
			f := asked(t)
			r := trial{in: yes, terminal: true, env: map[string]string{"FANTAIL_SERVER": f.URL}}.run(t, strings.Fields(tc.args)...)
			if r.code != 0 || !strings.Contains(r.err, tc.question) || f.changes() != 1 {
				t.Errorf("%s, answered %q: %+v, %d changes", tc.args, yes, r, f.changes())
			}
		}
		for _, no := range []string{"n\n", "\n", "", "yep\n"} {
			f := asked(t)
			r := trial{in: no, terminal: true, env: map[string]string{"FANTAIL_SERVER": f.URL}}.run(t, strings.Fields(tc.args)...)
			if r.code != 1 || !strings.Contains(r.err, tc.question) || !strings.Contains(r.err, "nothing was changed") || f.changes() != 0 {
				t.Errorf("%s, answered %q: %+v, %d changes", tc.args, no, r, f.changes())
			}
		}
		f := asked(t)
		r := trial{in: "y\n", env: map[string]string{"FANTAIL_SERVER": f.URL}}.run(t, strings.Fields(tc.args)...)
		if r.code != 2 || !strings.Contains(r.err, "say --yes") || r.out != "" || len(f.requests()) != 0 {
			t.Errorf("%s without a terminal: %+v, asked %+v", tc.args, r, f.requests())
		}
		f = asked(t)
		if r := f.run(t, append(strings.Fields(tc.args), "--yes")...); r.code != 0 || f.changes() != 1 || strings.Contains(r.err, "?") {
			t.Errorf("%s --yes: %+v, %d changes", tc.args, r, f.changes())
		}
	}
}

func TestCtrlCAtAQuestionChangesNothing(t *testing.T) {
	f := asked(t)
	in, keep := io.Pipe()
	defer keep.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupt signal received")
	var out strings.Builder
	said := &alarm{at: "[y/N]", do: func() { cancel(stop) }}
	e := newEnv(in, &out, said, nil)
	e.lookup = func(name string) string { return map[string]string{"FANTAIL_SERVER": f.URL}[name] }
	e.inTerminal, e.errTerminal = true, true
	if code := e.run(ctx, []string{"cancel", "--developer", "acme"}); code != 130 || f.changes() != 0 || !strings.HasSuffix(said.String(), "\nfantail: interrupted\n") {
		t.Errorf("exit %d, %d changes: %s", code, f.changes(), said)
	}
}

// alarm calls do, if there is one, once a text has been written.
type alarm struct {
	strings.Builder
	at string
	do func()
}

func (w *alarm) Write(b []byte) (int, error) {
	n, err := w.Builder.Write(b)
	if w.do != nil && strings.Contains(w.String(), w.at) {
		w.do()
	}
	return n, err
}

func TestInterruptedIs130(t *testing.T) {
	for _, cause := range []error{nil, errors.New("interrupt signal received")} {
		ctx, cancel := context.WithCancelCause(t.Context())
		f := newFake(t, map[string]http.HandlerFunc{"GET /v1/destinations": func(_ http.ResponseWriter, r *http.Request) {
			cancel(cause)
			<-r.Context().Done()
		}})
		var said strings.Builder
		e := newEnv(nil, io.Discard, &said, nil)
		e.lookup = func(name string) string { return map[string]string{"FANTAIL_SERVER": f.URL}[name] }
		if code := e.run(ctx, []string{"destinations"}); code != 130 || said.String() != "fantail: interrupted\n" {
			t.Errorf("%v: exit %d, %q", cause, code, said.String())
		}
	}
}

// TestUnknownNamesAreNotSilent: a command that found nothing says whether there is such a name.
func TestUnknownNamesAreNotSilent(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"retry --developer acm --yes", `no developer "acm" is known: did you mean acme?`},
		{"retry --developer acm --dry-run", `no developer "acm" is known: did you mean acme?`},
		{"retry --developer acme --destination ap --dry-run", `acme has no destination "ap": did you mean app?`},
		{"cancel --developer acm --yes", `no developer "acm" is known: did you mean acme?`},
		{"export --developer acm", `no developer "acm" is known: did you mean acme?`},
		{"export --developer acme --destination ap", `acme has no destination "ap": did you mean app?`},
		{"export --developer acme --type slep", `no event of the type "slep" is known: did you mean sleep?`},
		{"export --developer zzz\u202e", `no developer "zzz\u202e" is known: known are acme`},
		{"rebind acme/ap --yes", `acme has no destination "ap": did you mean app?`},
		{"resume acme/lak", `acme has no destination "lak": did you mean lake?`},
		{"resume acme/gone", `acme/gone is not in the settings any more`},
		{"pause acm/app", `no developer "acm" is known: did you mean acme?`},
		{"test acme/ap", `acme has no destination "ap": did you mean app?`},
		{"erase --developer acm --yes u2", `no developer "acm" is known: did you mean acme?`},
	} {
		f := asked(t)
		f.answers["POST /v1/deliveries/retry"] = say(`{"matched":0,"changed":0}`)
		f.answers["POST /v1/deliveries/cancel"] = say(`{"matched":0,"changed":0}`)
		f.answers["DELETE /v1/users/u2/data"] = say(`{"events":0,"cancelled":0}`)
		if r := f.run(t, strings.Fields(tc.args)...); r.code != 1 || !strings.Contains(r.err, tc.want) || r.out != "" {
			t.Errorf("%s: %+v, want %q", tc.args, r, tc.want)
		}
	}
	// A token that may change things but not read is told nothing of names.
	f := asked(t)
	f.answers["POST /v1/deliveries/retry"] = say(`{"matched":0,"changed":0}`)
	f.answers["GET /v1/destinations"] = deny(403, "forbidden", "may not read")
	f.run(t, "retry", "--developer", "acm", "--yes").want(t, 0, "There is no dead delivery of acm.\n", "")
	f.run(t, "resume", "acme/app").want(t, 0, "acme/app: resumed\n", "")
}

func TestResumeSaysWhatItEnded(t *testing.T) {
	f := asked(t)
	f.run(t, "resume", "acme/app").want(t, 0, "acme/app: was active already: there was nothing to resume\n", "")
	f.run(t, "resume", "acme/lake").want(t, 0, `acme/lake: resumed (was held: no such bucket\x1b[2J)`+"\n", "")
}

// TestResumeSaysWhatItCannotEnd: resume does not end a wait after crashes. It ends one that the far
// side asked for.
func TestResumeSaysWhatItCannotEnd(t *testing.T) {
	const waits = `{"items":[{"developer":"acme","name":"app","state":"active","waits_until":"2026-07-01T12:10:00Z","reason":"waits apart"}],"next":""}`
	f := asked(t)
	f.answers["GET /v1/destinations"] = say(waits)
	f.run(t, "resume", "acme/app").want(t, 0, "acme/app: still waits until 2026-07-01 12:10:00Z (in 10m): waits apart\n", "")
	f.answers["GET /v1/destinations"] = inOrder(say(waits), say(someDestinations))
	f.run(t, "resume", "acme/app").want(t, 0, "acme/app: resumed: it does not wait any more\n", "")
}

func TestNothingIsSaidOfWhatWasNotTried(t *testing.T) {
	f := asked(t)
	f.answers["POST /v1/deliveries/retry"] = deny(503, "unavailable", "disk")
	f.run(t, "retry", "--all", "--yes").want(t, 1, "", "fantail: disk (unavailable)\n")
	f.run(t, "retry", "--all", "--yes", "--json").want(t, 1, "", "fantail: disk (unavailable)\n")
}

func TestAStateThatThereIsNotIsWrongUsage(t *testing.T) {
	for _, args := range []string{"deliveries --state ded", "deliveries --state pending,ded", "destinations --state ded", "retry --all --state ded --yes",
		"replay --developer acme --state ded --yes", "export --state ded"} {
		if r := (trial{}).run(t, strings.Fields(args)...); r.code != 2 || !strings.Contains(r.err, `--state "ded": `) || !strings.Contains(r.err, "--help") {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

func TestWordsOfOtherProgramsGetAHint(t *testing.T) {
	for word, want := range map[string]string{"list": "fantail destinations", "status": "fantail audit", "logs": "journalctl", "ps": "fantail destinations", "listen": "fantail receive"} {
		if r := (trial{}).run(t, word); r.code != 2 || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v", word, r)
		}
	}
	for word := range meant {
		if r := (trial{}).run(t, word, "--help"); strings.Contains(r.out, "fantail "+word+" ") {
			t.Errorf("%s is a command by now", word)
		}
	}
}

func TestVersionIsAFlagToo(t *testing.T) {
	if r := (trial{}).run(t, "--version"); r.code != 0 || r.out != "fantail "+build.Read().Line()+"\n" || r.err != "" {
		t.Errorf("%+v", r)
	}
}

func TestTheTokenMayStandInAFileOfTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := asked(t)
	env := map[string]string{"FANTAIL_SERVER": f.URL, "FANTAIL_TOKEN_FILE": file}
	trial{env: env}.run(t, "destinations")
	if got := f.requests()[0].header.Get("Authorization"); got != "Bearer from-file" {
		t.Errorf("sent %q", got)
	}
	env["FANTAIL_TOKEN"] = "x"
	if r := (trial{env: env}).run(t, "destinations"); r.code != 2 || !strings.Contains(r.err, "both set") {
		t.Errorf("two tokens: %+v", r)
	}
	if r := (trial{env: env}).run(t, "destinations", "--token", "y"); r.code != 0 {
		t.Errorf("a flag over both: %+v", r)
	}
	if r := (trial{env: map[string]string{"FANTAIL_TOKEN_FILE": "/nowhere"}}).run(t, "destinations"); r.code != 1 || !strings.Contains(r.err, "read FANTAIL_TOKEN_FILE: ") {
		t.Errorf("no file: %+v", r)
	}
}

// hostileName tries to move the cursor, to turn the line around and to look wider than it is.
const hostileName = "\u202eacme\u001b[2J\u6f22\u5b57\u05e9\u05dc\u05d5\u05dd\n"

var hostileQuestions = map[string][]string{
	"cancel": {"cancel", "--developer", hostileName, "--event", hostileName},
	"retry":  {"retry", "--developer", hostileName, "--destination", hostileName, "--since", "1h", "--until", "1m"},
	"erase":  {"erase", "--developer", hostileName, hostileName}, "erase of acme": {"erase", "--developer", "acme", hostileName},
	"replay": {"replay", "--developer", hostileName}, "rebind": {"rebind", "acme/app"}, "rebind unknown": {"rebind", "acme/" + hostileName},
	"pause": {"pause", "acme/lak"}, "resume": {"resume", "acme/la\u202eke\u001b[2J\u6f22"},
	"state": {"retry", "--state", hostileName, "--all"}, "command": {hostileName},
}

// askedByEvil is asked, of a daemon whose every text is hostile.
func askedByEvil(t *testing.T) map[string]http.HandlerFunc {
	answers := asked(t).answers
	list := answers["GET /v1/deliveries"]
	answers["GET /v1/deliveries"] = func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "acme") {
			r.URL.RawQuery = "developer=acme"
		}
		list(w, r)
	}
	answers["GET /v1/events"] = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("developer") != hostileName || r.URL.Query().Get("user") == "" {
			io.WriteString(w, `{"items":[],"next":""}`)
			return
		}
		io.WriteString(w, `{"items":[{"id":"`+newerEvent+`","accepted":"2026-07-01T11:48:00Z"}],"next":""}`)
	}
	answers["GET /v1/destinations"] = say(strings.ReplaceAll(someDestinations, `"lake"`, `"la\u202eke\u001b[2J\u6f22"`))
	answers["POST /v1/replays"] = say(strings.Replace(replayAnswer("finished", ""), `["dead"]`, `["dead\u001b[2J\u202e"]`, 1))
	answers["POST /v1/destinations/acme/la%E2%80%AEke%1B%5B2J%E6%BC%A2/resume"] = say("{}")
	return answers
}
