package cli

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// storing is a daemon whose documents are in the store.
func storing(t *testing.T) trial {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fantail.yaml")
	put(t, path, "developers: { store: {} }\nstore: { pebble: { dir: store, reserve: 1MiB } }\n")
	tr, _ := daemon(t, path)
	return tr
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func paperDoc(developer, url string) string {
	return fmt.Sprintf("developer: %s\ndestinations:\n  - name: app\n    kind: paper\n    settings: { url: %q }\n", developer, url)
}

// A folder is applied, compared, pruned and written back, with a real daemon.
func TestDocumentsOverTheCommandLine(t *testing.T) {
	tr := storing(t)
	dir := t.TempDir()
	for _, id := range []string{"acme", "globex", "initech"} {
		put(t, filepath.Join(dir, id+".yaml"), paperDoc(id, "https://one.example"))
	}
	check := func(code int, out, err string, args ...string) {
		t.Helper()
		r := tr.run(t, args...)
		if r.code != code || !strings.Contains(r.out, out) || !strings.Contains(r.err, err) {
			t.Errorf("%q: %d, %q, %q; want %d, %q, %q", args, r.code, r.out, r.err, code, out, err)
		}
	}
	check(1, "+ acme/app\n+ globex/app\n+ initech/app\nNothing was changed.\n", "", "diff", "-f", dir)
	check(0, "+ acme/app\n+ globex/app\n+ initech/app\n", "", "apply", "-f", dir)
	check(0, "Nothing to change.\n", "", "diff", "-f", dir)
	put(t, filepath.Join(dir, "acme.yaml"), paperDoc("acme", "https://two.example"))
	put(t, filepath.Join(dir, "globex.yaml"), "developer: globex\ndestinations: 5\n")
	check(1, "~ acme/app (url)\n", "globex:2: destinations: must be a list", "apply", "-f", dir)
	check(0, "acme", "", "developers", "list")
	check(0, "url: https://two.example", "", "developers", "get", "acme")
	check(0, "kind: paper", "", "developers", "get", "acme/app")
	check(0, "one.example", "", "developers", "get", "acme", "--version", "1")
	check(0, "local", "", "developers", "versions", "acme")
	check(0, "~ acme/app (url)\nNothing was changed.\n", "", "developers", "restore", "acme", "1", "--dry-run")
	check(0, "~ acme/app (url)\nacme has version 3.\n", "", "developers", "restore", "acme", "1")
	out := filepath.Join(t.TempDir(), "out")
	check(0, "Wrote 3 documents.\n", "", "developers", "export", out)
	check(1, "", "acme.yaml", "developers", "export", out)
	check(0, "Nothing to change.\n", "", "apply", "-f", out)
	if text, err := os.ReadFile(filepath.Join(out, "acme.yaml")); err != nil || !strings.Contains(string(text), "one.example") {
		t.Errorf("exported %s, %v", text, err)
	}
	for _, id := range []string{"acme", "globex", "initech"} {
		if err := os.Remove(filepath.Join(out, id+".yaml")); err != nil {
			t.Fatal(err)
		}
	}
	check(1, "", "--prune would remove 3 of 3 developers, and removed nobody", "apply", "-f", out, "--prune")
	put(t, filepath.Join(out, "acme.yaml"), paperDoc("acme", "https://one.example"))
	check(0, "- globex (1 destination)\n- initech (1 destination)\nNothing was changed.\n", "", "apply", "-f", out, "--prune", "--dry-run")
	check(0, "- globex (1 destination)\n- initech (1 destination)\n", "", "apply", "-f", out, "--prune")
	check(1, "", "say what becomes of what the developer has: - acme (1 destination)", "developers", "delete", "acme")
	check(2, "", "say --yes", "developers", "delete", "acme", "--data", "erase")
	check(0, "- acme (1 destination)\nErased 0 events and 0 payloads, cancelled 0 deliveries.\n", "", "developers", "delete", "acme", "--data", "erase", "--yes")
	check(0, "", "No developers.", "developers", "list")
	check(2, "", "there is no terminal to edit in", "developers", "edit", "acme")
	for _, args := range [][]string{{"apply"}, {"apply", "-f", filepath.Join(out, "acme.yaml"), "--prune"}, {"developers", "restore", "acme", "x"}, {"developers", "rotate-secret", "acme"}, {"developers", "delete", "acme", "--data", "x"}} {
		if r := tr.run(t, args...); r.code != 2 {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// A file of a folder belongs to the developer it is called after, as it does for the daemon. A copy
// beside it must not replace it, or the two would take turns.
func TestAppliedFilesAreCalledAfterTheirDevelopers(t *testing.T) {
	tr := storing(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "acme.yaml"), paperDoc("acme", "https://one.example"))
	put(t, filepath.Join(dir, "copy-of-acme.yaml"), paperDoc("acme", "https://old.example"))
	r := tr.run(t, "apply", "-f", dir)
	if r.code != 1 || r.out != "+ acme/app\n" || !strings.Contains(r.err, "this is developer copy-of-acme, and the text names acme") {
		t.Errorf("apply: %+v", r)
	}
	if r := tr.run(t, "diff", "-f", filepath.Join(dir, "acme.yaml")); r.code != 0 {
		t.Errorf("diff: %+v", r)
	}
	put(t, filepath.Join(dir, "big"), strings.Repeat("#", 2<<20))
	for _, from := range []string{"/dev/zero", filepath.Join(dir, "big")} {
		if r := tr.run(t, "apply", "-f", from); r.code != 1 || !strings.Contains(r.err, "larger than 1 MiB") {
			t.Errorf("%s: %+v", from, r)
		}
	}
}

// Somebody who edited an older version is not told to overwrite the newer one.
func TestEditOfAnOlderVersion(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/developers/acme": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"3"`)
			say("developer: acme\n")(w, r)
		},
		"PUT /v1/developers/acme": deny(412, "stale", "the newest version of the document is 4: read it, and change that"),
	})
	t.Setenv("TMPDIR", t.TempDir())
	r := trial{terminal: true, env: map[string]string{"FANTAIL_SERVER": f.URL, "EDITOR": "sed -i s/acme/acme2/"}}.run(t, "developers", "edit", "acme")
	if r.code != 1 || !strings.Contains(r.err, "your text, for version 3, is in ") || strings.Contains(r.err, "apply -f") || f.requests()[1].header.Get("If-Match") != `"3"` {
		t.Errorf("edit: %+v", r)
	}
}

func TestImportResolvesReferences(t *testing.T) {
	tr := storing(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "secrets/acme/key"), "hunter2\n")
	put(t, filepath.Join(dir, "developers/acme.yaml"), strings.Replace(paperDoc("acme", "https://one.example"), "url:", "secret: \"${file:secrets/acme/key}\", url:", 1))
	put(t, filepath.Join(dir, "developers/globex.yaml"), strings.Replace(paperDoc("globex", "https://one.example"), "url:", "secret: \"${file:secrets/acme/key}\", url:", 1))
	config := filepath.Join(dir, "fantail.yaml")
	for range 2 {
		r := tr.run(t, "developers", "import", filepath.Join(dir, "developers"), "--config", config, "--dry-run")
		if r.code != 1 || r.out != "+ acme/app\n" || !strings.Contains(r.err, "is not this developer's") || strings.Contains(r.out+r.err, "hunter2") {
			t.Errorf("a dry run: %+v", r)
		}
	}
	if r := tr.run(t, "developers", "import", filepath.Join(dir, "developers"), "--config", config); r.code != 1 || r.out != "+ acme/app\n" {
		t.Errorf("import: %+v", r)
	}
	if r := tr.run(t, "developers", "import", filepath.Join(dir, "developers"), "--config", config); r.code != 1 || !strings.Contains(r.err, "acme: the newest version of the document is 1") {
		t.Errorf("import again: %+v", r)
	}
	if r := tr.run(t, "developers", "get", "acme"); !strings.Contains(r.out, "secret: '[redacted]'") {
		t.Errorf("document %+v", r)
	}
}

// Text of a hostile daemon is used neither as a path nor as a command to a terminal.
func TestDocumentsOfAHostileDaemon(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		"GET /v1/developers":         say(`{"items":[{"developer":"../../x","version":1,"by":"\u001b[31m","faults":["\u001b[2J"]}],"next":""}`),
		"GET /v1/developers/acme":    say("developer: acme\n# \x1b[31mfake\n"),
		"PUT /v1/developers/acme":    say(`{"developer":"acme\u001b[31m","version":2,"plan":[{"do":"add","developer":"\u001b[31m\nfake"}],"notes":["\u001b[31m"]}`),
		"POST /v1/reload":            say(`{"reloaded":true,"plan":[{"do":"remove","developer":"\u001b[31m"}],"notes":["\u001b[2J"]}`),
		"DELETE /v1/developers/acme": say(`{"developer":"acme","plan":[],"left":"\u001b[31m"}`),
	})
	tr := trial{kinds: paperKinds(), env: map[string]string{"FANTAIL_SERVER": f.URL}}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "acme.yaml"), "developer: acme\n")
	for _, args := range [][]string{
		{"developers", "list"}, {"developers", "get", "acme"}, {"apply", "-f", dir}, {"reload"}, {"developers", "delete", "acme", "--data", "keep", "--yes"}, {"developers", "export", filepath.Join(dir, "out")},
	} {
		for _, json := range []bool{false, true} {
			if json {
				args = append(args, "--json")
			}
			if r := tr.run(t, args...); strings.Contains(r.out+r.err, "\x1b") {
				t.Errorf("%q: raw text %+v", args, r)
			}
		}
	}
	if r := tr.run(t, "developers", "export", filepath.Join(dir, "out2")); r.code != 1 {
		t.Errorf("export: %+v", r)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*", "..", "x*")); len(found) > 0 {
		t.Errorf("wrote %v", found)
	}
}

func TestEditHandsInWhatTheEditorMade(t *testing.T) {
	tr := storing(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "acme.yaml"), paperDoc("acme", "https://one.example"))
	tr.must(t, "apply", "-f", dir)
	tr.terminal = true
	editor := filepath.Join(dir, "editor")
	for script, want := range map[string]struct {
		code     int
		out, err string
	}{
		"exit 0":                         {0, "", "Nothing was changed."},
		"exit 3":                         {1, "", "the editor failed, and nothing was changed"},
		": > \"$1\"":                     {0, "", "Nothing was changed."},
		"sed -i 's/one/two/' \"$1\"":     {0, "~ acme/app (url)", ""},
		"echo 'nothing: good' >> \"$1\"": {1, "", "your text is in "},
	} {
		put(t, editor, "#!/bin/sh\n"+script+"\n")
		tr.env["EDITOR"] = "sh " + editor
		r := tr.run(t, "developers", "edit", "acme")
		if r.code != want.code || !strings.Contains(r.out, want.out) || !strings.Contains(r.err, want.err) {
			t.Errorf("%s: %+v, want %+v", script, r, want)
		}
		if _, name, ok := strings.Cut(r.err, "your text is in "); ok {
			name, _, _ = strings.Cut(name, ":")
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
			os.Remove(name)
		}
	}
	delete(tr.env, "EDITOR")
	if r := tr.run(t, "developers", "edit", "acme"); r.code != 2 || !strings.Contains(r.err, "neither VISUAL nor EDITOR") {
		t.Errorf("without an editor: %+v", r)
	}
}
