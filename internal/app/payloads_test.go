package app

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const kept = "payloads: { dir: { path: payloads, public_url: 'http://events.example' } }\n"

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// spoil makes the store unable to write, for root too, and returns what mends it.
func (h *home) spoil(t *testing.T) (mend func()) {
	t.Helper()
	folder := filepath.Join(h.dir, "payloads", "tmp")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	h.write("payloads/tmp", "in the way")
	return func() {
		if err := os.Remove(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// The payload store is the operator's: no attempt is burned while it is down,
// nobody is held for it, and everybody can see it.
func TestPayloadStoreThatIsDownBurnsNoAttempt(t *testing.T) {
	h := newHome(t)
	h.settings(kept)
	h.developer("acme", "a", ", links: true")
	d := h.start()
	if up := value(t, d.App, "fantail_payload_store_up", ""); up != 1 {
		t.Errorf("fantail_payload_store_up is %v", up)
	}
	mend := h.spoil(t)
	accepted := d.send(t, "acme")
	until(t, "the store is found to be down", func() bool { return value(t, d.App, "fantail_payload_store_up", "") == 0 })

	ready, err := d.Readiness(t.Context())
	if err != nil || !ready.Ready || len(ready.Warnings) != 1 || !strings.Contains(ready.Warnings[0], "the payload store fails since") {
		t.Errorf("readiness %+v, %v: events can be taken, and the operator must hear of it", ready, err)
	}
	var delivery client.Delivery
	until(t, "two attempts are logged", func() bool {
		for found, err := range d.Deliveries(t.Context(), client.DeliveryFilter{Event: accepted.ID}) {
			if err != nil {
				t.Fatal(err)
			}
			if delivery, err = d.Delivery(t.Context(), found.ID); err != nil {
				t.Fatal(err)
			}
		}
		return len(delivery.Attempts) >= 2
	})
	if delivery.State != "pending" || delivery.Tried != 0 {
		t.Errorf("the delivery is %s after %d attempts that counted", delivery.State, delivery.Tried)
	}
	for _, a := range delivery.Attempts {
		if a.Counted || a.Class != "interrupted" || strings.Contains(a.Answer, h.dir) {
			t.Errorf("attempt %+v", a)
		}
	}
	for dest, err := range d.Destinations(t.Context(), "", "") {
		if err != nil || dest.State != "active" || dest.Breaker != "closed" {
			t.Errorf("destination %+v, %v: it is not to blame", dest, err)
		}
	}

	mend()
	until(t, "it is delivered", func() bool { return h.delivered() == "a" })
	until(t, "it is settled", func() bool {
		delivery, err = d.Delivery(t.Context(), delivery.ID)
		return err == nil && delivery.State == "delivered"
	})
	if delivery.Tried != 1 {
		t.Errorf("%d attempts counted", delivery.Tried)
	}
	if up := value(t, d.App, "fantail_payload_store_up", ""); up != 1 {
		t.Errorf("fantail_payload_store_up is %v", up)
	}
	if _, warnings := d.Health(); len(warnings) > 0 {
		t.Errorf("warnings %v", warnings)
	}
}

func TestLinksFollowARotationOfKeys(t *testing.T) {
	h := newHome(t)
	h.write("old.key", "an old key of the operator\n")
	h.write("new.key", "a new key of the operator\n")
	h.settings(kept + "keys: ['${file:old.key}']\n")
	h.developer("acme", "a", "")
	d := h.start()
	id := d.send(t, "acme").ID
	link := func() string {
		t.Helper()
		l, err := d.Link(t.Context(), client.LinkRequest{Payload: id})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Replace(l.URL, "http://events.example", d.URL(), 1)
	}
	old := link()
	for _, step := range []struct {
		keys string
		old  int
	}{{"keys: ['${file:new.key}', '${file:old.key}']\n", 200}, {"keys: ['${file:new.key}']\n", 403}} {
		h.settings(kept + step.keys)
		if _, err := d.App.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status, body := get(t, old); status != step.old {
			t.Errorf("%s: the old link answers %d %s", step.keys, status, body)
		}
		if status, body := get(t, link()); status != 200 || body != `{"type":"x"}` {
			t.Errorf("%s: a fresh link answers %d %s", step.keys, status, body)
		}
	}
}

// A listener of its own serves payloads and nothing else, and the API's no payloads.
func TestLinksHaveAListenerOfTheirOwn(t *testing.T) {
	h := newHome(t)
	h.settings("payloads: { dir: { path: payloads, public_url: 'http://events.example', listen: '127.0.0.1:0' } }\n")
	h.developer("acme", "a", "")
	d := h.start()
	l, err := d.Link(t.Context(), client.LinkRequest{Payload: d.send(t, "acme").ID})
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(l.URL, "http://events.example")
	own := d.fronts[1].url()
	if status, body := get(t, own+path); status != 200 || body != `{"type":"x"}` {
		t.Errorf("its listener answers %d %s", status, body)
	}
	if status, _ := get(t, d.URL()+path); status != 404 {
		t.Errorf("the API's answers %d", status)
	}
	for _, path := range []string{"/", "/v1/events", "/metrics", "/healthz", "/readyz", "/openapi.yaml", "/payloads/", "/debug/pprof/"} {
		if status, body := get(t, own+path); status != 403 || !strings.Contains(body, "invalid_link") {
			t.Errorf("its listener answers %s with %d %s", path, status, body)
		}
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(own + path); err == nil {
		t.Error("it listens after the end")
	}
}

func TestRetentionRemovesPayloadsByTheDay(t *testing.T) {
	h := newHome(t)
	h.settings(kept + "retention: { payloads: 336h }\n")
	h.developer("acme", "a", "")
	a, err := h.open() // and not run: that would apply retention at once
	if err != nil {
		t.Fatal(err)
	}
	defer a.close(t.Context())
	old := event.Payload{ID: event.NewID(time.Now().Add(-16*24*time.Hour), 0, 0).String(), Body: []byte("{}")}
	young := event.Payload{ID: event.NewID(time.Now().Add(-13*24*time.Hour), 0, 0).String(), Body: []byte("{}")}
	for _, p := range []event.Payload{old, young} {
		if err := a.payloads.Put(t.Context(), "acme", p); err != nil {
			t.Fatal(err)
		}
	}
	a.retain(t.Context())
	for id, want := range map[string]bool{old.ID: false, young.ID: true} {
		if there, err := a.payloads.Has(t.Context(), "acme", id); there != want || err != nil {
			t.Errorf("%s is there: %v, %v; want %v", id, there, err, want)
		}
	}
	// Of the young one's life a day is left, or up to two.
	const week = 7 * 24 * time.Hour
	l, err := a.payloads.Link(t.Context(), "acme", young.ID, week)
	if left := time.Until(l.Expires); err != nil || left < 23*time.Hour || left > 48*time.Hour {
		t.Errorf("a link for a week lives for %v, %v", left, err)
	}
	h.settings(kept)
	if waiting, err := a.Reload(t.Context()); err != nil || len(waiting) > 0 {
		t.Errorf("retention waits for the next start: %v, %v", waiting, err)
	}
	if l, err = a.payloads.Link(t.Context(), "acme", young.ID, week); err != nil || time.Until(l.Expires) < week-time.Minute {
		t.Errorf("kept for ever, a link for a week lives until %v, %v", l.Expires, err)
	}
}

// A payload store is built in at the start: a reload that brings it, and what
// needs it, says so and changes nothing.
func TestPayloadStoreOfAReloadWaitsForTheNextStart(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "a", "")
	d := h.start()
	h.settings(kept + "types: { recovery: { data: data } }\n")
	waiting, err := d.App.Reload(t.Context())
	if err != nil || strings.Join(waiting, " ") != "payloads types" {
		t.Errorf("waiting %v, %v", waiting, err)
	}
	h.developer("acme", "a", ", links: true")
	if _, err := d.App.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "start the daemon again") {
		t.Errorf("reload: %v", err)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	d.send(t, "acme")
	until(t, "it is delivered", func() bool { return h.delivered() == "a" })
	if !d.catalogue.IsData("recovery") {
		t.Error("types are not in force")
	}
}
