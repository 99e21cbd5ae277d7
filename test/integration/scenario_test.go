package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// destinations of the scenario.
var everywhere = []string{"app", "objects", "google", "queue", "ordered", "own"}

// Everything accepted arrives everywhere, as the contract says, whatever the network does and however
// the daemon ends meanwhile.
func TestEverySampleArrivesEverywhere(t *testing.T) {
	w := newWorld(t)
	h, listen := newHome(t), servers.Address(t)
	h.write("fantail.yaml", fmt.Sprintf(`
listen: %s
store: { pebble: { dir: store } }
payloads: { dir: { path: payloads, public_url: "http://%[1]s" } }
egress: { allow: [127.0.0.1/32] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 1s
`, listen))
	h.write("developers/acme.yaml", w.dir)
	events := scenarioEvents(t)
	var parts [4][]*sent
	for i, e := range events {
		parts[i%4] = append(parts[i%4], e)
	}

	d := h.serve(listen)
	w.all((*faults.Proxy).Down)
	d.accept(t, parts[0])
	d.failing(t, parts[0], everywhere...)
	d.crash()

	d = h.serve(listen)
	w.all((*faults.Proxy).Up)
	w.all((*faults.Proxy).LoseAnswers)
	d.accept(t, parts[1])
	d.failing(t, parts[1], everywhere...)
	if err := d.stop(); err != nil {
		t.Errorf("the daemon stopped with %v", err)
	}

	d = h.serve(listen)
	w.all((*faults.Proxy).Heal)
	w.all((*faults.Proxy).Reset)
	d.accept(t, parts[2])
	d.failing(t, parts[2], everywhere...)
	w.all((*faults.Proxy).Heal)
	w.all(func(p *faults.Proxy) { p.Latency(50 * time.Millisecond) })
	d.accept(t, parts[3])
	d.crash() // in the middle of what it sends

	d = h.serve(listen)
	w.all((*faults.Proxy).Heal)
	for _, row := range d.balanced(t) {
		if n := int64(len(events)); row.Accepted != n || row.Delivered != n {
			t.Errorf("%s: %d accepted, %d delivered, want %d of both", row.Destination, row.Accepted, row.Delivered, n)
		}
	}
	w.hasEverything(t, d.daemon, events)
	if err := d.stop(); err != nil {
		t.Errorf("the daemon stopped with %v", err)
	}
	for _, secret := range []string{"secret-of-", "X-Amz-Signature", "signature="} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log shows %s...", secret)
		}
	}
}
