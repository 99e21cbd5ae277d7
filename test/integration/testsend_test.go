package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// twoWebhooks is a developer with app, which wants nutrition alone, and other.
func twoWebhooks(h *home, app, other *receiver) {
	h.write("developers/acme.yaml", `developer: acme
destinations:
  - { name: app, kind: webhook, events: [nutrition], settings: { url: "`+app.URL+`", secret: secret-of-app, allow_http: true } }
  - { name: other, kind: webhook, settings: { url: "`+other.URL+`", secret: secret-of-other, allow_http: true } }
`)
}

// tested is what `fantail test --json` prints.
type tested struct {
	client.Tested
	Outcome client.Delivery `json:"outcome"`
}

// A test event reaches its one destination, signed like every other; it is in the log, and the audit
// balances.
func TestTestEventReachesASignedWebhook(t *testing.T) {
	h := newHome(t)
	app, other := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.Write([]byte("thank you")) }), newReceiver(t, nil)
	twoWebhooks(h, app, other)
	d := h.start()

	code, out, errs := commandLine(t, "test", "acme/app", "--server", d.app.URL(), "--type", "sleep", "--provider", "GARMIN", "--user", "u-1", "--seed", "7", "--json")
	if code != 0 {
		t.Fatalf("it ends with %d: %s", code, errs)
	}
	var v tested
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := app.all()
	if len(got) != 1 {
		t.Fatalf("%d requests arrived", len(got))
	}
	r := got[0]
	if err := signature.Verify("secret-of-app", r.header.Get("terra-signature"), r.body, time.Now(), time.Minute); err != nil {
		t.Error(err)
	}
	if r.header.Get("terra-reference") != v.Reference || !strings.HasPrefix(v.Reference, "fantail-test-") || r.header.Get("x-terra-trace-id") != v.Delivery {
		t.Errorf("headers %v, answer %+v", r.header, v.Tested)
	}
	for _, part := range []string{`"type":"sleep"`, `"user_id":"u-1"`, `"provider":"GARMIN"`} {
		if !strings.Contains(string(r.body), part) {
			t.Errorf("the body lacks %s: %s", part, r.body)
		}
	}
	if o := v.Outcome; o.State != "delivered" || len(o.Attempts) != 1 || o.Attempts[0].Code != 200 || o.Attempts[0].Answer != "thank you" || o.Attempts[0].Address != app.Listener.Addr().String() {
		t.Errorf("outcome %+v", o)
	}

	// A file is sent byte for byte, and a person reads what came of it.
	body := "{\"type\": \"custom\",\n\"n\": 1.50}"
	file := filepath.Join(h.dir, "body.json")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = commandLine(t, "test", "acme/app", "--server", d.app.URL(), "--from", file)
	if code != 0 || !strings.Contains(out, "delivered") || !strings.Contains(out, "thank you") || !strings.Contains(out, app.Listener.Addr().String()) {
		t.Errorf("it ends with %d:\n%s%s", code, out, errs)
	}
	if got := app.all(); len(got) != 2 || string(got[1].body) != body {
		t.Errorf("arrived: %+v", got)
	}
	if n := len(other.all()); n > 0 {
		t.Errorf("%d requests arrived at the other destination", n)
	}
	d.balanced(t)
}

// A failed test event is shown with its answer, and is retried like every delivery. The command does
// not wait for one that waits, but says why it does.
func TestTestEventThatDoesNotArriveSaysWhy(t *testing.T) {
	h := newHome(t)
	down := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { http.Error(w, "out of order", 500) })
	twoWebhooks(h, down, newReceiver(t, nil))
	d := h.start()
	code, out, errs := commandLine(t, "test", "acme/app", "--server", d.app.URL())
	if code != 1 || !strings.Contains(out, "tried again") || !strings.Contains(out, "500") || !strings.Contains(out, "out of order") {
		t.Errorf("it ends with %d:\n%s%s", code, out, errs)
	}
	if err := d.Pause(t.Context(), "acme", "other", "their move"); err != nil {
		t.Fatal(err)
	}
	code, out, errs = commandLine(t, "test", "acme/other", "--server", d.app.URL())
	if code != 1 || !strings.Contains(out, "waits: the destination is paused (their move)") {
		t.Errorf("it ends with %d:\n%s%s", code, out, errs)
	}
	for _, args := range [][]string{{"test", "acme/none"}, {"test", "acme/app", "--type", "slep"}} {
		if code, _, errs := commandLine(t, append(args, "--server", d.app.URL())...); code != 1 || errs == "" {
			t.Errorf("%v ends with %d: %s", args, code, errs)
		}
	}
}

// A Retry-After in one answer keeps back accepted events, visibly, but not events that a person tests or
// retries.
func TestTestEventGoesToAThrottledDestination(t *testing.T) {
	h := newHome(t)
	app := newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.Header().Set("Retry-After", "80000.5")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	twoWebhooks(h, app, newReceiver(t, nil))
	d := h.start()
	first := d.send(t, "acme", []byte(`{"type":"nutrition"}`))
	until(t, "the wait", func() bool {
		_, out, _ := commandLine(t, "destinations", "--server", d.app.URL())
		return strings.Contains(out, "22h13m") && strings.Contains(out, "answered 429")
	})
	d.send(t, "acme", []byte(`{"type":"nutrition"}`))
	if code, out, errs := commandLine(t, "check", "acme/app", "--server", d.app.URL()); code != 0 || !strings.Contains(out, "waits until") {
		t.Errorf("check ends with %d:\n%s%s", code, out, errs)
	}
	if n := len(app.all()); n != 1 {
		t.Errorf("%d requests arrived before the test", n)
	}
	code, out, errs := commandLine(t, "test", "acme/app", "--server", d.app.URL())
	if code != 0 || !strings.Contains(out, "delivered") {
		t.Errorf("it ends with %d:\n%s%s", code, out, errs)
	}
	until(t, "what waited for that", func() bool { return len(app.all()) >= 3 })
	if n := len(app.all()); n != 3 {
		t.Errorf("%d requests arrived, want what was asked to wait once, what waited for that and the test", n)
	}
	d.command(t, 0, "retry", "--event", first.ID, "--state", "pending", "--yes")
	until(t, "the one that was asked to wait", func() bool { return len(app.all()) == 4 })
	d.balanced(t)
}

// A test event goes through the guard like every other.
func TestTestEventIsGuarded(t *testing.T) {
	h := newHome(t)
	h.write("fantail.yaml", plain)
	h.write("developers/acme.yaml", webhook("acme", "http://127.0.0.2:1/", "secret-of-acme", ""))
	d := h.start()
	code, out, errs := commandLine(t, "test", "acme/app", "--server", d.app.URL())
	if code != 1 || !strings.Contains(out, "misconfigured") || !strings.Contains(out, "connections to 127.0.0.2 are refused") {
		t.Errorf("it ends with %d:\n%s%s", code, out, errs)
	}
}

// Every event that generate says was accepted arrives once, and is what it says it is.
func TestGenerateLosesNothing(t *testing.T) {
	h := newHome(t)
	app, other := newReceiver(t, nil), newReceiver(t, nil)
	twoWebhooks(h, app, other)
	d := h.start()
	code, out, errs := commandLine(t, "generate", "--server", d.app.URL(), "--developer", "acme", "--rate", "200", "--for", "2s", "--types", "all", "--users", "5", "--seed", "3", "--json")
	if code != 0 {
		t.Fatalf("it ends with %d: %s", code, errs)
	}
	var g struct {
		Accepted, Refused, Deliveries int
		P50                           float64 `json:"p50_ms"`
		P99                           float64 `json:"p99_ms"`
		Seconds                       float64
	}
	if err := json.Unmarshal([]byte(out), &g); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if g.Accepted != 400 || g.Refused != 0 || g.P50 <= 0 || g.P99 < g.P50 || g.Seconds < 1.9 {
		t.Errorf("%+v", g)
	}
	d.balanced(t)
	types, users, ids := map[string]int{}, map[string]bool{}, map[string]bool{}
	for _, r := range other.all() {
		var e struct {
			Type string
			User struct {
				ID string `json:"user_id"`
			}
		}
		if err := json.Unmarshal(r.body, &e); err != nil {
			t.Fatal(err)
		}
		types[e.Type]++
		if e.User.ID != "" {
			users[e.User.ID] = true
		}
		ids[r.header.Get("x-terra-trace-id")] = true
	}
	if len(ids) != 400 || len(types) != 25 || len(users) != 5 {
		t.Errorf("%d deliveries arrived, of %d types and %d users", len(ids), len(types), len(users))
	}
	if n := len(app.all()); n != types["nutrition"] || g.Deliveries != 400+n {
		t.Errorf("app has %d, of %d that it wants; %d deliveries in all", n, types["nutrition"], g.Deliveries)
	}
}
