package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/seed-51f8da91/fantail"

// source is a package as `go list` describes it, with its own imports alone. Names begin at the
// module's root; the root package is ".".
type source struct {
	name           string
	imports, tests []string
}

func TestImportLaw(t *testing.T) {
	sources := list(t)
	for _, name := range []string{".", "cmd/fantail", "pkg/event", "internal/store", "test/arch"} {
		if !slices.ContainsFunc(sources, func(s source) bool { return s.name == name }) {
			t.Fatalf("go list does not show %s", name)
		}
	}
	for _, s := range sources {
		for _, fault := range judge(s) {
			t.Error(fault)
		}
	}
}

// Every law is broken once here: a law that nothing can break checks nothing.
func TestJudgeSeesEveryBreach(t *testing.T) {
	tests := []struct {
		name string
		s    source
		want int
	}{
		{"what is allowed", source{"destinations/webhook", []string{"pkg/destination", "pkg/signature", "destinations/internal/objectkey"}, []string{"destinations/webhook", "pkg/destination/destinationtest"}}, 0},
		{"sub-package of a kind", source{"destinations/webhook", []string{"destinations/webhook/x"}, nil}, 0},
		{"the registry", source{"destinations/all", []string{"destinations/webhook", "destinations/sqs"}, nil}, 0},
		{"no rule", source{"internal/other", nil, nil}, 1},
		{"no rule for a new top", source{"tools", nil, nil}, 1},
		{"a prefix that is no folder", source{"internal/retryish", nil, nil}, 1},
		{"internal imports a kind", source{"internal/delivery", []string{"destinations/webhook"}, nil}, 1},
		{"internal imports the registry", source{"internal/cli", []string{"destinations/all"}, nil}, 2},
		{"a test of internal imports a kind", source{"internal/app", nil, []string{"destinations/webhook"}}, 1},
		{"a kind imports a sibling", source{"destinations/s3", []string{"destinations/gcs"}, nil}, 1},
		{"a kind's test imports a sibling", source{"destinations/s3", nil, []string{"destinations/gcs"}}, 1},
		{"a kind imports internal", source{"destinations/s3", []string{"internal/payload"}, nil}, 1},
		{"a kind imports the registry", source{"destinations/s3", []string{"destinations/all"}, nil}, 2},
		{"what kinds share imports a kind", source{"destinations/internal/objectkey", []string{"destinations/s3"}, nil}, 1},
		{"pkg imports internal", source{"pkg/destination", []string{"internal/store"}, nil}, 1},
		{"pkg imports a kind", source{"pkg/client", []string{"destinations/webhook"}, nil}, 1},
		{"pkg imports the root", source{"pkg/client", []string{"."}, nil}, 1},
		{"a test of pkg imports internal", source{"pkg/client", nil, []string{"internal/api"}}, 1},
		{"event imports destination", source{"pkg/event", []string{"pkg/destination"}, nil}, 1},
		{"the store goes back up", source{"internal/store/pebblestore", []string{"internal/delivery"}, nil}, 1},
		{"delivery opens the store itself", source{"internal/delivery", []string{"internal/store/pebblestore"}, nil}, 1},
		{"its test may", source{"internal/delivery", nil, []string{"internal/store/pebblestore"}}, 0},
		{"retry is pure", source{"internal/retry", []string{"internal/store"}, nil}, 1},
		{"main goes past the root", source{"cmd/fantail", []string{"internal/app"}, nil}, 2},
		{"api starts the app", source{"internal/api", []string{"internal/app"}, nil}, 2},
		{"tests of the whole", source{"test/integration", nil, []string{"internal/app", "destinations/all", "."}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := judge(tt.s); len(got) != tt.want {
				t.Errorf("%d faults, want %d: %v", len(got), tt.want, got)
			}
		})
	}
}

// Every rule names something that exists: an obsolete rule hides a gap.
func TestLawNamesOnlyKnownPlaces(t *testing.T) {
	for name, allowed := range law {
		for _, a := range allowed {
			if a == "." || a == "pkg" || a == "internal" || a == "destinations" || a == "destinations/internal" || a == "test" {
				continue
			}
			if _, ok := rule(law, a); !ok {
				t.Errorf("%s may import %s, which has no rule", name, a)
			}
		}
	}
}

// judge lists the breaches of the law in one package.
func judge(s source) (faults []string) {
	allowed, ok := rule(law, s.name)
	if !ok {
		return []string{fmt.Sprintf("%s has no import rule: add one to test/arch/law.go", s.name)}
	}
	forTests, ok := rule(lawOfTests, s.name)
	if !ok {
		return []string{fmt.Sprintf("%s has no import rule for its tests: add one to test/arch/law.go", s.name)}
	}
	for _, imp := range s.imports {
		if !inside(imp, s.name) && !within(imp, allowed) {
			faults = append(faults, fmt.Sprintf("%s may not import %s", s.name, imp))
		}
		if only, ok := unique[imp]; ok && !slices.Contains(only, s.name) && !inside(s.name, "test") {
			faults = append(faults, fmt.Sprintf("%s may not import %s: only %v may", s.name, imp, only))
		}
	}
	for _, imp := range s.tests {
		if !inside(imp, s.name) && !within(imp, allowed) && !within(imp, forTests) {
			faults = append(faults, fmt.Sprintf("tests of %s may not import %s", s.name, imp))
		}
	}
	return faults
}

// rule returns the entry of the longest prefix of name.
func rule(rules map[string][]string, name string) (allowed []string, ok bool) {
	best := ""
	for prefix, r := range rules {
		if inside(name, prefix) && len(prefix) > len(best) {
			best, allowed, ok = prefix, r, true
		}
	}
	return allowed, ok
}

// inside tells whether name is dir or below it. Nothing counts as below the root package, because
// the folders there have laws of their own.
func inside(name, dir string) bool {
	return name == dir || dir != "." && strings.HasPrefix(name, dir+"/")
}

func within(name string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return inside(name, dir) })
}

func list(t *testing.T) (sources []source) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return sources
		} else if err != nil {
			t.Fatal(err)
		}
		name, _ := own(p.ImportPath)
		s := source{name: name}
		for _, imp := range p.Imports {
			if name, ok := own(imp); ok {
				s.imports = append(s.imports, name)
			}
		}
		for _, imp := range append(p.TestImports, p.XTestImports...) {
			if name, ok := own(imp); ok {
				s.tests = append(s.tests, name)
			}
		}
		sources = append(sources, s)
	}
}

// own names one of our packages from the module's root.
func own(path string) (name string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}
