package integration

import (
	"strings"
	"testing"
)

// One fault anywhere and nothing changes; all faults are named.
func TestReloadIsAllOrNothing(t *testing.T) {
	h := newHome(t)
	old, moved := newReceiver(t, nil), newReceiver(t, nil)
	h.write("developers/acme.yaml", webhook("acme", old.URL, "a-secret-of-acme", ""))
	h.write("developers/globex.yaml", webhook("globex", old.URL, "a-secret-of-globex", ""))
	d := h.start()

	h.write("developers/acme.yaml", webhook("acme", moved.URL, "a-secret-of-acme", ""))
	h.write("developers/globex.yaml", webhook("globex", old.URL, "a-secret-of-globex", "retires: 3\n    timeout: soon"))
	err := d.app.Reload(t.Context())
	if err == nil {
		t.Fatal("a reload of faulty settings succeeded")
	}
	for _, want := range []string{"globex.yaml:5", "retires", "globex.yaml:6", "timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
	d.send(t, "acme", []byte(`{"type":"x"}`))
	old.wait(t, 1)
	if n := len(moved.all()); n != 0 {
		t.Errorf("the sound half of a refused reload was applied: %d requests", n)
	}

	h.write("developers/globex.yaml", webhook("globex", old.URL, "a-secret-of-globex", ""))
	if err := d.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.send(t, "acme", []byte(`{"type":"x"}`))
	moved.wait(t, 1)
	d.balanced(t)
}

// At the start a faulty file costs only its own developer: he goes on with the
// last settings that were good, and somebody new has his events kept.
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
