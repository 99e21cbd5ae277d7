package integration

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// A retry that is frozen under the old key is read while that key stands after the new one, over a
// reload and a restart. Once nothing needs the old key, it can be removed.
func TestKeyIsRotatedUnderFrozenRetries(t *testing.T) {
	h := newHome(t)
	var mended atomic.Bool
	old := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !mended.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	moved := newReceiver(t, nil)
	h.write("old.key", strings.Repeat("o", 32))
	h.write("new.key", strings.Repeat("n", 32))
	keys := func(list string) { h.write("fantail.yaml", plain+"keys: ["+list+"]\n") }
	acme := func(url string) {
		h.write("developers/acme.yaml", webhook("acme", url, "a-secret-of-acme", "retry: { waits: ["+strings.Repeat("2s, ", 59)+"2s] }"))
	}
	keys("'${file:old.key}'")
	acme(old.URL)
	d := h.start()
	d.send(t, "acme", []byte(`{"type":"x"}`))
	old.wait(t, 1)

	keys("'${file:new.key}', '${file:old.key}'")
	acme(moved.URL)
	if _, err := d.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	d = h.start()
	if rows := d.balanced(t); rows[0].Delivered != 1 || len(moved.all()) != 0 {
		t.Errorf("the frozen retry: %+v, %d requests at the new address", rows, len(moved.all()))
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}

	keys("'${file:new.key}'")
	d = h.start()
	d.send(t, "acme", []byte(`{"type":"x"}`))
	moved.wait(t, 1)
	d.balanced(t)
	if problems, warnings := d.app.Health(); len(problems)+len(warnings) > 0 {
		t.Errorf("without the old key: problems %v, warnings %v", problems, warnings)
	}
}
