package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// secretMark is the value of every reference that the fuzzers can resolve.
const secretMark = "hunter2hunter2hunter2"

func seeds(f *testing.F, dirs ...string) {
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			f.Fatal("no seeds in", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
}

// sound checks what holds of the faults of any text.
func sound(t *testing.T, fs []Fault, raw []byte) {
	lines := bytes.Count(raw, []byte("\n")) + bytes.Count(raw, []byte("\r")) + strings.Count(string(raw), "\u2028") + strings.Count(string(raw), "\u2029") + strings.Count(string(raw), "\u0085") + 1
	for _, f := range fs {
		if f.File == "" || f.Line < 1 || f.Line > lines+1 || f.Message == "" || strings.ContainsAny(f.Error(), "\n\r\x00\x1b") {
			t.Errorf("fault %+v", f)
		}
		if strings.Contains(f.Error(), secretMark) {
			t.Errorf("a secret is shown: %v", f)
		}
	}
}

func FuzzDaemon(f *testing.F) {
	seeds(f, "testdata/daemon", "../../configs")
	f.Setenv("FANTAIL_TEST_SECRET", secretMark)
	f.Setenv("FANTAIL_TOKEN", secretMark)
	path := folder(f, map[string]string{"fantail.key": secretMark})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if strings.Contains(string(raw), "hunter2") {
			return // a literal in the place of a key would show
		}
		d := readDaemon(path, raw)
		faults := d.doc.Faults()
		sound(t, faults, raw)
		sound(t, d.doc.Notes, raw)
		if len(faults) == 0 {
			if s := d.settings(); s.Limits.InFlight < 1 || s.Listen == "" || s.Brand == "" || len(d.file.Keys) == 0 {
				t.Errorf("accepted: %+v", s)
			}
			if _, err := keyring.New(d.file.Keys); err != nil {
				t.Errorf("keys: %v", err)
			}
		}
	})
}

func FuzzDeveloper(f *testing.F) {
	seeds(f, "testdata/developer", "../../configs/developers")
	f.Add([]byte(frozenText))
	for _, name := range []string{"FANTAIL_TEST_SECRET", "FANTAIL_DEV_ACME_SECRET", "FANTAIL_DEV_GLOBEX_SECRET"} {
		f.Setenv(name, secretMark)
	}
	path := folder(f, map[string]string{"secrets/acme/key": secretMark, "secrets/globex/key": secretMark})
	ring, err := keyring.New([]secret.Value{secret.New(secretMark)})
	if err != nil {
		f.Fatal(err)
	}
	defaults := readDaemon(path, nil).settings()
	rules, secrets := defaults.rules(kinds(), ring), defaults.secrets([]Text{{ID: "acme"}})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if strings.Contains(string(raw), "hunter2") {
			return
		}
		texts := []Text{{ID: "acme", File: "developers/acme.yaml", Raw: raw}}
		judgeNames(texts)
		bound := rules.Bind(t.Context(), &texts[0], secrets)
		dev := bound.Developer
		sound(t, bound.Faults, raw)
		if (dev == nil) != (len(bound.Faults) > 0) {
			t.Fatalf("developer %v with faults %v", dev, bound.Faults)
		}
		if dev == nil {
			return
		}
		thawed, err := ThawDeveloper(dev.Freeze(), kinds(), ring)
		if err != nil {
			t.Fatalf("thaw: %v", err)
		}
		for i, d := range dev.Destinations {
			if thawed.Destinations[i].Hash != d.Hash || d.Hash == 0 || d.MaxInFlight < 1 || d.Timeout <= 0 {
				t.Errorf("thawed %+v, was %+v", thawed.Destinations[i], d)
			}
			d.Matches("sleep")
		}
	})
}
