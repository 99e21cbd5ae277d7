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
