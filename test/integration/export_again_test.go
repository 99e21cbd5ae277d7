package integration

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// An export that is handed in where it comes from stores nothing. The daemon knows its own events by
// their ids, one by one and in a batch, and after a restart.
func TestExportHandedInAgainStoresNothing(t *testing.T) {
	h := newHome(t)
	takes := newReceiver(t, nil)
	h.write("developers/acme.yaml", webhook("acme", takes.URL, "a-secret-of-acme", ""))
	d := h.start()
	bodies := map[string]string{}
	for i, key := range []string{"", "", "a-key"} { // an event without a key stands for one whose key has aged out
		body := fmt.Sprintf(`{"type":"sleep", "n":%d }`, i)
		done, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(body), IdempotencyKey: key})
		if err != nil {
			t.Fatal(err)
		}
		bodies[done.ID] = body
	}
	d.balanced(t)
	file := filepath.Join(t.TempDir(), "acme.ndjson")
	d.command(t, 0, "export", "--out", file)
	for range 2 {
		d.command(t, 0, "send", file)
		for id, body := range bodies {
			again, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(body), IdempotencyKey: id})
			if err != nil || !again.Duplicate || again.ID != id || again.Deliveries != 1 {
				t.Errorf("handed in again: %+v, %v, want a duplicate of %s", again, err, id)
			}
		}
		if rows := d.balanced(t); len(rows) != 1 || rows[0].Accepted != 3 {
			t.Errorf("audit %+v, want 3 accepted", rows)
		}
		if err := d.stop(); err != nil {
			t.Fatal(err)
		}
		d = h.start()
	}
	if got := takes.all(); len(got) != 3 {
		t.Errorf("%d requests arrived, want 3", len(got))
	}
}
