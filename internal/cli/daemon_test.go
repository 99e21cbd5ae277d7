package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/app"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// picky is a destination that refuses events of the type "bad".
type picky struct{ opened }

func (picky) Send(_ context.Context, d destination.Delivery) (destination.Receipt, error) {
	if d.Event.Type == "bad" {
		return destination.Receipt{Code: 422, Answer: "no\x1b[2J"}, destination.Reject(errors.New("422: will not have it"))
	}
	return destination.Receipt{Code: 200, Address: "192.0.2.1:443"}, nil
}

func pickyKinds() destination.Registry {
	return destination.NewRegistry(destination.Define("paper", destination.Traits{Timeout: time.Second}, func() paper { return paper{} },
		func(p paper, deps destination.Deps) (destination.Destination, error) {
			return picky{opened{p, deps}}, nil
		}))
}

const pickyAcme = `developer: acme
destinations:
  - name: app
    kind: paper
    settings: { url: "https://acme.example/a" }
`

// daemon runs a real one until the test ends, or stop is called.
func daemon(t *testing.T, path string) (tr trial, stop func()) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("listen: 127.0.0.1:0\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{Config: path, Kinds: pickyKinds(), Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	url := a.URL()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the daemon: %v", err)
		}
	}
	t.Cleanup(stop)
	return trial{now: time.Now, kinds: pickyKinds(), env: map[string]string{"FANTAIL_SERVER": url}}, stop
}

// must runs a command that has to succeed and returns what it printed.
func (tr trial) must(t *testing.T, line string, files ...string) string {
	t.Helper()
	r := tr.run(t, append(words(line), files...)...)
	if r.code != 0 {
		t.Fatalf("%s: exit %d\n%s%s", line, r.code, r.out, r.err)
	}
	return r.out
}

// listed decodes lines of JSON.
func listed[T any](t *testing.T, out string) (items []T) {
	t.Helper()
	for line := range strings.Lines(out) {
		var item T
		if err := json.Unmarshal([]byte(line), &item); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		items = append(items, item)
	}
	return items
}

// await asks until as many deliveries as wanted are in a state.
func (tr trial) await(t *testing.T, state string, want int) []client.Delivery {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		found := listed[client.Delivery](t, tr.must(t, "deliveries --developer acme --destination app --limit 0 --json --state "+state))
		if len(found) == want {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d deliveries are %s, want %d", len(found), state, want)
		}
	}
}

func TestTheCommandsAgainstARealDaemon(t *testing.T) {
	path := settings(t, map[string]string{"acme": pickyAcme})
	tr, stop := daemon(t, path)

	body := "{ \"type\" : \"good\", \"user\": {\"user_id\":\"u/1\"},\n \"x\": \"\\u0000 <&>\" }\n"
	sent := tr.must(t, "send --developer acme --reference order-17 --json", write(t, "a.json", body))
	id := listed[client.Accepted](t, sent)[0].ID
	many := write(t, "b.ndjson", strings.Repeat("{\"type\":\"good\"}\n", 1200)+"{\"type\":\"bad\"}\nnonsense\n{\"x\":1}\n")
	r := tr.run(t, "send", "--developer", "acme", "--idempotent", many)
	if r.code != 1 || !strings.HasPrefix(r.out, "accepted 2, duplicates 1199, failed 2 ") || !strings.Contains(r.err, many+":1202: ") || !strings.Contains(r.err, many+":1203: ") || !strings.Contains(r.err, "missing_type") {
		t.Errorf("send: %+v", r)
	}
	tr.await(t, "delivered", 2)
	dead := tr.await(t, "dead", 1)[0]

	if got := tr.must(t, "events "+id+" --body"); got != body {
		t.Errorf("body %q, want %q", got, body)
	}
	if out := tr.must(t, "events "+id); !strings.Contains(out, "order-17") || !strings.Contains(out, "acme/app") || !strings.Contains(out, "delivered") {
		t.Errorf("event: %s", out)
	}
	for line, want := range map[string]int{"--since 1h": 3, "--until 1h": 0, "--type bad": 1, "--type good --limit 1": 1, "--unmatched": 0} {
		if found := listed[client.Event](t, tr.must(t, "events --developer acme --json "+line)); len(found) != want {
			t.Errorf("events %s: %d, want %d", line, len(found), want)
		}
	}
	if found := listed[client.Event](t, tr.must(t, "events --user u/1 --json")); len(found) != 1 || found[0].ID != id || !slices.Equal(found[0].Destinations, []string{"app"}) {
		t.Errorf("events of a user: %+v", found)
	}
	if out := tr.must(t, "deliveries "+dead.ID); !strings.Contains(out, "rejected") || !strings.Contains(out, "422") || strings.Contains(out, "\x1b") {
		t.Errorf("delivery: %s", out)
	}

	if out := tr.must(t, "retry "+dead.ID); out != dead.ID+" retried (was dead)\n" {
		t.Errorf("retry: %s", out)
	}
	tr.await(t, "dead", 1)
	if out := tr.must(t, "retry --developer acme --dry-run"); !strings.HasPrefix(out, "1 dead delivery") {
		t.Errorf("dry run: %s", out)
	}
	if r := tr.run(t, "cancel", dead.ID); r.code != 1 || !strings.Contains(r.err, "conflict") {
		t.Errorf("cancelling what is dead: %+v", r)
	}
	if out := tr.must(t, "pause acme/app --reason tonight"); out != "acme/app: paused\n" {
		t.Errorf("pause: %s", out)
	}
	if out := tr.must(t, "retry --developer acme --destination app --json --yes"); out != `{"matched":1,"changed":1}`+"\n" {
		t.Errorf("retry of all dead: %s", out)
	}
	if d := listed[client.Destination](t, tr.must(t, "destinations --state paused --json")); len(d) != 1 || d[0].Reason != "tonight" || d[0].Pending != 1 {
		t.Errorf("destinations: %+v", d)
	}
	if out := tr.must(t, "rebind acme/app --yes"); out != "acme/app: rebound 0 pending deliveries\n" {
		t.Errorf("rebind: %s", out)
	}
	if out := tr.must(t, "cancel --all --yes"); out != "cancelled 1 delivery\n" {
		t.Errorf("cancel: %s", out)
	}
	tr.must(t, "resume acme/app")
	if rows := listed[client.AuditRow](t, tr.must(t, "audit --deep --json")); len(rows) != 1 || !rows[0].Balanced || rows[0].Accepted != 3 || rows[0].Delivered != 2 || rows[0].Cancelled != 1 {
		t.Errorf("audit: %+v", rows)
	}
	if out := tr.must(t, "erase --developer acme --yes u/1"); out != "erased 1 event, cancelled 0 pending deliveries\n" {
		t.Errorf("erase: %s", out)
	}
	if r := tr.run(t, "events", id, "--body"); r.code != 1 || !strings.Contains(r.err, "erased") {
		t.Errorf("body after erasing: %+v", r)
	}
	tr.must(t, "reload")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "developers", "acme.yaml"), []byte(pickyAcme+"x: 1\ny: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := tr.run(t, "reload"); r.code != 1 || strings.Count(r.err, "acme.yaml:") != 2 {
		t.Errorf("reload of faulty settings: %+v", r)
	}
	backup := filepath.Join(t.TempDir(), "b1")
	tr.must(t, "backup", backup)
	if r := tr.run(t, "backup", backup); r.code != 1 || !strings.Contains(r.err, "is there already") {
		t.Errorf("backup over a backup: %+v", r)
	}
	stop()

	again := settings(t, map[string]string{"acme": pickyAcme})
	tr.must(t, "restore --config "+again, backup)
	if r := tr.run(t, "restore", "--config", again, backup); r.code != 1 || !strings.Contains(r.err, "move what is there aside") {
		t.Errorf("restore over a store: %+v", r)
	}
	offline := filepath.Join(t.TempDir(), "b2")
	tr.must(t, "backup --offline --config "+again, offline)
	third := settings(t, map[string]string{"acme": pickyAcme})
	tr.must(t, "restore --reason moved --config "+third, offline)
	tr, _ = daemon(t, third)
	if acts := listed[client.Act](t, tr.must(t, "changes --call restore --json")); len(acts) != 2 || acts[0].Object != offline || acts[0].Reason != "moved" || acts[0].By != "local" || acts[1].Object != backup {
		t.Errorf("acts of two restores: %+v", acts)
	}
	if rows := listed[client.AuditRow](t, tr.must(t, "audit --deep --json")); len(rows) != 1 || !rows[0].Balanced || rows[0].Accepted != 3 {
		t.Errorf("audit after two backups and restores: %+v", rows)
	}
	if r := tr.run(t, "backup", "--offline", "--config", third, filepath.Join(t.TempDir(), "b3")); r.code != 1 || !strings.Contains(r.err, "is the daemon stopped?") {
		t.Errorf("offline backup beside a running daemon: %+v", r)
	}
}

// Every command takes the ids that a list shows, and each means one delivery: also for events that
// were accepted in the same moment, whose ids begin alike.
func TestShownIDsAreTaken(t *testing.T) {
	tr, _ := daemon(t, settings(t, map[string]string{"acme": pickyAcme}))
	tr.must(t, "send --developer acme", write(t, "many.ndjson", strings.Repeat("{\"type\":\"bad\"}\n", 1000)))
	tr.await(t, "dead", 1000)
	tr.env["COLUMNS"] = "80"
	shown := map[string]bool{}
	for line := range strings.Lines(tr.must(t, "deliveries --limit 0")) {
		if fields := strings.Fields(line); fields[0] != "AGE" {
			shown[fields[1]] = true
		}
	}
	if len(shown) != 1000 {
		t.Fatalf("%d ids are shown of 1000 deliveries", len(shown))
	}
	if out := tr.must(t, "retry "+strings.Join(slices.Collect(maps.Keys(shown)), " ")); strings.Count(out, " retried (was dead)\n") != 1000 {
		t.Errorf("retry: %.500s", out)
	}
	for id := range shown {
		id, _, _ = strings.Cut(id, "_")
		if out := tr.must(t, "events "+id); !strings.Contains(out, "event      "+id) {
			t.Errorf("%s: %s", id, out)
		}
		break
	}
}
