package integration

import (
	"net"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// Idle connections from anybody who reaches the port once took every descriptor. Then no event could
// be stored, no receiver dialled and no outcome recorded.
func TestIdleConnectionsLeaveDescriptors(t *testing.T) {
	h, listen := newHome(t), servers.Address(t)
	r := newReceiver(t, nil)
	h.write("fantail.yaml", "listen: "+listen+"\nstore: { pebble: { dir: store } }\negress: { allow: [127.0.0.0/8] }\nlimits: { in_flight: 32 }\n")
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))
	const files = 160
	d := h.serveFew(listen, files)
	for i := range 2 * files {
		c, err := net.Dial("tcp", listen)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { c.Close() })
		// A connection that has made one request may be idle for minutes. The test does not wait for the
		// answer: a daemon without the bound never gives one.
		if _, err := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")); err != nil {
			t.Logf("connection %d: %v", i, err)
		}
	}
	for range 20 {
		a := d.send(t, "acme", []byte(`{"type":"activity"}`))
		until(t, "the event is delivered", func() bool {
			for delivery, err := range d.Deliveries(t.Context(), client.DeliveryFilter{Event: a.ID}) {
				if err != nil {
					t.Fatal(err)
				}
				if delivery.Tried > 1 {
					t.Fatalf("tried %d times", delivery.Tried)
				}
				return delivery.State == "delivered"
			}
			return false
		})
	}
	metrics, err := d.Metrics(t.Context())
	if err != nil || !strings.Contains(string(metrics), "fantail_connections_limit 40\n") || strings.Contains(string(metrics), "fantail_connections_evicted_total 0\n") {
		t.Errorf("%v, %s", err, metrics)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if log := h.log.String(); strings.Contains(log, "too many open files") || !strings.Contains(log, "LimitNOFILE") {
		t.Errorf("log %s", log)
	}
}
