package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// A webhook whose url is the daemon's own API hands in nothing, whichever call takes the event as its
// body, and its attempts say why. Test events and healthchecks hand in nothing either.
func TestAWebhookThatLeadsBackHandsInNothing(t *testing.T) {
	h := newHome(t)
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.0/8] }
shutdown_grace: 2s
healthcheck: { every: 1m, kinds: [webhook] }
`)
	h.write("developers/acme.yaml", "developer: acme\ndestinations: []\n")
	d := h.start()
	name := soon(t)
	entry := "  - { name: %s, kind: webhook, events: [sleep, healthcheck], settings: { url: %q, secret: %s, allow_http: true%s } }\n"
	h.write("developers/acme.yaml", "developer: acme\ndestinations:\n"+
		fmt.Sprintf(entry, name, d.app.URL()+"/v1/events", "a-secret-of-acme", "")+
		fmt.Sprintf(entry, "standard", d.app.URL()+"/v1/events", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ", signing: standard-webhooks")+
		fmt.Sprintf(entry, "batch", d.app.URL()+"/v1/events/batch", "a-secret-of-acme", "")+
		fmt.Sprintf(entry, "test", d.app.URL()+"/v1/destinations/acme/standard/test", "a-secret-of-acme", ""))
	if _, err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.send(t, "acme", []byte(`{"type":"sleep"}`))
	if _, err := d.Test(t.Context(), "acme", name, client.TestRequest{Type: "daily"}); err != nil {
		t.Fatal(err)
	}

	// refused are the deliveries that had their first attempt, by type and destination.
	refused := func() (all []string) {
		for v, err := range d.Deliveries(t.Context(), client.DeliveryFilter{}) {
			if err != nil {
				t.Fatal(err)
			}
			whole, err := d.Delivery(t.Context(), v.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range whole.Attempts {
				if a.Code != 400 || !strings.Contains(a.Answer, "own_delivery") || !strings.Contains(a.Answer, "leads to this API") {
					t.Fatalf("the attempt at %s: %+v", whole.Destination, a)
				}
			}
			if len(whole.Attempts) > 0 {
				e, err := d.Event(t.Context(), v.Event)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, e.Type+" "+strings.Replace(v.Destination, name, "app", 1))
			}
		}
		slices.Sort(all)
		return all
	}
	want := []string{"daily app", "healthcheck app", "sleep app", "sleep batch", "sleep standard", "sleep test"}
	until(t, "each delivery had its attempt", func() bool {
		have := refused()
		return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
	})
	types := map[string]int{}
	for e, err := range d.Events(t.Context(), client.EventFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		types[e.Type]++
	}
	if types["sleep"] != 1 || types["daily"] != 1 || types["healthcheck"] == 0 || len(types) != 3 {
		t.Errorf("accepted: %v", types)
	}
}
