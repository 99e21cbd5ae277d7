package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// value returns a gauge of the daemon with one label, or none.
func value(t *testing.T, a *App, name, label string) float64 {
	t.Helper()
	families, err := a.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && f.GetType() == dto.MetricType_GAUGE && (label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label) {
				return m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// until waits for what happens in other goroutines of the daemon.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(2 * time.Minute); !done(); <-tick.C {
		if time.Now().After(limit) {
			t.Fatalf("waited two minutes for: %s", what)
		}
	}
}

// A kind whose Open fails stops one developer, at the start too, and loudly.
func TestDestinationThatCannotBeOpenedCostsItsDeveloperAlone(t *testing.T) {
	for name, panics := range map[string]bool{"an error": false, "a panic": true} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.developer("acme", "old", "")
			h.developer("globex", "fine", "")
			if err := h.start().stop(); err != nil {
				t.Fatal(err)
			}
			h.developer("acme", "new", "")
			h.developer("newco", "first", "")
			h.broken, h.panics = map[string]bool{"new": true, "first": true}, panics
			d := h.start()
			for developer, want := range map[string]int{"acme": 1, "globex": 1, "newco": 0} {
				if got := d.send(t, developer).Deliveries; got != want {
					t.Errorf("an event of %s goes to %d destinations, want %d", developer, got, want)
				}
			}
			until(t, "both are delivered", func() bool { got := h.delivered(); return got == "old fine" || got == "fine old" })
			problems, warnings := d.Health()
			all := strings.Join(warnings, "\n")
			if len(problems) > 0 || len(warnings) != 2 || !strings.Contains(all, "developer acme: destinations that cannot be opened, running on the last good ones") ||
				!strings.Contains(all, "developer newco: destinations that cannot be opened, events are kept without a destination") {
				t.Errorf("problems %v, warnings:\n%s", problems, all)
			}
			for developer, want := range map[string]float64{"acme": 1, "newco": 1, "globex": -1} {
				if got := value(t, d.App, "fantail_broken_settings", developer); got != want {
					t.Errorf("fantail_broken_settings of %s is %v, want %v", developer, got, want)
				}
			}
			if strings.Contains(all+h.logged(), "secret-of-") {
				t.Error("the text of a panic shows")
			}

			// What was put in the place of the settings is not remembered as good.
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
			h.broken = nil
			d = h.start()
			if _, warnings := d.Health(); len(warnings) > 0 {
				t.Errorf("warnings %v", warnings)
			}
			h.sent = nil
			d.send(t, "acme")
			until(t, "it goes to the new address", func() bool { return h.delivered() == "new" })
		})
	}
}

func TestFailedStartClosesWhatItOpened(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "a", "")
	first := h.start()
	h.goesTo(first, "acme", "a")
	h.write("fantail.yaml", "listen: "+first.Addr()+"\nstore: { pebble: { dir: other, reserve: 1MiB } }\n")
	if _, err := h.open(); err == nil || !strings.Contains(err.Error(), "setting `listen`") {
		t.Fatalf("a taken address: %v", err)
	}
	if opened, closed := h.counts(); opened != 3 || closed != 2 {
		t.Errorf("%d opened, %d closed: two to see that they can be, one runs", opened, closed)
	}
}

// A signal ends a start too, however many destinations there are to open.
func TestStartEndsWithItsContext(t *testing.T) {
	h := newHome(t)
	for i := range 20 {
		h.developer(fmt.Sprintf("dev%d", i), "a", "")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopped")
	h.onOpen = func() {
		if len(h.opened) == 3 {
			cancel(why)
		}
	}
	_, err := New(ctx, Options{Config: filepath.Join(h.dir, "fantail.yaml"), Kinds: h.kinds(), Log: slog.New(slog.NewTextHandler(h, nil))})
	if !errors.Is(err, why) {
		t.Errorf("start: %v", err)
	}
	if opened, closed := h.counts(); opened != 3 || closed != 3 {
		t.Errorf("%d opened, %d closed", opened, closed)
	}
	if strings.Contains(h.logged(), "are not used") {
		t.Error("the end is taken for a fault of the settings")
	}
}

func TestStartSaysWhenNoEventsAreTaken(t *testing.T) {
	for reserve, want := range map[string]string{"1MiB": "developers=1 destinations=1", "1000000GiB": "takes no events for now"} {
		h := newHome(t)
		h.developer("acme", "app", "")
		h.write("fantail.yaml", "listen: 127.0.0.1:0\nstore: { pebble: { dir: store, reserve: "+reserve+" } }\n")
		h.start()
		until(t, want, func() bool { return strings.Contains(h.logged(), want) })
	}
}

// What a developer's other destinations opened does not stay open behind one
// that cannot be.
func TestSiblingsOfADestinationThatCannotBeOpenedAreClosed(t *testing.T) {
	h := newHome(t)
	h.write("developers/acme.yaml", "developer: acme\ndestinations:\n  - { name: a, kind: post, settings: { to: fine } }\n  - { name: b, kind: post, settings: { to: bad } }\n")
	h.broken["bad"] = true
	d := h.start()
	if opened, closed := h.counts(); opened != 1 || closed != 1 {
		t.Errorf("%d opened, %d closed", opened, closed)
	}
	if got := d.send(t, "acme").Deliveries; got != 0 {
		t.Errorf("an event goes to %d destinations", got)
	}
}

// The operator's credentials are lent to whom they list, for as long as they do.
func TestOperatorsCredentialsAreLentToWhomTheyList(t *testing.T) {
	h := newHome(t)
	h.settings("ambient: [acme/app]\n")
	h.developer("acme", "a", ", cloud: true")
	h.developer("globex", "b", "")
	d := h.start()
	h.mu.Lock()
	for _, deps := range h.opened {
		listed := deps.Ambient
		if (deps.Metadata != nil) != listed {
			t.Errorf("ambient %v, a way to the metadata service %v", listed, deps.Metadata)
		}
		if deps.Catalogue == nil || deps.Payloads != nil {
			t.Errorf("lent: %+v", deps)
		}
	}
	if len(h.opened) != 2 || h.opened[0].Ambient == h.opened[1].Ambient {
		t.Errorf("lent to %d", len(h.opened))
	}
	h.mu.Unlock()
	h.goesTo(d, "acme", "a")

	// Taken back, and then the daemon starts again: the last good settings may
	// not bring them back.
	h.settings("")
	if _, err := d.App.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "acme.yaml:5") || !strings.Contains(err.Error(), "name no credentials") {
		t.Errorf("reload: %v", err)
	}
	until(t, "what was lent the credentials ends", func() bool { opened, closed := h.counts(); return opened == 3 && closed == 3 })
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	if got := d.send(t, "acme").Deliveries; got != 0 {
		t.Errorf("an event goes to %d destinations", got)
	}
	if _, warnings := d.Health(); len(warnings) != 1 || !strings.Contains(warnings[0], "ambient of fantail.yaml does not list it") {
		t.Errorf("warnings %v", warnings)
	}
}
