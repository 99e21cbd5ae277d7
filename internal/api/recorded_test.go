package api

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

// recordings are the statuses with which each operation answered in this run,
// each answer having been held to openapi.yaml.
var recordings = &tape{seen: map[string]bool{}}

type tape struct {
	mu   sync.Mutex
	seen map[string]bool // "listEvents 200"
}

func (r *tape) add(operation string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[fmt.Sprint(operation, " ", status)] = true
}

// unrecorded are statuses that every operation of a kind has and that one test
// shows for all: a body that comes too slowly (408), a panic (500), and a store
// that cannot answer (503).
var unrecorded = []string{" 408", " 500", " 503"}

// TestMain fails a whole run in which something that openapi.yaml describes was
// never answered: such a description is a guess.
func TestMain(m *testing.M) {
	code := m.Run()
	narrow := func(name string) bool { f := flag.Lookup(name); return f != nil && f.Value.String() != "" }
	if code == 0 && !narrow("test.run") && !narrow("test.skip") && !narrow("test.fuzz") && !narrow("test.list") {
		d, err := loadDescription()
		if err != nil {
			panic(err)
		}
		for name, op := range d.operations() {
			for status := range op["responses"].(map[string]any) {
				answer := name + " " + status
				if !recordings.seen[answer] && !slices.ContainsFunc(unrecorded, func(s string) bool { return strings.HasSuffix(answer, s) }) {
					fmt.Printf("no test was answered %s, which openapi.yaml describes\n", answer)
					code = 1
				}
			}
		}
	}
	os.Exit(code)
}

// operations are all of them by operationId, each with its "method" and "path".
func (d *described) operations() map[string]map[string]any {
	all := map[string]map[string]any{}
	for path, item := range d.root["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method != "parameters" {
				op := maps.Clone(op.(map[string]any))
				op["method"], op["path"] = strings.ToUpper(method), path
				all[op["operationId"].(string)] = op
			}
		}
	}
	return all
}

// sample is a request of an operation: the path filled in, and headers.
func sample(op map[string]any) (method, path string, headers []string) {
	path = strings.NewReplacer("{id}", "1", "{developer}", "acme", "{destination}", "app", "{day}", "2026-07-01", "{object}", "x.json").Replace(op["path"].(string))
	return op["method"].(string), path, []string{"dev-id: acme", bearer("all")}
}

// What a query may say stands in openapi.yaml, and the other way round.
func TestParametersAreDescribed(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate")}})
	r.checks.result = found
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	for name, op := range d.operations() {
		switch name {
		case "getPayload": // a signed link: what is wrong with it is not told
			continue
		case "getHealth", "getReadiness":
			if a := r.do("GET", op["path"].(string)+"?from=balancer", ""); a.status != 200 {
				t.Errorf("%s with a query: %s", name, a)
			}
			continue
		}
		var want []string
		parameters, _ := op["parameters"].([]any)
		for _, p := range parameters {
			if p := d.follow(p.(map[string]any)); p["in"] == "query" {
				want = append(want, p["name"].(string))
			}
		}
		method, path, headers := sample(op)
		a := r.do(method, path+"?no_such_parameter=1", "", headers...)
		_, list, strict := strings.Cut(string(a.body), `unknown parameter \"no_such_parameter\": `)
		list, _, _ = strings.Cut(list, `"`)
		var have []string
		if names, some := strings.CutPrefix(list, "want "); some {
			have = strings.Split(names, ", ")
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) || !strict || a.status != 400 || a.code() != "invalid_parameter" {
			t.Errorf("%s takes %q, openapi.yaml has %q: %s", name, have, want, a)
		}
	}
}

// The members of small bodies are described, unknown ones refused, and none may stand twice.
func TestBodiesAreDescribed(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate")}, limits: ingest.Limits{}})
	r.checks.result = found
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	small := 0
	for name, op := range d.operations() {
		method, path, headers := sample(op)
		if method != "POST" || slices.Contains([]string{"sendEvent", "sendBatch", "testDestination"}, name) { // events
			continue
		}
		small++
		for body, status := range map[string]int{`{"no_such_member":1}`: 400, `{`: 400, `[]`: 400, `{} {}`: 400, strings.Repeat(" ", 65<<10): 413} {
			if a := r.do(method, path, body, headers...); a.status != status {
				t.Errorf("%s of %.30s: %s, want %d", name, body, a, status)
			}
		}
		body, _ := op["requestBody"].(map[string]any)
		if body == nil {
			continue
		}
		schema := d.follow(body["content"].(map[string]any)["application/json"].(map[string]any)["schema"].(map[string]any))
		for member := range schema["properties"].(map[string]any) {
			if a := r.do(method, path, fmt.Sprintf(`{%q:{}}`, member), headers...); !strings.Contains(string(a.body), "cannot unmarshal") {
				t.Errorf("%s does not know %s, which openapi.yaml describes: %s", name, member, a)
			}
			for _, twice := range []string{member, strings.ToUpper(member)} {
				if a := r.do(method, path, fmt.Sprintf(`{%q:null,%q:null}`, member, twice), headers...); a.status != 400 || !strings.Contains(string(a.body), "twice") {
					t.Errorf("%s with %s twice: %s", name, member, a)
				}
			}
		}
	}
	if small < 10 {
		t.Errorf("%d operations were looked at", small)
	}
	if a := r.do("POST", "/v1/replays", `{"all":true,"states":["states","states"],"types":["all","rate"],"dry_run":true}`, bearer("all")); a.status != 400 || cmp.Compare(a.code(), "invalid_request") != 0 || strings.Contains(string(a.body), "twice") {
		t.Errorf("values that repeat: %s", a)
	}
}
