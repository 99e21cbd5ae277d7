package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// commits counts what the store has made durable.
func (h *home) commits(a *App) uint64 {
	h.t.Helper()
	families, err := a.metrics.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "fantail_store_commit_seconds" && f.GetType() == dto.MetricType_HISTOGRAM {
			return f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	h.t.Fatal("commits are not counted")
	return 0
}

// What a start and a reload cost follows what is new: one commit registers all
// destinations and one keeps all settings, whatever their number, nothing is open
// before it is used, and a reload opens and stores what changed alone.
func TestReloadCostsWhatChanged(t *testing.T) {
	const many = 300
	h := newHome(t)
	for i := range many {
		h.developer(fmt.Sprintf("dev%d", i), fmt.Sprintf("far%d", i), "")
	}
	starts := func(what string, want uint64) {
		t.Helper()
		a, err := h.open() // what Run does by itself does not count
		if err != nil {
			t.Fatal(err)
		}
		if n := h.commits(a); n != want {
			t.Errorf("%s: %d commits, want %d", what, n, want)
		}
		if err := a.close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	starts("the first start", 3) // its format, too
	if opened, closed := h.counts(); opened != many || closed != many {
		t.Errorf("the start: %d opened to see that they can be, %d closed", opened, closed)
	}
	starts("a later start", 0)
	a, err := h.open()
	if err != nil {
		t.Fatal(err)
	}
	costs := func(what string, commits uint64, opens int, do func()) {
		t.Helper()
		before := h.commits(a)
		opened, _ := h.counts()
		do()
		if _, err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := h.commits(a) - before; n != commits {
			t.Errorf("%s: %d commits, want %d", what, n, commits)
		}
		if n, _ := h.counts(); n-opened != opens {
			t.Errorf("%s: %d opened, want %d", what, n-opened, opens)
		}
	}
	costs("nothing", 0, 0, func() {})
	costs("an address", 1, 1, func() { h.developer("dev7", "changed", "") })
	costs("a comment", 0, 0, func() {
		h.write("developers/dev8.yaml", "developer: dev8\ndestinations:\n  - name: app # x\n    kind: post\n    settings: { to: far8 }\n")
	})
	costs("a developer more, whom the trail notes", 3, 1, func() { h.developer("newco", "new", "") })
	costs("a developer's return", 0, 0, func() { h.developer("dev7", "changed", "") })
	costs("another setting of the daemon", 0, 0, func() { h.settings("notices: { events: [destination.held] }\n") })
	if err := a.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := h.start()
	for developer, to := range map[string]string{"dev7": "changed", "dev8": "far8", "dev9": "far9", "newco": "new"} {
		h.goesTo(d, developer, to)
	}
	if opened, closed := h.counts(); opened-closed != 4 {
		t.Errorf("%d are open, 4 were used", opened-closed)
	}
}

// Who is gone gets nothing any more, and who comes back gets it again, under the same id.
func TestReloadRemovesAndBringsBack(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "a", "")
	h.developer("globex", "b", "")
	d := h.start()
	h.goesTo(d, "acme", "a")
	states := func() string {
		var all []string
		for _, s := range d.scheduler.Status() {
			all = append(all, fmt.Sprint(s.Key.Developer, " ", s.ID, " ", s.State))
		}
		return strings.Join(all, ", ")
	}
	before := states()
	if err := os.Remove(filepath.Join(h.dir, "developers", "acme.yaml")); err != nil {
		t.Fatal(err)
	}
	h.reload(d)
	if got := states(); got != strings.Replace(before, "active", "removed", 1) {
		t.Errorf("after the removal: %s, before: %s", got, before)
	}
	h.developer("acme", "a", "")
	h.write("developers/globex.yaml", "developer: globex\n")
	h.reload(d)
	if got := states(); !strings.HasPrefix(got, strings.Split(before, ",")[0]) || !strings.HasSuffix(got, "removed") {
		t.Errorf("after the return: %s, before: %s", got, before)
	}
	h.goesTo(d, "acme", "a")
	if got := d.send(t, "globex").Deliveries; got != 0 {
		t.Errorf("an event goes to %d destinations", got)
	}
}

func (h *home) reload(d *daemon) {
	h.t.Helper()
	if _, err := d.App.Reload(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}
