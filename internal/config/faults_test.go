package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestFaults holds the text of every fault to the golden files: testdata/daemon
// are files fantail.yaml, testdata/developer files of a developer.
func TestFaults(t *testing.T) {
	t.Setenv("FANTAIL_TEST_SECRET", "hunter2hunter2")
	t.Setenv("FANTAIL_DEV_ACME_SECRET", "hunter2hunter2")
	t.Setenv("FANTAIL_DEV_ACME_EU_SECRET", "hunter2hunter2")
	t.Setenv("FANTAIL_DEV_ACME_EMPTY", "")
	for _, set := range []struct{ dir, as string }{{"daemon", "fantail.yaml"}, {"developer", "developers/acme.yaml"}} {
		files, err := filepath.Glob(filepath.Join("testdata", set.dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatal("no cases", err)
		}
		for _, file := range files {
			t.Run(set.dir+"/"+strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
				raw, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				path := folder(t, map[string]string{
					"developers/acme-eu.yaml": "developer: acme-eu\n",
					"secrets/acme/key":        "hunter2hunter2\n",
					"secrets/globex/key":      "hunter2hunter2\n",
					"secrets/acme/dir/key":    "hunter2hunter2\n",
					"secrets/acme/empty":      "\n",
					"secrets/acme/big":        strings.Repeat("hunter2hunter2", maxSecret/14+1),
					set.as:                    string(raw),
				})
				dir := filepath.Dir(path)
				for link, to := range map[string]string{"out": "../globex/key", "outdir": "../globex"} {
					if err := os.Symlink(to, filepath.Join(dir, "secrets/acme", link)); err != nil {
						t.Fatal(err)
					}
				}
				if err := syscall.Mkfifo(filepath.Join(dir, "secrets/acme/pipe"), 0o600); err != nil {
					t.Fatal(err)
				}
				snap, err := Load(path, kinds())
				var faults Faults
				if !errors.As(err, &faults) {
					t.Fatalf("no faults: %v", err)
				}
				if (snap == nil) != (set.dir == "daemon") {
					t.Errorf("snapshot: %v", snap)
				}
				got := strings.ReplaceAll(err.Error(), dir+"/", "") + "\n"
				checkGolden(t, strings.TrimSuffix(file, ".yaml")+".golden", got)
				if strings.Contains(got, "hunter2") {
					t.Error("a secret is shown")
				}
				for _, line := range strings.Split(strings.TrimSpace(got), "\n") {
					if !faultLine.MatchString(line) {
						t.Errorf("not file:line: message: %q", line)
					}
				}
			})
		}
	}
}

var faultLine = regexp.MustCompile(`^[^:\n]+:[1-9][0-9]*: .+$`)

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs.\n got:\n%s\nwant:\n%s", file, got, want)
	}
}
