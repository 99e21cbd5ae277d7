package console

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTheBinaryHasWhatTheSourcesMake builds web/ again and compares bytes: what is in the
// binary can be read.
func TestTheBinaryHasWhatTheSourcesMake(t *testing.T) {
	out := t.TempDir()
	run(t, "./build", out)
	made, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	if len(made) != len(kept) {
		t.Errorf("%d files are made, %d are in internal/console/dist: run make console", len(made), len(kept))
	}
	for _, f := range made {
		want, err := os.ReadFile(filepath.Join(out, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("dist", f.Name()))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("internal/console/dist/%s is not what web/ makes: run make console", f.Name())
		}
	}
}

func TestTypesOfThePagesAreSound(t *testing.T) {
	run(t, "node_modules/.bin/tsc", "--project", ".")
}

// run starts a command in web/, whose packages `make setup` installs.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = "../../web"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v (make setup installs what it needs)\n%s", name, err, out)
	}
}
