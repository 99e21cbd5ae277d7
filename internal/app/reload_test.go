package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// refusedReload reloads over the API and returns what it says of those whom it refused.
func (d *daemon) refusedReload(t *testing.T) string {
	t.Helper()
	_, err := d.Client.Reload(t.Context())
	refused, ok := errors.AsType[*client.Error](err)
	if !ok || refused.Status != 422 || refused.Code != "developers_refused" {
		t.Fatalf("reload: %v", err)
	}
	return refused.Message
}

// goesTo sends an event and waits until it was delivered to the address.
func (h *home) goesTo(d *daemon, developer, want string) {
	h.t.Helper()
	h.mu.Lock()
	h.sent = nil
	h.mu.Unlock()
	d.send(h.t, developer)
	until(h.t, "an event of "+developer+" goes to "+want, func() bool { return h.delivered() == want && d.pending(developer) == 0 })
}

// pending counts what a developer's destinations wait for: a delivery stays there
// after it was sent, until its outcome is stored.
func (d *daemon) pending(developer string) (n int64) {
	for _, s := range d.scheduler.Status() {
		if s.Key.Developer == developer {
			n += s.Pending
		}
	}
	return n
}

// A developer's fault is theirs: everybody else's change is taken, and they go on
// as before, now and at the next start.
func TestReloadRefusesADeveloperAlone(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(h *home)
		want  []string
		cured func(h *home)
	}{
		"a faulty file": {
			func(h *home) { h.developer("acme", "new, frobnicate: 1", "") },
			[]string{"developer acme: faulty settings, running on the last good ones:\n", "developers/acme.yaml:5: destination app: settings: unknown key frobnicate"},
			func(h *home) {},
		},
		"a file that is no YAML": {
			func(h *home) { h.write("developers/acme.yaml", "developer: [") },
			[]string{"developer acme: faulty settings, running on the last good ones:\n", "developers/acme.yaml:2: not YAML"},
			func(h *home) {},
		},
		"a file that cannot be read": {
			func(h *home) {
				path := filepath.Join(h.dir, "developers", "acme.yaml")
				if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
					h.t.Fatal(err)
				}
			},
			[]string{"developers/acme.yaml: cannot be read: is not a regular file"},
			func(h *home) {
				if err := os.Remove(filepath.Join(h.dir, "developers", "acme.yaml")); err != nil {
					h.t.Fatal(err)
				}
			},
		},
		"two files": {
			func(h *home) { h.write("developers/acme.yml", "developer: acme\n") },
			[]string{"acme.yml is of the same developer", "acme.yaml is of the same developer"},
			func(h *home) {
				if err := os.Remove(filepath.Join(h.dir, "developers", "acme.yml")); err != nil {
					h.t.Fatal(err)
				}
			},
		},
		"a destination that cannot be opened": {
			func(h *home) { h.developer("acme", "new", ""); h.broken["new"] = true },
			[]string{"developer acme: destinations that cannot be opened, running on the last good ones:\n", "open acme/app: new cannot be opened"},
			func(h *home) { delete(h.broken, "new") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.developer("acme", "old", "")
			h.developer("globex", "old", "")
			d := h.start()
			c.spoil(h)
			h.developer("globex", "other", "")
			h.developer("newco", "first", "")
			for range 2 { // the second changes nothing
				said := d.refusedReload(t)
				for _, want := range append(c.want, "the settings are in force, but not those of acme:") {
					if !strings.Contains(said, want) {
						t.Errorf("%q is not in\n%s", want, said)
					}
				}
				if opened, closed := h.counts(); opened != 4 || closed != 4 { // one changed and one has come
					t.Errorf("%d opened to see that they can be, %d closed", opened, closed)
				}
			}
			h.goesTo(d, "acme", "old")
			h.goesTo(d, "globex", "other")
			h.goesTo(d, "newco", "first")
			problems, warnings := d.Health()
			if len(problems) > 0 || len(warnings) != 1 || !strings.Contains(warnings[0], "developer acme: ") {
				t.Errorf("problems %v, warnings %v", problems, warnings)
			}
			for developer, want := range map[string]float64{"acme": 1, "globex": -1, "newco": -1} {
				if got := value(t, d.App, "fantail_broken_settings", developer); got != want {
					t.Errorf("fantail_broken_settings of %s is %v, want %v", developer, got, want)
				}
			}
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
			d = h.start()
			h.goesTo(d, "acme", "old")
			c.cured(h)
			h.developer("acme", "newest", "")
			if _, err := d.Client.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.goesTo(d, "acme", "newest")
			if value(t, d.App, "fantail_broken_settings", "acme") != -1 {
				t.Error("what is mended shows as broken")
			}
		})
	}
}

// A fault of fantail.yaml is everybody's: nothing changes.
func TestReloadTakesTheDaemonsSettingsWholeOrNot(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "old", "")
	d := h.start()
	h.developer("acme", "new", "")
	h.settings("frobnicate: 1\n")
	_, err := d.Client.Reload(t.Context())
	if refused, ok := errors.AsType[*client.Error](err); !ok || refused.Code != "invalid_settings" || !strings.Contains(refused.Message, "fantail.yaml:4: unknown key frobnicate") {
		t.Fatalf("reload: %v", err)
	}
	h.goesTo(d, "acme", "old")
}

// A developer whose file is gone is gone, also when it was faulty before, and a
// faulty file later brings nothing of theirs back.
func TestRemovedDeveloperStaysRemoved(t *testing.T) {
	for name, restart := range map[string]bool{"reload": false, "restart": true} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.developer("acme", "old", "")
			h.developer("globex", "old", "")
			d := h.start()
			again := func() {
				if !restart {
					_, _ = d.App.Reload(t.Context())
					return
				}
				if err := d.stop(); err != nil {
					t.Fatal(err)
				}
				d = h.start()
			}
			h.write("developers/acme.yaml", "developer: [")
			again()
			h.goesTo(d, "acme", "old")
			if err := os.Remove(filepath.Join(h.dir, "developers", "acme.yaml")); err != nil {
				t.Fatal(err)
			}
			again()
			if d.ingest.Knows("acme") || !d.ingest.Knows("globex") || value(t, d.App, "fantail_broken_settings", "acme") != -1 {
				t.Error("a developer without a file is known")
			}
			h.write("developers/mallory.yaml", "developer: acme\n")
			again()
			if d.ingest.Knows("acme") || !d.ingest.Knows("mallory") {
				t.Error("somebody else's file brought them back")
			}
			h.write("developers/acme.yaml", "developer: [")
			again()
			if got := d.send(t, "acme").Deliveries; got != 0 {
				t.Errorf("an event goes to %d destinations", got)
			}
		})
	}
}

// A file from when files could have any name: its developer goes on with what was
// good then, until it is renamed.
func TestMisnamedFileKeepsItsDeveloperGoing(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "old", "")
	if err := h.start().stop(); err != nil {
		t.Fatal(err)
	}
	right, wrong := filepath.Join(h.dir, "developers", "acme.yaml"), filepath.Join(h.dir, "developers", "customer.yaml")
	if err := os.Rename(right, wrong); err != nil {
		t.Fatal(err)
	}
	d := h.start()
	for range 2 {
		h.goesTo(d, "acme", "old")
		if d.ingest.Knows("customer") {
			t.Error("the name of the file is a developer")
		}
		if _, warnings := d.Health(); len(warnings) != 1 || !strings.Contains(warnings[0], "developer customer: faulty settings, acme, whom they name, is running on the last good ones: ") || !strings.Contains(warnings[0], "rename it to acme.yaml") {
			t.Errorf("warnings %v", warnings)
		}
		if value(t, d.App, "fantail_broken_settings", "acme") != 1 {
			t.Error("acme does not show as broken")
		}
		d.refusedReload(t)
	}
	if err := os.Rename(wrong, right); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Client.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.goesTo(d, "acme", "old")
}

// Nobody speaks for another developer: not for one who is there, nor for one who
// is not yet, and their own settings go on.
func TestFileSpeaksForNobodyElse(t *testing.T) {
	for name, restart := range map[string]bool{"reload": false, "restart": true} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.developer("acme", "good", "")
			h.developer("mallory", "bad", "")
			d := h.start()
			for _, victim := range []string{"acme", "ghost"} {
				h.write("developers/mallory.yaml", "developer: "+victim+"\ndestinations:\n  - { name: app, kind: post, settings: { to: worse } }\n")
				if restart {
					if err := d.stop(); err != nil {
						t.Fatal(err)
					}
					d = h.start()
				} else {
					d.refusedReload(t)
				}
				h.goesTo(d, "acme", "good")
				h.goesTo(d, "mallory", "bad")
				if d.ingest.Knows("ghost") {
					t.Error("ghost is a developer")
				}
			}
		})
	}
}

func TestShortestWaitHoldsForWhatWasFrozenBefore(t *testing.T) {
	d := &config.Destination{Schedule: retry.Schedule{Waits: []time.Duration{time.Millisecond, time.Hour}, Jitter: 0.1}}
	s := settingsOf(d, &config.Daemon{Limits: config.Limits{PerDeveloper: config.PerDeveloper{ShortestWait: time.Second}}}).Schedule
	if s.Waits[0] != time.Second || s.Waits[1] != time.Hour || s.Jitter != 0.1 || d.Schedule.Waits[0] != time.Millisecond {
		t.Errorf("schedule %v, of %v", s, d.Schedule)
	}
}

// The limits that are shown are those that hold: what is built in follows at the
// next start, what files are judged by at once.
func TestLimitsThatHoldAreShown(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "a", "")
	d := h.start()
	for _, c := range []struct {
		do           func()
		destinations int
		attempts     float64
	}{
		{func() {}, 1000, 0},
		{func() {
			h.settings("limits: { per_developer: { destinations: 7, attempts: 50/s } }\n")
			if waiting, err := d.App.Reload(t.Context()); err != nil || strings.Join(waiting, " ") != "limits" {
				t.Errorf("waiting %v, %v", waiting, err)
			}
		}, 7, 0},
		{func() {
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
			d = h.start()
		}, 7, 50},
	} {
		c.do()
		l, err := d.Client.Limits(t.Context())
		if err != nil || l.PerDeveloper.Destinations != c.destinations || l.PerDeveloper.Attempts != c.attempts || l.PerDeveloper.ShortestWait != 1000 || l.InFlight != 1024 {
			t.Errorf("limits %+v, %v", l, err)
		}
		for setting, want := range map[string]float64{"limits.per_developer.destinations": float64(c.destinations), "limits.per_developer.attempts": c.attempts, "limits.per_developer.shortest_wait": 1} {
			if got := value(t, d.App, "fantail_limit", setting); got != want {
				t.Errorf("fantail_limit of %s is %v, want %v", setting, got, want)
			}
		}
	}
	h.settings("limits: { per_developer: { destinations: 8, attempts: 50/s, shortest_wait: 2s } }\n")
	if waiting, err := d.App.Reload(t.Context()); err != nil || len(waiting) > 0 {
		t.Errorf("waiting %v, %v", waiting, err)
	}
}

// What a refused developer runs on outlives the key that it was sealed with.
func TestLastGoodSettingsFollowTheKeys(t *testing.T) {
	h := newHome(t)
	h.write("old.key", "0123456789abcdef-old")
	h.write("new.key", "0123456789abcdef-new")
	h.settings("keys: ['${file:old.key}']\n")
	h.developer("acme", "old", "")
	d := h.start()
	h.developer("acme", "new, frobnicate: 1", "")
	for _, keys := range []string{"'${file:new.key}', '${file:old.key}'", "'${file:new.key}'"} {
		h.settings("keys: [" + keys + "]\n")
		d.refusedReload(t)
		h.goesTo(d, "acme", "old")
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	h.goesTo(d, "acme", "old")
}
