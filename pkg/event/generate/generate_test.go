package generate

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

var at = time.Date(2027, 3, 4, 5, 6, 7, 0, time.UTC)

func newGenerator(t *testing.T, seed uint64) *Generator {
	t.Helper()
	g, err := New(seed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestEveryTypeOfTheContractCanBeMade(t *testing.T) {
	g := newGenerator(t, 1)
	catalogue := event.DefaultCatalogue()
	known := strings.Fields(`activity sleep body daily nutrition menstruation hormone planned_workout athlete health_observation
		lab_report.completed lab_report.failed auth auth_cancelled deauth user_reauth access_revoked connection_error permission_change
		google_no_datasource large_request_processing large_request_sending rate_limit_hit processing healthcheck`)
	for _, typ := range known {
		body, err := g.Event(Request{Type: typ, Provider: "OURA", User: "user-1", At: at})
		if err != nil {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		env, err := event.Parse(body)
		if err != nil {
			t.Errorf("%s: %v: %s", typ, err, body)
			continue
		}
		hasUser := typ != "healthcheck" && typ != "auth_cancelled" && !strings.HasPrefix(typ, "lab_report")
		if env.Type != typ || hasUser && env.UserID != "user-1" {
			t.Errorf("%s: type %q, user %q", typ, env.Type, env.UserID)
		}
		if hasUser && !bytes.Contains(body, []byte(`"provider":"OURA"`)) {
			t.Errorf("%s: not of the provider: %s", typ, body)
		}
		for p := range catalogue.Payloads(&event.Event{ID: event.NewID(at, 0, 0), Envelope: env, Body: body}) {
			if dated := typ != "athlete" && !strings.HasPrefix(typ, "lab_report"); catalogue.IsData(typ) && dated && p.Start == "" {
				t.Errorf("%s: the catalogue finds no start: %s", typ, body)
			}
		}
	}
	if len(g.Types()) != len(known) {
		t.Errorf("it makes %v, and the test knows %v", g.Types(), known)
	}
}

func TestEventsAreFreshRecentAndVaried(t *testing.T) {
	g := newGenerator(t, 1)
	seen := map[string]bool{}
	for range 200 {
		body, err := g.Event(Request{Type: "activity", At: at})
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			User struct {
				ID string `json:"user_id"`
			}
			Data []struct {
				Metadata struct {
					ID    string    `json:"summary_id"`
					Start time.Time `json:"start_time"`
					End   time.Time `json:"end_time"`
				}
				HR struct {
					Summary struct {
						Avg float64 `json:"avg_hr_bpm"`
						Max float64 `json:"max_hr_bpm"`
					}
				} `json:"heart_rate_data"`
			}
		}
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatal(err)
		}
		m, hr := e.Data[0].Metadata, e.Data[0].HR.Summary
		for _, fresh := range []string{e.User.ID, m.ID} {
			if seen[fresh] || len(fresh) != 36 {
				t.Fatalf("%q is not a fresh id", fresh)
			}
			seen[fresh] = true
		}
		if m.End.After(at) || at.Sub(m.Start) > 24*time.Hour || m.End.Sub(m.Start) != 48*time.Minute+37*time.Second {
			t.Fatalf("from %s to %s", m.Start, m.End)
		}
		if hr.Avg > hr.Max || hr.Avg < 100 {
			t.Fatalf("average %v, maximum %v", hr.Avg, hr.Max)
		}
		seen[string(body)] = true
	}
}

// Days begin at midnight where they are, whenever the event is made.
func TestDaysStayDays(t *testing.T) {
	g := newGenerator(t, 3)
	for h := range 48 {
		now := at.Add(time.Duration(h) * time.Hour)
		body, err := g.Event(Request{Type: "daily", At: now})
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Data []struct {
				Metadata struct {
					Start string    `json:"start_time"`
					End   time.Time `json:"end_time"`
				}
			}
		}
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatal(err)
		}
		if m := e.Data[0].Metadata; !strings.HasSuffix(m.Start, "T00:00:00.000000+01:00") || m.End.After(now) || now.Sub(m.End) > 9*24*time.Hour {
			t.Fatalf("at %s: from %s to %s", now, m.Start, m.End)
		}
	}
}

func TestOneSeedMakesOneSequence(t *testing.T) {
	sequence := func(seed uint64) (all string) {
		g := newGenerator(t, seed)
		for _, typ := range g.Types() {
			body, err := g.Event(Request{Type: typ, At: at})
			if err != nil {
				t.Fatal(err)
			}
			all += string(body) + "\n"
		}
		return all
	}
	if first, again := sequence(7), sequence(7); first != again {
		t.Error("the same seed made other events")
	}
	if sequence(7) == sequence(8) {
		t.Error("another seed made the same events")
	}
}

func TestUnknownTypeNamesTheKnown(t *testing.T) {
	_, err := newGenerator(t, 1).Event(Request{Type: "slep"})
	unknown, ok := errors.AsType[*UnknownTypeError](err)
	if !ok || unknown.Type != "slep" || !strings.Contains(err.Error(), "sleep") {
		t.Errorf("%v", err)
	}
}
