package api

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
)

func TestExplainSaysWhoWouldGetAnEvent(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "read"), token("crm", "read", "initech")}})
	got := r.do("POST", "/v1/explain", sleep, bearer("all"), "dev-id: acme", "terra-reference: order-17")
	var v explainedView
	if got.into(t, &v); got.status != 200 || v.Type != "sleep" || len(v.Destinations) != 2 || v.Destinations[0].Decision != "sends" || v.Destinations[0].Request.Body != sleep {
		t.Errorf("%s: %+v", got, v)
	}
	if r.shown.seen.Reference != "order-17" || r.stored() != 0 {
		t.Errorf("explained %+v, %d events are stored", r.shown.seen, r.stored())
	}
	_ = r.sched.set(r.sched.all[0].ID, func(d *delivery.Status) { d.State, d.Reason = "paused", "lunch" })
	got = r.do("POST", "/v1/explain", sleep, bearer("all"), "dev-id: acme")
	if got.into(t, &v); v.Destinations[0].Decision != "waits" || v.Destinations[0].Reason != "paused: lunch" || v.Destinations[1].Decision != "filtered" {
		t.Errorf("one that is paused: %+v", v)
	}
	for _, c := range []struct {
		by, developer, body string
		status              int
	}{
		{"all", "acme", "", 400}, {"all", "acme", "[]", 400}, {"all", "nobody", sleep, 404}, {"crm", "acme", sleep, 403}, {"all", "acme", `{"no":"type"}`, 400},
		{"all", "acme", `{"type":"` + strings.Repeat("x", 2<<20) + `"}`, 413},
	} {
		if got := r.do("POST", "/v1/explain", c.body, bearer(c.by), "dev-id: "+c.developer); got.status != c.status {
			t.Errorf("%s, %s, %.20s: %s, want %d", c.by, c.developer, c.body, got, c.status)
		}
	}
	if got := r.do("POST", "/v1/explain", sleep, bearer("all"), "dev-id: acme", "Content-Encoding: gzip"); got.status != 415 {
		t.Errorf("compressed: %s", got)
	}
	for range cap(r.api.explaining) {
		r.api.explaining <- struct{}{}
	}
	if got := r.do("POST", "/v1/explain", sleep, bearer("all"), "dev-id: acme"); got.status != 429 || got.code() != "busy_explaining" {
		t.Errorf("too many at once: %s", got)
	}
}

func TestEventTypesAreTheCatalogueAndWhatCanBeMadeUp(t *testing.T) {
	r := newRig(t, setup{})
	var p page[typeView]
	r.do("GET", "/v1/event-types", "").into(t, &p)
	byName := map[string]typeView{}
	for _, v := range p.Items {
		byName[v.Type] = v
	}
	if v := byName["activity"]; !v.Generated || v.Data == nil || v.Data.Member != "data" || !slices.Equal(v.Data.Identity, []string{"metadata.summary_id"}) {
		t.Errorf("activity %+v", v)
	}
	if v := byName["healthcheck"]; v.Data != nil {
		t.Errorf("healthcheck %+v", v)
	}
	if v := byName["user_reauth"]; !v.Generated || v.Data != nil || len(p.Items) < 20 {
		t.Errorf("user_reauth %+v of %d", v, len(p.Items))
	}
}

func TestSettingsAreShown(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate"), token("crm", "read", "initech")}})
	if got := r.do("GET", "/v1/settings", "", bearer("all")); got.status != 200 || !strings.Contains(string(got.body), `"brand":"terra"`) {
		t.Errorf("of the daemon: %s", got)
	}
	if got := r.do("GET", "/v1/settings", "", bearer("crm")); got.status != 403 {
		t.Errorf("of the daemon, for a tenant: %s", got)
	}
	if got := r.do("GET", "/v1/destinations/acme/app/settings", "", bearer("crm")); got.status != 404 {
		t.Errorf("another's: %s", got)
	}
	// Two deliveries are frozen to older settings, one to others that cannot be shown.
	dest := r.sched.all[0].ID
	for i := range 3 {
		id := r.post(`{"type":"x"}`, bearer("all"))
		items, _, err := r.store.Due(t.Context(), store.QueueID{Dest: dest}, store.Position{}, 1<<62, 10)
		if err != nil || len(items) != 1 {
			t.Fatal(id, items, err)
		}
		hash := uint64(0xa1)
		if i == 2 {
			hash = 0xb2
		}
		_, err = r.store.Settle(t.Context(), time.Now(), []store.Outcome{{Item: items[0], State: store.Pending, Due: time.Now().Add(time.Hour).UnixNano(), Settings: hash, Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.shown.frozen = map[uint64]error{0xb2: errors.New("sealed under a key that is gone")}
	var v struct {
		Settings map[string]any
		Frozen   []frozenView
	}
	got := r.do("GET", "/v1/destinations/acme/app/settings", "", bearer("all"))
	got.into(t, &v)
	if v.Settings["name"] != "app" || len(v.Frozen) != 2 || v.Frozen[0].ID != "a1" || v.Frozen[0].Pending != 2 || v.Frozen[0].Settings == nil ||
		v.Frozen[1].Pending != 1 || v.Frozen[1].Problem == "" || strings.Contains(string(got.body), "sealed under") {
		t.Errorf("%s", got)
	}
}
