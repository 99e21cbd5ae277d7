package cli

import (
	"cmp"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
)

const (
	auditRow = `{"developer":"acme","destination":"app","kind":"webhook","accepted":1204512,"delivered":1204000,"pending":12,"dead":499,"cancelled":1,"balanced":true}`
	auditOff = `{"developer":"globex","destination":"a-destination-with-a-long-name","kind":"postgres","accepted":10,"delivered":7,"pending":1,"dead":1,"cancelled":0,"balanced":false}`
	moved    = `{"id":"d1","from":"dead","to":"pending"}`
	link     = `{"id":"lnk_abcdefghijklmnop","url":"https://console.example/portal#lnk_abcdefghijklmnop.c2VjcmV0","developer":"acme","may":["read","retry"],"ends":"2026-07-01T13:00:00Z"}`
)

// evil returns an answer with bad where it says BAD.
func evil(text string) http.HandlerFunc { return say(strings.ReplaceAll(text, "BAD", bad)) }

// refuse is an answer whose every text is hostile.
func refuse(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		evil(`{"error":{"code":"BAD","message":"BAD"}}`)(w, r)
	}
}

// worked makes a picture of a command; answers are made afresh for each run.
func worked(line string, p picture, answers func() map[string]http.HandlerFunc) picture {
	p.args, p.answers, p.whole = strings.Fields(line), answers, true
	return p
}

// always is an answer to one call.
func always(call string, handlers ...http.HandlerFunc) func() map[string]http.HandlerFunc {
	return func() map[string]http.HandlerFunc { return map[string]http.HandlerFunc{call: inOrder(handlers...)} }
}

// A command that changes many deliveries says how far it is, and what it has done.
func TestGoldenChanges(t *testing.T) {
	const all = "POST /v1/deliveries/"
	halves := []http.HandlerFunc{say(`{"matched":500,"changed":498,"next":"n"}`), say(`{"matched":3,"changed":3,"next":""}`)}
	each := func() map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{all + "d1/retry": say(moved), all + "d2/retry": deny(404, "not_found", "there is no such thing"), all + "d3/retry": say(moved)}
	}
	moves := picture{moves: true}
	album(t, "usual changes of many", map[string]picture{
		"retry":            worked("retry --developer acme --yes", moves, always(all+"retry", halves...)),
		"rebind":           worked("retry --developer acme --rebind --yes", moves, always(all+"retry", halves...)),
		"cancel":           worked("cancel --all --yes", moves, always(all+"cancel", halves...)),
		"cancel, half-way": worked("cancel --all --yes", moves, always(all+"cancel", halves[0], deny(503, "unavailable", "the disk is full"))),
		"by id":            worked("retry d1 d2 d3", moves, each),
		"dry run":          worked("retry --developer acme --dry-run", moves, always("GET /v1/deliveries", say(`{"items":[{},{}],"next":"n"}`), say(`{"items":[{}]}`))),
	})
	album(t, "hostile changes of many", map[string]picture{
		"half-way": worked("cancel --all --yes", moves, always(all+"cancel", halves[0], refuse(503))),
		"by id":    {args: []string{"retry", "d1", "d2\u202e\x1b[2J"}, whole: true, answers: always(all+"d1/retry", evil(`{"id":"BAD","from":"BAD","to":"BAD"}`))},
		"a refusal": worked("retry d1 d2", moves, func() map[string]http.HandlerFunc {
			return map[string]http.HandlerFunc{all + "d1/retry": refuse(409), all + "d2/retry": say(moved)}
		}),
		"of nothing": {args: []string{"retry", "--event", "\x1b[2J\u202e日本語שלום", "--yes"}, whole: true, answers: always(all+"retry", say(`{"matched":0,"changed":0}`))},
	})
}

// A replay is watched to its end, and listed.
func TestGoldenReplays(t *testing.T) {
	answers := func(last, more string) func() map[string]http.HandlerFunc {
		return func() map[string]http.HandlerFunc {
			return map[string]http.HandlerFunc{
				"POST /v1/replays": evil(replayAnswer("running", "")), "GET /v1/replays": evil(`{"items":[` + replayAnswer(last, more) + `],"next":""}`),
				"DELETE /v1/replays/3": evil(replayAnswer("cancelled", more)),
				"GET /v1/replays/3":    inOrder(evil(replayAnswer("running", "")), evil(replayAnswer("running", `,"waiting":"acme/app has not caught upBAD"`)), evil(replayAnswer(last, more))),
			}
		}
	}
	usual := func(last, more string) func() map[string]http.HandlerFunc {
		return func() map[string]http.HandlerFunc {
			all := answers(last, more)()
			all["GET /v1/replays/3"] = inOrder(say(replayAnswer("running", "")), say(replayAnswer("running", `,"waiting":"acme/app has not caught up"`)), say(replayAnswer(last, more)))
			return all
		}
	}
	moves := picture{moves: true}
	begin := "replay --developer acme --destination app --yes"
	album(t, "usual replays", map[string]picture{
		"finished":    worked(begin, moves, usual("finished", "")),
		"failed":      worked(begin, moves, usual("failed", `,"error":"rows are damaged"`)),
		"interrupted": worked(begin, picture{moves: true, waits: 2}, usual("finished", "")),
		"no wait":     worked(begin+" --no-wait", picture{}, usual("finished", "")),
		"dry run":     worked(begin+" --dry-run", moves, usual("finished", `,"dry_run":true`)),
		"list":        worked("replay list", picture{}, usual("failed", `,"ended":"2026-07-01T12:00:00Z","error":"rows are damaged"`)),
		"show":        worked("replay show 3", picture{}, usual("finished", "")),
		"cancel":      worked("replay cancel 3", picture{}, usual("finished", "")),
	})
	const hostile = `,"error":"BAD","waiting":"BAD","by":"BAD","developer":"BAD","destination":"BAD","states":["BAD"],"types":["BAD"],"users":["BAD"]`
	album(t, "hostile replays", map[string]picture{
		"failed": worked(begin, moves, answers("failed", hostile)),
		"list":   worked("replay list", picture{}, answers("failed", hostile)),
		"show":   {args: []string{"replay", "show", "3"}, whole: true, answers: always("GET /v1/replays/3", evil(replayAnswer("BAD", hostile)))},
	})
}

// An export says how many events it found and wrote, and where they are.
func TestGoldenExport(t *testing.T) {
	const ids = `{"items":[{"id":"` + otherID + `"},{"id":"` + eventID + `"}],"next":""}`
	answers := func() map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{
			"GET /v1/events":                      say(ids),
			"GET /v1/events/" + eventID:           say(oneEvent),
			"GET /v1/events/" + eventID + "/body": say(`{"type":"sleep"}`),
			"GET /v1/events/" + otherID:           say(`{"id":"` + otherID + `","developer":"acme","gone":"erased"}`),
		}
	}
	hostile := func() map[string]http.HandlerFunc {
		all := answers()
		all["GET /v1/events/"+eventID+"/body"] = evil(`{"type":"BAD"}`)
		return all
	}
	broken := func() map[string]http.HandlerFunc {
		all := hostile()
		all["GET /v1/events/"+eventID] = refuse(500)
		return all
	}
	to := func(name string) picture {
		return picture{moves: true, prepare: func(dir string) []string {
			return []string{"export", "--developer", "acme", "--out", filepath.Join(dir, name)}
		}}
	}
	album(t, "usual export", map[string]picture{
		"to standard output": worked("export --developer acme", picture{moves: true}, answers),
		"to a file":          worked("", to("e.ndjson"), answers),
	})
	album(t, "hostile export", map[string]picture{
		"to standard output": worked("export --developer acme", picture{moves: true, exact: true}, hostile),
		"to a file":          worked("", to("e\x1b[2J\u202e日本語שלום.ndjson"), hostile),
		"refused":            worked("export --developer acme", picture{}, broken),
	})
}

// send counts events while it goes, and each refusal names its line of the file.
func TestGoldenSend(t *testing.T) {
	files := map[string]string{
		"many.ndjson":               strings.Repeat("{\"type\":\"sleep\"}\n", 4) + "nonsense\n{\"idempotency_key\":\"a\",\"event\":{\"type\":\"a\"}}\n{\"idempotency_key\":\"a\",\"event\":{\"type\":\"a\"}}\n",
		"one.json":                  `{"type":"sleep"}`,
		"bad.json":                  "{",
		"\x1b[2J\u202e日本語שלום.json": "{",
	}
	send := func(args ...string) func(string) []string {
		return func(dir string) []string {
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			full := []string{"send", "--developer", "acme"}
			for _, arg := range args {
				if !strings.HasPrefix(arg, "-") {
					arg = filepath.Join(dir, arg)
				}
				full = append(full, arg)
			}
			return full
		}
	}
	busy := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "2")
		deny(503, "unavailable", "the daemon writes to a slow disk")(w, r)
	}
	answers := func() map[string]http.HandlerFunc {
		in := newIntake()
		return map[string]http.HandlerFunc{"POST /v1/events": in.single, "POST /v1/events/batch": inOrder(busy, in.batch(0))}
	}
	hostile := func() map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{"POST /v1/events": refuse(400), "POST /v1/events/batch": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			evil(`{"line":1,"status":400,"error":{"code":"BAD","message":"BAD"}}`+"\n"+`{"line":2,"status":202,"id":"BAD","reference":"BAD","deliveries":1}`+"\n")(w, r)
		}}
	}
	reading := func(in string, args ...string) picture {
		p := picture{moves: true, in: in, answers: hostile, whole: true}
		p.prepare = func(string) []string { return append([]string{"send", "--developer", "acme", "--ndjson"}, args...) }
		return p
	}
	ids := regexp.MustCompile(`"id":"event-\d+"`)
	album(t, "usual send", map[string]picture{
		"lines of a file": worked("", picture{moves: true, prepare: send("many.ndjson")}, answers),
		"files":           worked("", picture{moves: true, prepare: send("one.json", "bad.json", "none.json")}, answers),
		"as JSON":         worked("", picture{prepare: send("--json", "one.json", "bad.json"), steady: func(s string) string { return ids.ReplaceAllString(s, `"id":"ID"`) }}, answers),
	})
	album(t, "hostile send", map[string]picture{
		"name of a file": worked("", picture{moves: true, prepare: send("\x1b[2J\u202e日本語שלום.json")}, hostile),
		"answers":        reading("{}\n{}\n", "-"),
		"as JSON":        reading("{}\n{}\n", "--json", "-"),
	})
}

// A long call of the daemon shows for how long it has gone on, and ends with what was done.
func TestGoldenLongCalls(t *testing.T) {
	const deep, erase = "GET /v1/audit", "DELETE /v1/users/u1/data"
	slow := func(call string) picture { return picture{slow: call} }
	unknown := func() map[string]http.HandlerFunc {
		all := asked(t).answers
		all[erase] = say(`{"events":0,"cancelled":0}`)
		return all
	}
	album(t, "usual long calls", map[string]picture{
		"audit":                  worked("audit", picture{slow: deep}, always(deep, say("["+auditRow+"]"))),
		"audit --deep":           worked("audit --deep", slow(deep), always(deep, say("["+auditRow+","+auditOff+"]"))),
		"audit, of one":          worked("audit --developer acme", slow(deep), always(deep, say("["+auditRow+","+auditOff+"]"))),
		"audit, as JSON":         worked("audit --json", slow(deep), always(deep, say("["+auditRow+"]"))),
		"erase":                  worked("erase --developer acme --yes u1", slow(erase), always(erase, say(`{"events":1,"cancelled":2}`))),
		"erase, nothing":         worked("erase --developer acme --yes u1", slow(erase), unknown),
		"erase, a slip":          worked("erase --developer acm --yes u1", slow(erase), unknown),
		"backup":                 worked("backup /var/b1", slow("POST /v1/backup"), always("POST /v1/backup", say("{}"))),
		"backup over another":    worked("backup /var/b1", slow("POST /v1/backup"), always("POST /v1/backup", deny(409, "conflict", "dir exists already: a backup never overwrites"))),
		"portal-link":            worked("portal-link acme --may read,retry", picture{}, always("POST /v1/portal-links", say(link))),
		"portal-link, as JSON":   worked("portal-link acme --json", picture{}, always("POST /v1/portal-links", say(link))),
		"portal-link --revoke":   worked("portal-link --revoke lnk_abcdefghijklmnop", picture{}, always("DELETE /v1/portal-links/lnk_abcdefghijklmnop", say(""))),
		"portal-link, forbidden": worked("portal-link acme", picture{}, always("POST /v1/portal-links", deny(403, "forbidden", `the token "x" may not do this`))),
	})
	album(t, "hostile long calls", map[string]picture{
		"audit --deep":   worked("audit --deep", slow(deep), always(deep, evil("["+strings.NewReplacer("acme", "BAD", "app", "BAD").Replace(auditRow)+","+auditOff+"]"))),
		"audit, refused": worked("audit", slow(deep), always(deep, refuse(500))),
		"erase, refused": worked("erase --developer acme --yes u1", slow(erase), always(erase, refuse(500))),
		"backup":         {args: []string{"backup", "/var/\x1b[2J\u202e日本語שלום"}, whole: true, answers: always("POST /v1/backup", say("{}"))},
		"portal-link":    worked("portal-link acme", picture{}, always("POST /v1/portal-links", evil(`{"id":"BAD","url":"https://x/BAD","developer":"BAD","may":["BAD"],"ends":"2026-07-01T13:00:00Z"}`))),
		"portal-link --revoke": {args: []string{"portal-link", "--revoke", "lnk\x1b[2J\u202e日本語"}, whole: true,
			answers: always("DELETE /v1/portal-links/lnk%1B%5B2J%E2%80%AE%E6%97%A5%E6%9C%AC%E8%AA%9E", say(""))},
	})
}

// Backups and restores of a stopped daemon's store say where it is now, and what
// to do about what is in their way.
func TestGoldenStores(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	s, err := pebblestore.Open(store, pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "kept")
	if err := s.Backup(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// there makes a folder with settings, and perhaps a store and a backup beside them.
	there := func(args string, folders ...string) func(string) []string {
		return func(dir string) []string {
			if err := os.WriteFile(filepath.Join(dir, "fantail.yaml"), []byte("keys: [\"a key that is long enough for a test\"]\nstore: { pebble: { dir: store } }\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, name := range append(folders, "developers") {
				if name == "developers" {
					if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
						t.Fatal(err)
					}
				} else if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(cmp.Or(map[string]string{"store": store}[name], kept))); err != nil {
					t.Fatal(err)
				}
			}
			return append(strings.Fields(strings.ReplaceAll(args, "PATH", dir)), "--config", filepath.Join(dir, "fantail.yaml"))
		}
	}
	pictures := map[string]picture{}
	for name, prepare := range map[string]func(string) []string{
		"restore":                       there("restore PATH/backup", "backup"),
		"restore, as JSON":              there("restore PATH/backup --json", "backup"),
		"restore over a store":          there("restore PATH/backup", "backup", "store"),
		"restore after one that broke":  there("restore PATH/backup", "backup", "store.restoring"),
		"restore of nothing":            there("restore PATH/backup"),
		"restore of what is no backup":  there("restore PATH/developers"),
		"backup, offline":               there("backup --offline PATH/backup", "store"),
		"backup, offline, over another": there("backup --offline PATH/backup", "store", "backup"),
		"backup, offline, of nothing":   there("backup --offline PATH/backup"),
	} {
		pictures[name] = worked("", picture{prepare: prepare}, func() map[string]http.HandlerFunc { return nil })
	}
	// between makes settings of two stores, and perhaps the embedded one.
	const embedded, key = "store: { pebble: { dir: store } }\n", "keys: [\"a key that is long enough for a test\"]\n"
	between := func(args, from, to string, stored bool) func(string) []string {
		return func(dir string) []string {
			for name, text := range map[string]string{"from.yaml": from, "to.yaml": to} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(filepath.Join(dir, "developers"), 0o700); err != nil {
				t.Fatal(err)
			}
			if stored {
				if err := os.CopyFS(filepath.Join(dir, "store"), os.DirFS(store)); err != nil {
					t.Fatal(err)
				}
			}
			return strings.Fields(strings.ReplaceAll(args, "PATH", dir))
		}
	}
	const both = "store copy --from PATH/from.yaml --to PATH/to.yaml"
	const shared = "store: { postgres: { urls: [\"postgres://u:hunter2@127.0.0.1:1/fantail?sslmode=disable\"] } }\n"
	for name, prepare := range map[string]func(string) []string{
		"store copy, to where":                   between("store copy --from PATH/from.yaml", key+embedded, "", true),
		"store copy to the same kind":            between(both, key+embedded, key+embedded, true),
		"store copy with another key":            between(both, key+embedded, strings.Replace(key, "a test", "another", 1)+shared, true),
		"store copy of nothing":                  between(both, key+embedded, key+shared, false),
		"store copy to where nobody answers":     between(both, key+embedded, key+shared, true),
		"store release of what was never copied": between("store release --config PATH/from.yaml", key+embedded, "", true),
		"store release of nothing":               between("store release --config PATH/from.yaml --json", key+embedded, "", false),
	} {
		pictures[name] = worked("", picture{prepare: prepare}, func() map[string]http.HandlerFunc { return nil })
	}
	album(t, "usual stores", pictures)
	name := "\x1b[2J\u202e日本語שלום"
	album(t, "hostile stores", map[string]picture{
		"restore":            worked("", picture{prepare: there("restore PATH/"+name, name)}, func() map[string]http.HandlerFunc { return nil }),
		"restore of nothing": worked("", picture{prepare: there("restore PATH/" + name)}, func() map[string]http.HandlerFunc { return nil }),
		"backup, offline":    worked("", picture{prepare: there("backup --offline PATH/"+name, "store")}, func() map[string]http.HandlerFunc { return nil }),
	})
}

// generate ends with what was accepted and refused. Its times differ with every run.
func TestGoldenGenerate(t *testing.T) {
	times := []struct{ from, to string }{
		{`\r\d+ of \d+, [^\n]*\r`, ""}, {`in [\d.ms]+: [\d.]+/s`, "in TIME: RATE/s"}, {`[\d.]+ ms`, "TIME ms"},
		{`"(seconds|rate|p50_ms|p95_ms|p99_ms|max_ms)":[\d.e-]+`, `"$1":N`},
	}
	steady := func(text string) string {
		for _, x := range times {
			text = regexp.MustCompile(x.from).ReplaceAllString(text, x.to)
		}
		return text
	}
	const run = "generate --developer acme --rate 1000 --for 4ms --seed 7"
	answer := func(handlers ...http.HandlerFunc) func() map[string]http.HandlerFunc {
		return func() map[string]http.HandlerFunc {
			all := maps.Clone(asked(t).answers)
			all["POST /v1/events"] = inOrder(slices.Clone(handlers)...)
			return all
		}
	}
	p, accepted := picture{steady: steady}, say(`{"id":"e","reference":"r","deliveries":2}`)
	album(t, "usual generate", map[string]picture{
		"accepted":      worked(run, p, answer(accepted)),
		"as JSON":       worked(run+" --json", p, answer(accepted)),
		"some refused":  worked(run, p, answer(deny(422, "odd", "not this one"), deny(422, "strange", "nor this one"), accepted)),
		"a slip":        worked(strings.Replace(run, "acme", "acm", 1), p, answer(deny(404, "unknown_developer", "there is no such developer"))),
		"a wrong token": worked(run, p, answer(deny(401, "unauthorized", "a valid bearer token is needed"))),
	})
	album(t, "hostile generate", map[string]picture{
		"refused": worked(run, p, answer(refuse(422), accepted)),
		"as JSON": worked(run+" --json", p, answer(refuse(422), accepted)),
	})
}
