package objectkey

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// accepted is when the events of these tests were.
var accepted = time.Date(2026, 7, 1, 9, 12, 33, 891_000_000, time.UTC)

func made(t testing.TB, body string) *event.Event {
	t.Helper()
	env, err := event.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return &event.Event{ID: event.NewID(accepted, 1, 2), Reference: "ref", Ordering: accepted, Envelope: env, Body: []byte(body)}
}

func objects(t testing.TB, s Settings, e *event.Event) (all []Object) {
	t.Helper()
	l, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	names := l.Of(e)
	for p := range event.DefaultCatalogue().Payloads(e) {
		all = append(all, names.Object(p))
	}
	return all
}

func first(t testing.TB, s Settings, e *event.Event) string { return objects(t, s, e)[0].Keys[0] }

// digits are the contract's suffix: of 2026-07-01 they are 771eace85b7d.
func digits(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return hex.EncodeToString(sum[:])[:12]
}

func TestSamplesLieWhereTheContractSays(t *testing.T) {
	const user = "40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad"
	id := event.NewID(accepted, 1, 2).String()
	want := map[string][]string{
		"daily_two_items": {
			"2022-03-16/daily/" + user + "-2026-06-30T23:00:00Z.json",
			"2022-03-16/daily/" + user + "-2026-07-01T23:00:00Z.json",
		},
		"daily_empty_data":     {"2022-03-16/daily/" + user + "-2026-07-01T09:12:33Z.json"},
		"hormone":              {"2022-03-16/hormone/" + user + "-2026-05-07T06:00:00Z.json"},
		"planned_workout":      {"2022-03-16/planned_workout/" + user + "-2026-07-04T00:00:00Z.json"},
		"athlete":              {"2022-03-16/athlete/" + user + "-2026-07-01T09:12:33Z.json"},
		"auth":                 {"auth/" + user + "-2026-07-01T09:12:33Z.json"},
		"permission_change":    {"2022-03-16/permission_change/" + user + "-2026-07-01T09:12:33Z.json"},
		"lab_report.completed": {"lab_report.completed/2026-07-01T09:12:33Z-" + digits("evt_4a2b8c1d-3f9e-4c0a-8b21-9d6e5f2a1c7b") + ".json"},
		"healthcheck":          {"2022-03-16/healthcheck/2025-07-04T21:37:36Z-" + digits(id+"-0") + ".json"},
		"auth_cancelled":       {"auth_cancelled/2026-07-01T09:12:33Z-" + digits(id+"-0") + ".json"},
	}
	for name, keys := range want {
		body, err := samples.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range objects(t, Defaults(), made(t, string(body))) {
			got = append(got, o.Keys[0])
		}
		if !slices.Equal(got, keys) {
			t.Errorf("%s: %q, want %q", name, got, keys)
		}
	}
}

func TestLayouts(t *testing.T) {
	const activity = `{"type":"activity","version":"v","user":{"user_id":"u","provider":"P","reference_id":"r/1"},
		"data":[{"metadata":{"summary_id":"s","start_time":"2026-07-01T01:02:03.999+01:00"}}]}`
	const bare = `{"type":"auth","user":{"user_id":"u"},"creation_timestamp":"2026-01-02 03:04:05.678+00:00"}`
	const unreadable = `{"type":"activity","user":{"user_id":"u"},"data":[{"metadata":{"start_time":"soon"}}],"occurred_at":"2026-01-02T03:04:05Z"}`
	id := event.NewID(accepted, 1, 2).String()
	for _, c := range []struct{ layout, version, body, want string }{
		{DefaultLayout, "", activity, "v/activity/u-2026-07-01T00:02:03Z.json"},
		{DefaultLayout, "other", activity, "v/activity/u-2026-07-01T00:02:03Z.json"},
		{DefaultLayout, "", bare, "auth/u-2026-01-02T03:04:05Z.json"},
		{DefaultLayout, "2022-03-16", bare, "2022-03-16/auth/u-2026-01-02T03:04:05Z.json"},
		{DefaultLayout, "../x", bare, "%2E%2E%2Fx/auth/u-2026-01-02T03:04:05Z.json"},
		{DefaultLayout, "", unreadable, "activity/u-2026-01-02T03:04:05Z.json"},
		{"{provider}/{reference_id}/{type}-{summary_id}", "", activity, "P/r%2F1/activity-s"},
		{"{provider}/{reference_id}/{type}-{summary_id}", "", bare, "auth-" + id},
		{"in/{provider}_{user_id}-{generated}-{id}.json.gz", "", activity, "in/P_u-2026-07-01T09:12:33Z-" + id + ".json.gz"},
		{"in/{provider}_{user_id}-{generated}-{id}.json.gz", "", bare, "in/u-2026-01-02T03:04:05Z-" + id + ".json.gz"},
		{"a-{provider}/{provider}{reference_id}/x{provider}-y/{id}", "", bare, "a-/xy/" + id},
	} {
		s := Settings{Layout: c.layout, DefaultVersion: c.version}
		if got := first(t, s, made(t, c.body)); got != c.want {
			t.Errorf("%s: %s, want %s", c.layout, got, c.want)
		}
	}
}

func TestSuffixesStandBeforeTheExtension(t *testing.T) {
	const short, long = 12, 64
	body := `{"type":"daily","user":{"user_id":"u"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"}}]}`
	for layout, want := range map[string]string{
		"{type}/{user_id}-{start}.json":    "daily/u-2026-07-01T00:00:00Z%s.json",
		"{type}/{user_id}-{start}.json.gz": "daily/u-2026-07-01T00:00:00Z%s.json.gz",
		"a.b/{start}":                      "a.b/2026-07-01T00:00:00Z%s",
		"{start}/.json":                    "2026-07-01T00:00:00Z/.json%s",
	} {
		o := objects(t, Settings{Layout: layout}, made(t, body))[0]
		if o.Keys[0] != fmt.Sprintf(want, "") || o.Keys[1] != fmt.Sprintf(want, "-"+digits("2026-07-01")) || len(o.Keys) != 3 || len(o.Keys[2]) != len(o.Keys[1])+long-short {
			t.Errorf("%s: %q", layout, o.Keys)
		}
	}
}

// Where the layout leaves out who it is about, equal identities meet: the last
// key must still be of one alone.
func TestTheLastKeyIsOfOneIdentityAlone(t *testing.T) {
	seen := map[string]string{}
	for _, typ := range []string{"daily", "body"} {
		for _, user := range []string{`"u"`, `"v"`, `"u v"`, "null"} {
			e := made(t, `{"type":"`+typ+`","user":{"user_id":`+user+`},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"}}]}`)
			keys := objects(t, Settings{Layout: "{start}"}, e)[0].Keys
			last := keys[len(keys)-1]
			if other, taken := seen[last]; taken {
				t.Errorf("%s of %s has the key of %s", typ, user, other)
			}
			seen[last] = typ + " of " + user
		}
	}
}

func TestSettingsAreRefusedWithAReason(t *testing.T) {
	for layout, reason := range map[string]string{
		"":                                       "is empty",
		"{type}/{user_id}.json":                  "one of {start}",
		"/{id}":                                  "without a name",
		"{id}/":                                  "without a name",
		"a//{id}":                                "without a name",
		"./{id}":                                 "could become ., ",
		"a/../{id}":                              "could become .., ",
		".{provider}./{id}":                      "could become .., ",
		"{id}/{user_id}.":                        "could become ., ",
		"{day}/{id}":                             "{day} is no variable: use {version}",
		"{}/{id}":                                "{} is no variable",
		"{literal}{id}":                          "{literal} is no variable",
		"{id":                                    "{ without }",
		"id}":                                    "} without {",
		"{id}}":                                  "} without {",
		"{ id }":                                 "is no variable",
		"a\n{id}":                                "control characters",
		"a\xff{id}":                              "control characters",
		`a\{id}`:                                 "control characters",
		".well-known/acme-challenge/{id}":        "GCS",
		strings.Repeat("a", 1024-32) + "{id}":    "over the limit of 1024",
		strings.Repeat("{user_id}/", 8) + "{id}": "over the limit of 1024",
	} {
		err := Settings{Layout: layout}.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "layout: ") || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v, want %s", layout, err, reason)
		}
	}
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
}

func TestNamesServeSeveralGoroutines(t *testing.T) {
	e := made(t, `{"type":"daily","user":{"user_id":"u","provider":"P"},"data":[{},{},{},{},{},{},{},{}],"occurred_at":"2026-01-02"}`)
	l, err := Settings{Layout: "{provider}/{start}-{id}"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	names := l.Of(e)
	var all sync.WaitGroup
	for p := range event.DefaultCatalogue().Payloads(e) {
		all.Go(func() {
			if got, want := names.Object(p).Keys[0], "P/2026-01-02T00:00:00Z-"+p.ID; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	all.Wait()
}

func BenchmarkObject(b *testing.B) {
	e := made(b, `{"type":"daily","version":"2022-03-16","user":{"user_id":"40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00.000000+01:00"},"a":"`+strings.Repeat("x", 2<<10)+`"}]}`)
	l, err := Defaults().Compile()
	if err != nil {
		b.Fatal(err)
	}
	p := event.DefaultCatalogue().Whole(e)
	b.ReportAllocs()
	for b.Loop() {
		if o := l.Of(e).Object(p); len(o.Keys) != 3 {
			b.Fatal(o.Keys)
		}
	}
}

func TestTheLongestKeyIsKnownBeforehand(t *testing.T) {
	e := made(t, `{"type":"x","user":{"user_id":"`+strings.Repeat("u", 999)+`"}}`)
	s := Settings{Layout: strings.Repeat("a", MaxKey-len("-")-64-len(second)-maxValue) + "{user_id}{start}"}
	if got := objects(t, s, e)[0].Keys[2]; len(got) != MaxKey {
		t.Errorf("%d bytes", len(got))
	}
	s.Layout = "a" + s.Layout
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "1025 bytes") {
		t.Errorf("%v", err)
	}
}
