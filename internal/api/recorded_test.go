package api

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
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
