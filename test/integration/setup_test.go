package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSetupTellsOldFromMissing runs scripts/setup on a machine with nothing but
// an old Node.js and an old PostgreSQL, as Ubuntu 22.04 has them: each is named
// with its version, and one line installs all.
func TestSetupTellsOldFromMissing(t *testing.T) {
	for system, line := range map[string]string{
		"Linux":  "to install them: sudo apt-get install -y --no-install-recommends chromium curl default-jdk-headless fish ",
		"Darwin": "to install them: brew install chromium curl fish ",
	} {
		dir := t.TempDir()
		stub := func(name, says string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho '"+says+"'\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, tool := range []string{"bash", "sh", "mktemp", "grep", "sort", "head", "tail", "dirname", "rm", "tr", "cmp", "cat", "env"} {
			path, err := exec.LookPath(tool)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path, filepath.Join(dir, tool)); err != nil {
				t.Fatal(err)
			}
		}
		stub("uname", system)
		stub("id", "1000")
		stub("node", "v12.22.9")
		stub("npm", "8.5.1")
		stub("promtool", "promtool, version 2.31.2+ds1 (branch: debian/sid, revision: 2.31.2)")
		stub("zsh", "zsh 5.9 (x86_64-debian-linux-gnu)")
		if system == "Linux" {
			stub("apt-get", "must not be called")
		}
		script, err := filepath.Abs("../../scripts/setup")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "bash"), script)
		cmd.Env = []string{"PATH=" + dir, "TMPDIR=" + dir}
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Fatalf("%s: it finds all:\n%s", system, out)
		}
		for _, want := range []string{
			"missing: Node.js 18 or later; " + dir + "/node is 12.22.9\n", "missing: promtool, which comes with Prometheus 2.40 or later; " + dir + "/promtool is 2.31.2\n",
			"missing: fish 3.0 or later\n", line,
		} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: it does not say %q:\n%s", system, want, out)
			}
		}
		for _, no := range []string{"npm 8", "zsh", "must not be called", "installing"} {
			if strings.Contains(string(out), no) {
				t.Errorf("%s: it says %q:\n%s", system, no, out)
			}
		}
	}
}
