package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestTheDaemonIsBuiltOfKnownModules: another module is a decision, because everybody who builds the
// daemon downloads it (google.golang.org/api alone had 414 of 912 MB).
func TestTheDaemonIsBuiltOfKnownModules(t *testing.T) {
	got := bring(t, "./cmd/fantail")["cmd/fantail"]
	for _, fault := range burden("cmd/fantail", got) {
		t.Error(fault)
	}
	for _, m := range modules["cmd/fantail"] {
		if !slices.ContainsFunc(got, func(name string) bool { return inside(name, m) }) {
			t.Errorf("the daemon is built without %s: take it out of test/arch/law.go", m)
		}
	}
}

// TestPublicPackagesBringFewModules asks `go list` what comes with each package
// that others may import.
func TestPublicPackagesBringFewModules(t *testing.T) {
	seen := map[string]bool{}
	for name, got := range bring(t, "./pkg/...") {
		if inside(name, "pkg/cloud") {
			continue
		}
		for prefix := range modules {
			seen[prefix] = seen[prefix] || inside(name, prefix)
		}
		for _, fault := range burden(name, got) {
			t.Error(fault)
		}
	}
	for prefix := range modules {
		if !seen[prefix] && inside(prefix, "pkg") {
			t.Errorf("%s has a rule for its modules and is no package", prefix)
		}
	}
}

func TestBurdenSeesEveryBreach(t *testing.T) {
	for _, c := range []struct {
		name string
		mods []string
		want int
	}{
		{"pkg/client", nil, 0},
		{"pkg/client", []string{"github.com/aws/smithy-go"}, 1},
		{"pkg/destination", []string{"golang.org/x/sys"}, 0},
		{"pkg/destination/fault", []string{"golang.org/x/sys", "google.golang.org/api"}, 1},
		{"pkg/destination", []string{"golang.org/x/system", "google.golang.org/api"}, 2},
		{"pkg/other", nil, 1},
	} {
		if got := burden(c.name, c.mods); len(got) != c.want {
			t.Errorf("%s with %v: %d faults, want %d: %v", c.name, c.mods, len(got), c.want, got)
		}
	}
}

// burden lists which modules a package may not bring.
func burden(name string, mods []string) (faults []string) {
	allowed, ok := rule(modules, name)
	if !ok {
		return []string{fmt.Sprintf("%s has no rule for the modules that it brings: add one to test/arch/law.go", name)}
	}
	for _, m := range mods {
		if !within(m, allowed) {
			faults = append(faults, fmt.Sprintf("who imports %s gets the module %s: only %v may come with it", name, m, allowed))
		}
	}
	return faults
}

// bring returns the modules of others by the package of ours that they come with: for the packages
// below pattern, and for those of ours that they import.
func bring(t *testing.T, pattern string) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Deps,Module", pattern)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	of, deps := map[string]string{}, map[string][]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Deps       []string
			Module     *struct {
				Path string
				Main bool
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module == nil {
			continue
		}
		if name, ours := own(p.ImportPath); ours {
			deps[name] = p.Deps
		} else {
			of[p.ImportPath] = p.Module.Path
		}
	}
	brought := map[string][]string{}
	for name, imports := range deps {
		mods := []string{}
		for _, imp := range imports {
			if m := of[imp]; m != "" && !slices.Contains(mods, m) {
				mods = append(mods, m)
			}
		}
		brought[name] = mods
	}
	return brought
}
