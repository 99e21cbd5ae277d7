package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fault keeps only its own developer's change from taking effect, and all faults are named.
func TestReloadRefusesAFaultyDeveloperAlone(t *testing.T) {
	h := newHome(t)
	old, moved := newReceiver(t, nil), newReceiver(t, nil)
	h.write("developers/acme.yaml", webhook("acme", old.URL, "a-secret-of-acme", ""))
	h.write("developers/globex.yaml", webhook("globex", old.URL, "a-secret-of-globex", ""))
	d := h.start()

	h.write("developers/acme.yaml", webhook("acme", moved.URL, "a-secret-of-acme", ""))
	h.write("developers/globex.yaml", webhook("globex", old.URL, "a-secret-of-globex", "retires: 3\n    timeout: soon"))
	code, out, errs := commandLine(t, "reload", "--server", d.app.URL())
	if code != 1 || out != "~ acme/app (url)\n" {
		t.Errorf("a reload that refuses something ends with %d: %s", code, out)
	}
	for _, want := range []string{"globex.yaml:5", "retires", "globex.yaml:6", "timeout", "developer globex: faulty settings, running on the last good ones"} {
		if !strings.Contains(errs, want) {
			t.Errorf("the error does not name %q: %s", want, errs)
		}
	}
	d.send(t, "acme", []byte(`{"type":"x"}`))
	moved.wait(t, 1)
	d.send(t, "globex", []byte(`{"type":"x"}`))
	old.wait(t, 1)

	h.write("developers/globex.yaml", webhook("globex", moved.URL, "a-secret-of-globex", ""))
	if code, out := command(t, "reload", "--server", d.app.URL()); code != 0 {
		t.Fatal(out)
	}
	d.send(t, "globex", []byte(`{"type":"x"}`))
	moved.wait(t, 1)
	d.balanced(t)
}

// At the start a faulty file affects only its own developer. They go on with their last good settings,
// and the events of somebody new are kept.
func TestFaultyDeveloperStartsOnLastGoodSettings(t *testing.T) {
	h := newHome(t)
	r := newReceiver(t, nil)
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))
	h.write("developers/globex.yaml", webhook("globex", r.URL, "a-secret-of-globex", ""))
	if err := h.start().stop(); err != nil {
		t.Fatal(err)
	}
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", "retires: 3"))
	h.write("developers/newco.yaml", "developer: newco\ndestinations: 7\n")
	d := h.start()
	for _, developer := range []string{"acme", "globex"} {
		d.send(t, developer, []byte(`{"type":"x"}`))
		r.wait(t, 1)
	}
	kept := d.send(t, "newco", []byte(`{"type":"x"}`))
	if kept.Deliveries != 0 {
		t.Errorf("an event of a developer without settings has %d deliveries", kept.Deliveries)
	}
	problems, warnings := d.app.Health()
	if all := strings.Join(warnings, "\n"); len(problems) > 0 || !strings.Contains(all, "acme") || !strings.Contains(all, "newco") {
		t.Errorf("problems %v, warnings %v: want no problem and a warning of acme and of newco", problems, warnings)
	}
}

// Settings that need a start are named, and not silently left as they were.
func TestReloadNamesWhatWaitsForTheNextStart(t *testing.T) {
	h := newHome(t)
	h.write("developers/acme.yaml", webhook("acme", "http://127.0.0.1:9/", "a-secret-of-acme", ""))
	d := h.start()
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.0/8], deny: [192.0.2.0/24] }
shutdown_grace: 2s
`)
	for range 2 { // it waits until then, however often one reloads
		waiting, err := d.Reload(t.Context())
		if err != nil || len(waiting) != 1 || waiting[0] != "egress" {
			t.Errorf("waiting %v, error %v; want egress", waiting, err)
		}
	}
	if _, warnings := d.app.Health(); !strings.Contains(strings.Join(warnings, "\n"), "egress") {
		t.Errorf("warnings %v do not name egress", warnings)
	}
}

// A store whose key is gone is not opened with a new one.
func TestMissingKeyIsNotMadeAnew(t *testing.T) {
	h := newHome(t)
	h.write("developers/acme.yaml", webhook("acme", "http://127.0.0.1:9/", "a-secret-of-acme", ""))
	if err := h.start().stop(); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(h.dir, "fantail.key")
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := h.open(); err == nil || !strings.Contains(err.Error(), "put it back") {
		t.Fatalf("a daemon without its key: %v", err)
	}
	if _, err := os.Stat(key); !os.IsNotExist(err) {
		t.Errorf("a new key was left behind: %v", err)
	}
	h.write("fantail.key", string(text))
	h.start()
}
