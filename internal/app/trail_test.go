package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// history is what happened to acme/app, oldest first: state by whom.
func (d *daemon) history(t *testing.T) string {
	t.Helper()
	var all []string
	for a, err := range d.History(t.Context(), "acme", "app", 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append([]string{a.State + " by " + a.By}, all...)
	}
	return strings.Join(all, ", ")
}

// What a reload moves to another state stands in the history of each destination, by
// whoever reloaded.
func TestHistorySaysWhoChangedTheSettings(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "a", "")
	h.developer("globex", "b", "")
	d := h.start()
	h.write("developers/acme.yaml", "developer: acme\ndestinations:\n  - { name: app, kind: post, enabled: false, settings: { to: a } }\n")
	if _, err := d.Client.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.write("developers/acme.yaml", "developer: acme\ndestinations: []\n")
	if _, err := d.ReloadForSignal(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.developer("acme", "a", "")
	if _, err := d.App.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := d.history(t), "disabled by local, removed by signal, active by daemon"; got != want {
		t.Errorf("history %q, want %q", got, want)
	}
	// A file that becomes faulty removes nothing: the last good settings go on.
	h.write("developers/acme.yaml", "developer: [\n")
	if _, err := d.ReloadForSignal(t.Context()); err == nil {
		t.Fatal("a faulty file was taken")
	}
	if got := d.history(t); strings.Count(got, "removed") != 1 {
		t.Errorf("history %q", got)
	}
	var signals []client.Act
	for a, err := range d.Changes(t.Context(), client.ChangeFilter{By: "signal", Call: "reload"}) {
		if err != nil {
			t.Fatal(err)
		}
		if a.Object == "" {
			signals = append(signals, a)
		}
	}
	if len(signals) != 2 || signals[0].Result != "developers_refused" || signals[1].Result != "ok" || !strings.Contains(signals[0].Reason, "acme") {
		t.Errorf("acts of the signal: %+v", signals)
	}
	for a, err := range d.Changes(t.Context(), client.ChangeFilter{Developer: "globex"}) {
		t.Errorf("globex, who was not touched: %+v, %v", a, err)
	}
}

// What a restart moves stands there, too, and nothing else; a state is the one it has.
func TestHistorySaysWhatAStartChanged(t *testing.T) {
	const app = "developer: acme\ndestinations:\n  - { name: app, kind: post, enabled: %v, settings: { to: %s } }\n"
	h := newHome(t)
	h.developer("acme", "a", "")
	d := h.start()
	again := func(text string) {
		t.Helper()
		if err := d.stop(); err != nil {
			t.Fatal(err)
		}
		h.write("developers/acme.yaml", text)
		d = h.start()
	}
	if got := d.history(t); got != "" {
		t.Errorf("after the first start: %q", got)
	}
	again(fmt.Sprintf(app, false, "a"))
	again(fmt.Sprintf(app, false, "b")) // moves nothing
	again("developer: acme\ndestinations: []\n")
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	h.developer("acme", "a", "")
	d = h.start()
	if err := d.Pause(t.Context(), "acme", "app", "why"); err != nil {
		t.Fatal(err)
	}
	again(fmt.Sprintf(app, false, "a"))
	h.developer("acme", "a", "")
	if _, err := d.App.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(h.dir, "developers", "acme.yaml")); err != nil {
		t.Fatal(err)
	}
	h.developer("globex", "b", "")
	d = h.start()
	got := d.history(t)
	want := "disabled by daemon, removed by daemon, active by daemon, paused by local, disabled by daemon, paused by daemon, removed by daemon"
	if got != want {
		t.Errorf("history %q, want %q", got, want)
	}
}

// A document that is put stands there as what it is, over the link that it came over.
func TestHistorySaysByWhichCall(t *testing.T) {
	h := storing(t, "tokens: [{ name: crm, value: crm-crm-crm-crm-crm, may: [configure, read, operate, link] }]\n")
	d := h.start()
	as := func(token string) *daemon {
		t.Helper()
		c, err := client.New(d.URL(), token, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &daemon{App: d.App, Client: c}
	}
	crm := as("crm-crm-crm-crm-crm")
	put(t, crm, "acme", doc("acme", "a", ""), client.ChangeOptions{})
	l, err := crm.MakePortalLink(t.Context(), client.PortalLinkRequest{Developer: "acme", May: []string{"configure"}})
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(l.URL, "#link=")
	s, err := as("").BeginSession(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	put(t, as(s.Bearer), "acme", []byte("developer: acme\ndestinations: [{ name: app, kind: post, enabled: false, settings: { to: a } }]\n"), client.ChangeOptions{})
	if _, err := crm.Client.RemoveDeveloper(t.Context(), "acme", "keep", client.ChangeOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for a, err := range crm.History(t.Context(), "acme", "app", 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append([]string{a.Call + " " + a.State + " " + strings.ReplaceAll(a.Via, l.ID, "over the link")}, got...)
	}
	if want := []string{"putDeveloper active ", "putDeveloper disabled over the link", "deleteDeveloper removed "}; !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
}

// What the engine decides by itself stands in the history, too; what a person does, once.
func TestHistorySaysWhatTheEngineDecided(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "a", "")
	d := h.start()
	key := store.DestinationKey{Developer: "acme", Name: "app", Kind: "post"}
	for _, n := range []delivery.Notice{
		{Name: delivery.DestinationFailing, Reason: "answered 500"}, {Name: delivery.DestinationHeld, Reason: "answered 401"},
		{Name: delivery.DestinationResumed, Reason: delivery.ByHand}, {Name: delivery.DestinationResumed, Reason: "a probe succeeded"}, {Name: delivery.DeliveryDead, Reason: "expired"},
	} {
		n.Destination = key
		d.tell(n)
	}
	until(t, "what was told is written", func() bool { return strings.Count(d.history(t), ",") == 2 })
	if got, want := d.history(t), "failing by daemon, held by daemon, active by daemon"; got != want {
		t.Errorf("history %q, want %q", got, want)
	}
}

// The trail outlives the process, and what was counted is written at a stop.
func TestTheTrailOutlivesTheProcess(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "a", "")
	d := h.start()
	id := d.send(t, "acme").ID
	for range 5 {
		if _, err := d.EventBody(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	reads := 0
	for a, err := range d.Changes(context.Background(), client.ChangeFilter{Call: "getEventBody"}) {
		if err != nil {
			t.Fatal(err)
		}
		reads += a.Count
		if a.Object != id || a.By != "local" {
			t.Errorf("act %s", fmt.Sprintf("%+v", a))
		}
	}
	if reads != 5 {
		t.Errorf("%d reads are kept of 5", reads)
	}
}
