// Package integration runs the whole daemon, in process, against receivers on
// loopback, through the same settings, API and code paths that production uses.
package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/app"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// home is the folder of a daemon's settings and store. It outlives the daemons
// that a test starts in it one after another.
type home struct {
	t   *testing.T
	dir string
	log bytes.Buffer // of every daemon so far; read it only while none runs
	mu  sync.Mutex
}

func (h *home) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(b)
}

func newHome(t *testing.T) *home {
	h := &home{t: t, dir: t.TempDir()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", &h.log)
		}
	})
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.0/8] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 2s
`)
	return h
}

// write puts a file into the daemon's folder.
func (h *home) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// daemon is one running daemon and a client of its API.
type daemon struct {
	*client.Client
	app  *app.App
	stop func() error // ends it; safe to call twice
}

func (h *home) open() (*app.App, error) {
	return app.New(h.t.Context(), app.Options{
		Config: filepath.Join(h.dir, "fantail.yaml"), Kinds: all.Destinations(), Version: "test",
		Log: slog.New(slog.NewTextHandler(h, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
}

func (h *home) start() *daemon {
	h.t.Helper()
	a, err := h.open()
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	c, err := client.New(a.URL(), "", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	d := &daemon{Client: c, app: a}
	d.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	h.t.Cleanup(func() {
		if err := d.stop(); err != nil {
			h.t.Errorf("stop the daemon: %v", err)
		}
	})
	return d
}

func (d *daemon) send(t *testing.T, developer string, body []byte) client.Accepted {
	t.Helper()
	a, err := d.Send(t.Context(), client.SendRequest{Developer: developer, Body: body})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return a
}

// request is one arrival at a receiver.
type request struct {
	at     time.Time
	header http.Header
	body   []byte
}

// receiver records what arrives and answers what the test says.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(n int, w http.ResponseWriter, r *http.Request) // n counts from 1; nil: 200
	requests []request
	arrived  chan struct{} // one token per arrival, as far as it has room
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	r := &receiver{answer: answer, arrived: make(chan struct{}, 1<<16)}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() { r.CloseClientConnections(); r.Close() })
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.requests = append(r.requests, request{time.Now(), req.Header.Clone(), body})
	n, answer := len(r.requests), r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(n, w, req)
	}
	r.arrived <- struct{}{}
}

func (r *receiver) all() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.requests...)
}

// wait returns once n requests have arrived since the receiver was made, or
// since the last wait.
func (r *receiver) wait(t *testing.T, n int) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for i := range n {
		select {
		case <-r.arrived:
		case <-limit.C:
			t.Fatalf("%d of %d requests arrived in %v", i, n, patience)
		}
	}
}

// webhook is the file of a developer with one webhook.
func webhook(developer, url, secret, more string) string {
	return fmt.Sprintf(`developer: %s
destinations:
  - name: app
    kind: webhook
    %s
    settings: { url: %q, secret: %q, allow_http: true }
`, developer, more, url, secret)
}

// patience is what something may take that happens, or fails the test, on a busy machine too.
const patience = 2 * time.Minute

// until asks done every 10 ms, until patience ends.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.Now().Add(patience)
	for !done() {
		if time.Now().After(limit) {
			t.Fatalf("waited %v for: %s", patience, what)
		}
		<-tick.C
	}
}

// balanced waits until nothing is pending and checks that the audit, recounted, adds
// up, and that usage says the same.
func (d *daemon) balanced(t *testing.T) []client.AuditRow {
	t.Helper()
	var rows []client.AuditRow
	until(t, "nothing is pending", func() bool {
		var err error
		if rows, err = d.Audit(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Pending > 0 {
				return false
			}
		}
		return true
	})
	rows, err := d.Audit(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !r.Balanced {
			t.Errorf("the audit does not balance: %+v", r)
		}
	}
	d.used(t)
	return rows
}

// used waits until usage, which counts by day, says what the audit says. What a crash of the database has lost the
// audit of a daemon may tell two seconds later.
func (d *daemon) used(t *testing.T) {
	t.Helper()
	var differs string
	if within(patience, func() bool {
		differs = ""
		u, err := d.Usage(t.Context(), client.UsageFilter{By: "destination", Since: time.Unix(0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := d.Audit(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		used := map[string]client.UsageRow{}
		for _, r := range u.Items {
			used[r.Developer+"/"+r.Destination+"/"+r.Kind] = r
		}
		for _, r := range rows {
			got := used[r.Developer+"/"+r.Destination+"/"+r.Kind]
			if got.Accepted != r.Accepted || got.Delivered != r.Delivered || got.Pending != r.Pending || got.Dead != r.Dead || got.Cancelled != r.Cancelled ||
				r.Delivered > 0 && (got.Attempts == nil || *got.Attempts < r.Delivered || *got.Bytes == 0) {
				differs += fmt.Sprintf("usage says %+v, the audit %+v\n", got, r)
			}
		}
		return differs == ""
	}) {
		return
	}
	t.Error(differs)
}
