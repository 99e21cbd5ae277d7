package event_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// made is the event of body, accepted at a known time.
func made(t testing.TB, body string) *event.Event {
	t.Helper()
	env, err := event.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 7, 1, 9, 12, 33, 500_000_000, time.UTC)
	return &event.Event{ID: event.NewID(at, 1, 2), Ordering: at, Envelope: env, Body: []byte(body)}
}

func sample(t testing.TB, name string) *event.Event {
	t.Helper()
	body, err := samples.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return made(t, string(body))
}

func TestEverySampleHasTheIdentityAndTimesOfItsType(t *testing.T) {
	const fallback = "{event}-0"
	type want struct{ identity, start, end string }
	wants := map[string]want{
		"athlete":              {"40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad", "", ""},
		"hormone":              {"2026-05-07T08:00:00+02:00", "2026-05-07T08:00:00+02:00", ""},
		"menstruation":         {"2026-07-01", "2026-07-01T00:00:00.000000+01:00", "2026-07-02T00:00:00.000000+01:00"},
		"health_observation":   {"7C3A5D9E-1F42-4B5A-9C1D-2E8F0A6B4C3D", "2022-10-28T10:00:00.000000+01:00", ""},
		"planned_workout":      {"2873645501", "2026-07-04", ""},
		"lab_report.completed": {"evt_4a2b8c1d-3f9e-4c0a-8b21-9d6e5f2a1c7b", "", ""},
		"daily_empty_data":     {fallback, "", ""},
		"daily_two_items":      {fallback, "", ""}, // whole; split, see below
	}
	c := event.DefaultCatalogue()
	for _, name := range samples.Names() {
		t.Run(name, func(t *testing.T) {
			e := sample(t, name)
			p := c.Whole(e)
			if w, ok := wants[name]; ok || !c.IsData(e.Type) {
				if !ok {
					w = want{fallback, "", ""}
				}
				w.identity = strings.Replace(w.identity, "{event}", e.ID.String(), 1)
				if got := (want{p.Identity, p.Start, p.End}); got != w {
					t.Errorf("%+v, want %+v", got, w)
				}
			} else if p.Start == "" || p.Identity == "" || strings.HasPrefix(p.Identity, e.ID.String()) {
				t.Errorf("%+v", p)
			}
			if p.ID != e.ID.String() || string(p.Body) != string(e.Body) || p.Index != 0 {
				t.Errorf("the whole event is %q, index %d, %d bytes of %d", p.ID, p.Index, len(p.Body), len(e.Body))
			}
			if all := slices.Collect(c.Payloads(e)); name != "daily_two_items" && (len(all) != 1 || all[0].ID != p.ID || all[0].Identity != p.Identity || &all[0].Body[0] != &e.Body[0]) {
				t.Errorf("%d payloads: %+v", len(all), all)
			}
		})
	}
}
