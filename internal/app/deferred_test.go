package app

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// What the process died of opening is opened by its first attempt, whose fault
// holds it, and at the start again once that has gone well.
func TestWhatKilledTheProcessWhenItWasOpenedIsOpenedLater(t *testing.T) {
	for name, broken := range map[string]bool{"sound": false, "broken": true} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.developer("acme", "old", "")
			h.developer("globex", "fine", "")
			if err := h.start().stop(); err != nil {
				t.Fatal(err)
			}
			f, err := suspects.Open(filepath.Join(h.dir, "store", "flight"), 2048)
			if err != nil {
				t.Fatal(err)
			}
			f.Opening(store.DestinationKey{Developer: "acme", Name: "app", Kind: "post"})
			if err := f.Close(); err != nil { // and no word of its end
				t.Fatal(err)
			}
			if h.broken["old"] = broken; broken {
				h.panics = true
			}
			d := h.start()
			if !strings.Contains(h.logged(), "opened by its first attempt") {
				t.Error("opened at the start")
			}
			d.send(t, "acme")
			if broken {
				until(t, "acme is held", func() bool {
					for _, s := range d.scheduler.Status() {
						if s.Key.Developer == "acme" && s.State == "held" && strings.Contains(s.Reason, "its kind panicked") {
							return true
						}
					}
					return false
				})
			} else {
				until(t, "acme's event is delivered", func() bool { return h.delivered() == "old" })
			}
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
			if opened, closed := h.counts(); opened != closed {
				t.Errorf("%d opened, %d closed", opened, closed)
			}
			if broken {
				return
			}
			h.start()
			if n := strings.Count(h.logged(), "opened by its first attempt"); n != 1 {
				t.Error("not opened at the next start")
			}
		})
	}
}

// A destination that could be opened when its settings were read, and cannot when it is
// used, is held and says so; its events wait, and go out once it can.
func TestADestinationThatCannotBeOpenedWhenItIsUsed(t *testing.T) {
	for name, panics := range map[string]bool{"an error": false, "a panic": true} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.developer("acme", "a", "")
			d := h.start()
			h.setBroken("a", true, panics)
			d.send(t, "acme")
			until(t, "it is held", func() bool {
				st := d.scheduler.Status()[0]
				return st.State == "held" && strings.Contains(st.Reason, "open acme/app")
			})
			if c := d.store.Counts(d.scheduler.Status()[0].ID); c.Pending != 1 || c.Dead != 0 {
				t.Errorf("while it cannot be opened: %+v", c)
			}
			h.setBroken("a", false, false)
			if err := d.scheduler.Resume(t.Context(), d.scheduler.Status()[0].ID); err != nil {
				t.Fatal(err)
			}
			until(t, "its event is delivered", func() bool { return h.delivered() == "a" })
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
			if opened, closed := h.counts(); opened != closed {
				t.Errorf("%d opened, %d closed", opened, closed)
			}
		})
	}
}

// setBroken has no more, or again, be opened what goes there.
func (h *home) setBroken(to string, broken, panics bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken[to], h.panics = broken, panics
}
