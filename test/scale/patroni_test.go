//go:build long

package scale

import (
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// Patroni finds out that the primary is lost, with its machine, and promotes the synchronous standby. Fantail
// has the URLs of both servers, and finds the new primary by itself.
func TestPatroniFailsOverAndNothingIsLost(t *testing.T) {
	c := servers.StartPatroni(t)
	f := newFleetAt(t, 2, c.Primary(), func(int) []string { return c.URLs() })
	l := newLoad(t, 6, f.urls()...)
	var moments []time.Time
	for round := range rounds(1) {
		l.more(t, 200)
		was := c.Primary()
		moment := time.Now()
		moments = append(moments, moment)
		lost := c.Lose()
		refused := f.refusedAfter(moment)
		until(t, 3*time.Minute, "there is another primary", func() bool { now := c.Primary(); return now != "" && now != was })
		promoted := time.Now()
		accepted := f.acceptedAfter(promoted)
		t.Logf("round %d: refused after %v, another primary after %v, accepted %v later", round, refused.Round(time.Millisecond), promoted.Sub(moment).Round(time.Millisecond), accepted.Round(time.Millisecond))
		if refused > refusedWithin || accepted > acceptedWithin {
			t.Errorf("the limits are %v and %v", refusedWithin, acceptedWithin)
		}
		for _, d := range f.daemons {
			if d.ended() {
				t.Fatalf("%s ended: %v\n%.4000s", d.name, d.err, d.log)
			}
		}
		c.Return(lost)
	}
	l.more(t, 100)
	f.settle(l.end(), moments, unsynced)
}
