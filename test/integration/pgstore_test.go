package integration

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// TestADaemonOnPostgres: one daemon on PostgreSQL does what it does on the embedded store, and goes on
// by itself when the database comes back.
func TestADaemonOnPostgres(t *testing.T) {
	server := servers.PrivatePostgres(t)
	u, err := url.Parse(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	proxy := faults.New(t, u.Host)
	u.Host = proxy.Addr
	h := newHome(t)
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
store: { postgres: { urls: ["${file:store-url}"], dir: own } }
egress: { allow: [127.0.0.0/8] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 2s
`)
	h.write("store-url", u.String())
	r := newReceiver(t, nil)
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))

	refused := func(want string) {
		t.Helper()
		if _, err := h.open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it starts, or: %v, want %q", err, want)
		}
	}
	refused("no daemon makes by itself")
	h.write("fantail.key", strings.Repeat("k", 32))
	refused("run fantail store migrate")
	if _, err := pgstore.Migrate(t.Context(), pgstore.Options{URLs: []secret.Value{secret.New(u.String())}}); err != nil {
		t.Fatal(err)
	}

	d := h.start()
	sent := 0
	send := func() {
		t.Helper()
		d.send(t, "acme", fmt.Appendf(nil, `{"type":"sleep","n":%d,"user":{"user_id":"ann"}}`, sent))
		sent++
	}
	for range 20 {
		send()
	}
	r.wait(t, sent)
	d.balanced(t)
	if err := d.Backup(t.Context(), t.TempDir()+"/copy"); err == nil || !strings.Contains(err.Error(), "pg_basebackup") {
		t.Errorf("backup: %v", err)
	}

	for name, fault := range map[string]struct{ begin, end func() }{
		"killed":  {server.Kill, server.Start},
		"cut off": {proxy.Down, proxy.Up},
		"stopped": {server.Freeze, server.Thaw},
	} {
		fault.begin()
		until(t, name+": events are refused", func() bool {
			began := time.Now()
			_, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)})
			refusal, ok := errors.AsType[*client.Error](err)
			if err == nil {
				sent++
			}
			return ok && refusal.Status == http.StatusServiceUnavailable && time.Since(began) < 2*time.Second
		})
		fault.end()
		until(t, name+": events are accepted again", func() bool {
			_, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)})
			if err == nil {
				sent++
			}
			return err == nil
		})
	}
	until(t, "what was accepted is delivered", func() bool { return len(r.all()) >= sent })
	d.balanced(t)

	// Another daemon starts where this one stopped.
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	send()
	until(t, "and goes on", func() bool { return len(r.all()) >= sent })
	d.balanced(t)
	if strings.Contains(h.log.String(), u.User.String()) {
		t.Error("the log shows the password of the database")
	}
}
