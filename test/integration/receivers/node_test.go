package receivers

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verify runs all checks in one process of Node and compares what it says.
func verify(t *testing.T, checks []check) {
	t.Helper()
	installed(t)
	in, err := json.Marshal(checks)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "verify.mjs")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("run verify.mjs: %v\n%s", err, stderr.String())
	}
	var results []struct {
		OK    bool
		Error string
	}
	if err := json.Unmarshal(stdout.Bytes(), &results); err != nil || len(results) != len(checks) {
		t.Fatalf("%d results of %d checks, %v\n%s", len(results), len(checks), err, stderr.String())
	}
	for i, c := range checks {
		if results[i].OK != c.want {
			t.Errorf("%s: %s: accepted %t, want %t: %s", c.Library, c.name, results[i].OK, c.want, results[i].Error)
		}
	}
	t.Logf("%d checks", len(checks))
}

// installed fails, and never skips, when Node.js or a library is missing or does not have the version
// that package.json names.
func installed(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatalf("node is missing (%v), run: make setup", err)
	}
	var manifest struct{ Dependencies map[string]string }
	read(t, "package.json", &manifest)
	if len(manifest.Dependencies) != 5 {
		t.Fatalf("package.json names %d libraries", len(manifest.Dependencies))
	}
	for name, want := range manifest.Dependencies {
		var library struct{ Version string }
		read(t, filepath.Join("node_modules", name, "package.json"), &library)
		if want = want[strings.LastIndex(want, "@")+1:]; library.Version != want {
			t.Fatalf("%s is installed in version %s, want %s, run: make setup", name, library.Version, want)
		}
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v, run: make setup", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
}

// The lock file must install from whatever registry the machine uses.
func TestLockFileNamesNoRegistry(t *testing.T) {
	raw, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"resolved"`, "registry", "_auth"} {
		if bytes.Contains(raw, []byte(word)) {
			t.Errorf("package-lock.json has %s: install with the .npmrc of this folder", word)
		}
	}
}
