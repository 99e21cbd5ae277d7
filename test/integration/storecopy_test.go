package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestStoresAreCopiedAsThePageSays runs the commands of docs/STORES.md: the store goes to PostgreSQL with
// a paused destination whose deliveries are pending, and back. Each daemon goes on where the other stopped.
func TestStoresAreCopiedAsThePageSays(t *testing.T) {
	t.Parallel()
	code := blocks(t, "docs/STORES.md", "From one to the other", "sh")
	if len(code) != 1 {
		t.Fatalf("the section has %d blocks", len(code))
	}
	api := servers.Address(t)
	m := newMachine(t, api)
	page := m.replace.Replace(code[0])
	h := &home{t: t, dir: filepath.Join(m.dir, "etc")}
	r := newReceiver(t, nil)
	settings := func(store string) string {
		return fmt.Sprintf("listen: %s\nkeys: [\"a key that is long enough for a test\"]\negress: { allow: [127.0.0.0/8] }\nstore: %s\n", api, store)
	}
	url := servers.StartPostgres(t).DSN
	shared := settings(fmt.Sprintf("{ postgres: { urls: [%q], dir: own } }", url))
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))
	h.write("environment", "")
	h.write("fantail.yaml", settings("{ pebble: { dir: store } }"))
	h.write("fantail-postgres.yaml", shared)
	c, err := client.New("http://"+api, "", &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{Client: c}
	ready := func() {
		t.Helper()
		until(t, "the daemon is ready", func() bool { return c.Ready(t.Context()) == nil })
	}

	m.run("cp configs/systemd/fantail.service \"$M/units\"; systemctl start fantail")
	defer m.run("systemctl stop fantail")
	ready()
	var ids []string
	send := func(n int) {
		t.Helper()
		for range n {
			ids = append(ids, d.send(t, "acme", fmt.Appendf(nil, `{"type":"sleep","n":%d,"user":{"user_id":"ann"}}`, len(ids))).ID)
		}
	}
	send(3)
	r.wait(t, 3)
	if err := c.Pause(t.Context(), "acme", "app", "moving"); err != nil {
		t.Fatal(err)
	}
	send(4)
	out := m.run(page)
	if !strings.Contains(out, "Copied 7 events with 7 deliveries and 3 attempts.") || strings.Contains(out, "secret-of-postgres") {
		t.Errorf("the copy says\n%s", out)
	}
	ready()
	for i, id := range ids {
		e, err := c.Event(t.Context(), id)
		if err != nil || len(e.Deliveries) != 1 {
			t.Fatalf("event %d in the copy: %+v, %v", i, e, err)
		}
		if delivery, err := c.Delivery(t.Context(), e.Deliveries[0]); err != nil || (delivery.State == "pending") != (i >= 3) {
			t.Errorf("delivery %d in the copy: %+v, %v", i, delivery, err)
		}
	}
	if n := len(r.all()); n != 3 {
		t.Errorf("%d requests while the destination is paused", n)
	}
	if err := c.Resume(t.Context(), "acme", "app"); err != nil {
		t.Fatal(err)
	}
	r.wait(t, 4)
	d.balanced(t)

	// The way back, with what was accepted meanwhile.
	send(2)
	r.wait(t, 2)
	h.write("shared.yaml", shared)
	h.write("back.yaml", settings("{ pebble: { dir: back } }"))
	m.run(strings.NewReplacer("--from "+m.dir+"/etc/fantail.yaml", "--from "+m.dir+"/etc/shared.yaml", "fantail-postgres.yaml", "back.yaml").Replace(page))
	ready()
	send(1)
	r.wait(t, 1)
	d.balanced(t)
	for _, id := range ids {
		if _, err := c.EventBody(t.Context(), id); err != nil {
			t.Errorf("event %s came back: %v", id, err)
		}
	}

	// No daemon starts where it was copied from, until somebody says so.
	refused := m.run("fantail serve --config \"$M/etc/shared.yaml\" 2>&1 || true")
	if !strings.Contains(refused, "was copied to the embedded store in "+m.dir+"/etc/back") {
		t.Errorf("a daemon on the database says\n%s", refused)
	}
	if out := m.run("fantail store release --config \"$M/etc/shared.yaml\""); !strings.Contains(out, "A daemon may work on PostgreSQL at") {
		t.Errorf("release says\n%s", out)
	}
}
