package app

import "testing"

// An attempt that was in flight over a reload may still freeze its delivery to the
// settings that it began with.
func TestSettingsOfAnAttemptInFlightAreNotCollected(t *testing.T) {
	h := newHome(t)
	h.write("developers/acme.yaml", "developer: acme\ndestinations:\n  - { name: app, kind: post, retry: { settings: frozen }, settings: { to: old } }\n")
	began, end := make(chan struct{}), make(chan struct{})
	h.onSend = func() { close(began); <-end }
	d := h.start()
	old := hashes(d.current.Load())[0]
	d.send(t, "acme")
	<-began
	h.developer("acme", "new", "")
	if _, err := d.Client.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Settings(t.Context(), old); err != nil {
		t.Errorf("the settings of the attempt in flight: %v", err)
	}
	close(end)
	until(t, "nothing is in flight", func() bool { return len(d.scheduler.SettingsInFlight()) == 0 })
	if err := d.collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Settings(t.Context(), old); err == nil {
		t.Error("settings that nobody needs any more are still there")
	}
}
