package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// delivery is one as the daemon lists it.
func delivery(n int, state string, tried int) string {
	return fmt.Sprintf(`{"id":"019f1d8a-22e0-7%03x-8000-000000000001_3","event":"019f1d8a-22e0-7%03x-8000-000000000001","developer":"acme","destination":"app","state":%q,"tried":%d}`, n, n, state, tried)
}

func TestAListIsSortedAndWrittenAsAsked(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/deliveries": say(`{"items":[` + delivery(3, "pending", 2) + `,` + delivery(2, "dead", 9) + `,` + delivery(1, "delivered", 1) + `],"next":""}`)})
	ids := func(args ...string) string {
		t.Helper()
		r := f.run(t, append([]string{"deliveries", "-o", "id"}, args...)...)
		if r.code != 0 {
			t.Errorf("%q: %+v", args, r)
		}
		short := ""
		for _, line := range strings.Fields(r.out) {
			short += line[17:18]
		}
		return short
	}
	for sort, want := range map[string]string{"": "321", "tried": "231", "-tried": "132", "state": "213", "accepted": "321", "-accepted": "123"} {
		args := []string{}
		if sort != "" {
			args = []string{"--sort=" + sort}
		}
		if got := ids(args...); got != want {
			t.Errorf("sorted by %q: %s, want %s", sort, got, want)
		}
	}
	r := f.run(t, "deliveries", "-o", "json")
	var all []map[string]any
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || len(all) != 3 {
		t.Errorf("-o json is no array: %v\n%s", err, r.out)
	}
	if jsonl, old := f.run(t, "deliveries", "-o", "jsonl"), f.run(t, "deliveries", "--json"); jsonl != old || strings.Count(old.out, "\n") != 3 {
		t.Errorf("-o jsonl %+v, --json %+v", jsonl, old)
	}
	if r := f.run(t, "deliveries", "-o", "wide"); !strings.Contains(r.out, "ACCEPTED") || !strings.Contains(r.out, "019f1d8a-22e0-7003-8000-000000000001_3") {
		t.Errorf("-o wide: %+v", r)
	}
	for _, args := range []string{"-o yaml", "--sort no", "--limit -1", "--watch -o json"} {
		if r := f.run(t, append([]string{"deliveries"}, strings.Fields(args)...)...); r.code != 2 {
			t.Errorf("%s: exit %d: %s", args, r.code, r.err)
		}
	}
	f = newFake(t, map[string]http.HandlerFunc{"GET /v1/deliveries": say(`{"items":[],"next":""}`)})
	f.run(t, "deliveries", "-o", "json").want(t, 0, "[\n]\n", "")
}

// A program that reads a list must not take a part for the whole. A person who names a limit gets
// that many rows.
func TestOnlyTablesHaveALimitOfTheirOwn(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/deliveries": say(`{"items":[],"next":""}`), "GET /v1/events": say(`{"items":[],"next":""}`)})
	for args, want := range map[string]string{"": "limit=51", "--json": "limit=1000", "-o id": "limit=1000", "-o json": "limit=1000", "--json --limit 7": "limit=8", "-o wide": "limit=51", "--limit 0": "limit=1000"} {
		for _, list := range []string{"deliveries", "events"} {
			before := len(f.requests())
			f.run(t, append([]string{list}, strings.Fields(args)...)...)
			if got := f.requests()[before].what; !strings.HasSuffix(got, want) {
				t.Errorf("%s %s asks %s, want %s", list, args, got, want)
			}
		}
	}
}

// Rows that no index finds are looked for up to a bound, and the answer says how far back.
func TestASearchSaysHowFarBackItLooked(t *testing.T) {
	n := 0
	f := newFake(t, map[string]http.HandlerFunc{"GET /v1/deliveries": func(w http.ResponseWriter, _ *http.Request) {
		n++
		fmt.Fprintf(w, `{"items":[],"next":"c%d","looked_back_to":"2026-06-01T10:00:00Z"}`, n)
	}})
	r := f.run(t, "deliveries", "--user", "ann", "--code", "500", "--code", "503", "--class", "transient", "--type", "sleep")
	r.want(t, 0, "", "No such deliveries.\nLooked back to 2026-06-01 10:00:00Z (30d2h ago). For what is older: --until 2026-06-01T10:00:00Z\n")
	if n != searchPages {
		t.Errorf("asked %d times, want %d", n, searchPages)
	}
	if got := f.requests()[0].what; got != "GET /v1/deliveries?class=transient&code=500&code=503&detail=true&limit=51&type=sleep&user=ann" {
		t.Errorf("asked %s", got)
	}
}

// watchedFor runs a command that does not end until it has waited that often.
func watchedFor(t *testing.T, f *fake, terminal bool, waits int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	e := newEnv(strings.NewReader(""), &out, &errs, nil)
	e.now, e.outTerminal = func() time.Time { return testNow }, terminal
	e.lookup = func(name string) string { return map[string]string{"FANTAIL_SERVER": f.URL, "NO_COLOR": "1"}[name] }
	ctx, cancel := context.WithCancel(t.Context())
	e.pause = func(context.Context, time.Duration) bool {
		if waits--; waits == 0 {
			cancel()
		}
		return waits > 0
	}
	if code := e.run(ctx, args); code == 0 || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("exit %d: %s", code, &errs)
	}
	return out.String()
}

func TestAListIsWatched(t *testing.T) {
	answers := func() map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{"GET /v1/deliveries": inOrder(
			say(`{"items":[`+delivery(1, "pending", 1)+`],"next":""}`), say(`{"items":[`+delivery(2, "pending", 0)+`,`+delivery(1, "pending", 1)+`],"next":""}`),
			say(`{"items":[`+delivery(2, "pending", 0)+`,`+delivery(1, "dead", 2)+`],"next":""}`))}
	}
	got := watchedFor(t, newFake(t, answers()), true, 3, "deliveries", "--watch")
	if screens := strings.Split(got, "\x1b[H\x1b[2J"); len(screens) != 4 || strings.Count(screens[1], "_3") != 1 || strings.Count(screens[3], "_3") != 2 || !strings.Contains(screens[3], "dead") {
		t.Errorf("on a terminal: %q", got)
	}
	got = watchedFor(t, newFake(t, answers()), false, 3, "deliveries", "--watch", "-o", "id")
	if want := "019f1d8a-22e0-7001-8000-000000000001_3\n019f1d8a-22e0-7002-8000-000000000001_3\n019f1d8a-22e0-7001-8000-000000000001_3\n"; got != want {
		t.Errorf("without a terminal only what is new:\n%swant\n%s", got, want)
	}
	got = watchedFor(t, newFake(t, answers()), false, 3, "deliveries", "--watch")
	if strings.Count(got, "AGE") != 1 || strings.Count(got, "_3") != 3 {
		t.Errorf("without a terminal:\n%s", got)
	}
}

func TestColoursAreForTerminalsThatWantThem(t *testing.T) {
	f := newFake(t, usualAnswers)
	for _, c := range []struct {
		terminal bool
		env      map[string]string
		want     bool
	}{{true, nil, true}, {false, nil, false}, {true, map[string]string{"NO_COLOR": "1"}, false}, {true, map[string]string{"TERM": "dumb"}, false}} {
		env := map[string]string{"FANTAIL_SERVER": f.URL}
		for k, v := range c.env {
			env[k] = v
		}
		r := trial{terminal: c.terminal, env: env}.run(t, "destinations")
		if got := strings.Contains(r.out, "\x1b["); got != c.want {
			t.Errorf("%+v: colours %t", c, got)
		}
	}
}

func TestTextTakesTheColumnsItIsSaidTo(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "日本": 4, "カ": 2, "é": 1, "e\u0301": 1, "שלום": 4, "👩": 2, "a\u200db": 2, "ﾊ": 1, "Ａ": 2} {
		if got := width(s); got != want {
			t.Errorf("%q: %d columns, want %d", s, got, want)
		}
		for n := 1; n <= want+1; n++ {
			if got := clip(s, n); width(got) > n || n >= want && got != s {
				t.Errorf("%q in %d columns: %q", s, n, got)
			}
			folded := fold(s, max(n, 2))
			bad := func(line string) bool { return width(line) > max(n, 2) || !utf8.ValidString(line) }
			if strings.Join(folded, "") != s || slices.ContainsFunc(folded, bad) {
				t.Errorf("%q folded at %d: %q", s, n, folded)
			}
		}
	}
	if got := fold("one two  three-and-four", 7); strings.Join(got, "|") != "one two|three-a|nd-four" && strings.Join(got, "|") != "one two|  three-a|nd-four" && strings.Join(got, "|") != "one two||three-a|nd-four" {
		t.Errorf("%q", got)
	}
}

// A mistyped name and an empty list would look alike otherwise.
func TestNamesThatNobodyKnowsAreQuestioned(t *testing.T) {
	empty := say(`{"items":[],"next":""}`)
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/deliveries": empty, "GET /v1/events": empty, "GET /v1/live": deny(404, "not_found", "there is no such developer or destination"),
		"GET /v1/destinations": func(w http.ResponseWriter, r *http.Request) {
			if d := r.URL.Query().Get("developer"); d != "" && d != "acme" {
				empty(w, r)
				return
			}
			fmt.Fprint(w, `{"items":[{"developer":"acme","name":"app","kind":"webhook","state":"active"}],"next":""}`)
		},
	})
	for args, want := range map[string]string{
		"deliveries --developer acmee":                  "did you mean acme?",
		"deliveries --developer acme --destination aps": "did you mean app?",
		"deliveries --type slep":                        "did you mean sleep?",
		"events --developer acmee":                      "did you mean acme?",
		"events --type slep --json":                     "did you mean sleep?",
		"destinations --developer acmee":                "did you mean acme?",
		"tail acmee":                                    "did you mean acme?",
		"tail acme/aps":                                 "did you mean app?",
	} {
		if r := f.run(t, strings.Fields(args)...); r.code != 1 || !strings.Contains(r.err, want) || r.out != "" {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	f.run(t, "deliveries", "--developer", "acme").want(t, 0, "", "No such deliveries.\n")
}
