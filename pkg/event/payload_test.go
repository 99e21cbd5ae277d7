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

func split(t testing.TB, e *event.Event) []event.Payload {
	t.Helper()
	return slices.Collect(event.DefaultCatalogue().Payloads(e))
}

func TestItemsAreSlicedOutByteForByte(t *testing.T) {
	const (
		head = " {\"type\":\"daily\",\n \"big\" : 123456789012345678901234567890.10e+400, \"\\u0061\":\"\\ud800\\/\", \"a\":1,\"a\":2 ,\"data\" : [\n\t"
		tail = " \r\n],\"behind\":[{\"data\":[1,2]}],\"user\":{\"user_id\":\"u\",\"data\":[{},{}]}} \n"
	)
	items := []string{
		`{"metadata":{"start_time":"2026-07-01T00:00:00+01:00"},"z":1.0,"a":1.10,"z":2}`,
		`{ "metadata" : { "start_time" : "2026-07-02\u002000:00:00" } , "deep":[[{"data":[]}]], "é":"€\u20ac" }`,
		`{}`,
	}
	e := made(t, head+items[0]+"  ,  "+items[1]+","+items[2]+tail)
	all := split(t, e)
	if len(all) != len(items) {
		t.Fatalf("%d payloads", len(all))
	}
	identities := []string{"2026-07-01", "2026-07-02", e.ID.String() + "-2"}
	for i, p := range all {
		if want := head + items[i] + tail; string(p.Body) != want {
			t.Errorf("payload %d is\n%s, want\n%s", i, p.Body, want)
		}
		if id := e.ID.String() + "-" + string(rune('0'+i)); p.ID != id || p.Index != i || p.Identity != identities[i] {
			t.Errorf("payload %d is %q, index %d, identity %q", i, p.ID, p.Index, p.Identity)
		}
	}
}

func TestAnEventThatIsNotSplitKeepsItsExactBody(t *testing.T) {
	for name, body := range map[string]string{
		"not data":                      `{"type":"auth","data":[{},{}]}`,
		"a type unknown":                `{"type":"x","data":[{},{}]}`,
		"one item":                      `{"type":"daily","data":[ {} ]}`,
		"none":                          `{"type":"daily","data":[ ]}`,
		"no data":                       `{"type":"daily"}`,
		"data is null":                  `{"type":"daily","data":null}`,
		"data is a text":                `{"type":"daily","data":"[{},{}]"}`,
		"data is a number":              `{"type":"daily","data":7}`,
		"data is an object":             `{"type":"daily","data":{"a":[{},{}]}}`,
		"items are texts":               `{"type":"daily","data":["a","b"]}`,
		"one of the items is no object": `{"type":"daily","data":[{},null,{}]}`,
		"items are arrays":              `{"type":"daily","data":[[{}],[{}]]}`,
		"data lies deeper":              `{"type":"daily","a":{"data":[{},{}]}}`,
		"athlete is an array":           `{"type":"athlete","data":[{},{}]}`,
	} {
		e := made(t, body)
		all := split(t, e)
		if len(all) != 1 || all[0].ID != e.ID.String() || string(all[0].Body) != body {
			t.Errorf("%s: %d payloads, the first %q", name, len(all), all[0].Body)
		}
	}
}

// Nobody parses what is delivered again: a body that the store gives back
// broken, or not at all after an erasure, is one payload and no panic.
func TestABrokenBodyIsOnePayload(t *testing.T) {
	c := event.DefaultCatalogue()
	e := made(t, `{"type":"daily","user":{"user_id":"u"},"data":[{"metadata":{}},{"a":[1,"é"]}],"creation_timestamp":"2026-07-01"}`)
	whole := e.Body
	for n := range whole {
		e.Body = whole[:n]
		all := split(t, e)
		if len(all) != 1 || len(all[0].Body) != n || all[0].Identity != e.ID.String()+"-0" {
			t.Errorf("the first %d bytes are %d payloads: %+v", n, len(all), all)
		}
		if _, ok := c.Item(e, all[0]); ok || e.Users() != (event.Users{}) || !e.Generated().Equal(e.Ordering) {
			t.Errorf("something was read of the first %d bytes", n)
		}
	}
}

func TestABodyThatParseRefusesIsOnePayload(t *testing.T) {
	e := made(t, `{"type":"daily","data":[{},{}]}`)
	nested := func(n int) string {
		return `{"type":"daily","data":[{},{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}]}`
	}
	const fits = event.MaxDepth - 3 // body, array, item
	for body, n := range map[string]int{nested(fits): 2, nested(fits + 1): 1, nested(1_000_000): 1, string(e.Body) + "x": 1, `[{},{}]`: 1} {
		e.Body = []byte(body)
		if all := split(t, e); len(all) != n || n == 1 && all[0].ID != e.ID.String() {
			t.Errorf("%.60s: %d payloads, want %d", body, len(all), n)
		}
	}
}

func TestPayloadsStopWhenAskedAndCanBeRangedAgain(t *testing.T) {
	seq := event.DefaultCatalogue().Payloads(made(t, `{"type":"daily","data":[{},{},{}]}`))
	for range 2 {
		n := 0
		for range seq {
			if n++; n == 2 {
				break
			}
		}
		if n != 2 {
			t.Fatalf("%d payloads", n)
		}
	}
}

// The bodies of all payloads together would be 80 GB: only one may be alive.
func TestMemoryHoldsOneBodyAtATime(t *testing.T) {
	const envelope, n = 1 << 20, 80_000
	e := made(t, `{"type":"daily","pad":"`+strings.Repeat("x", envelope)+`","data":[{}`+strings.Repeat(",{}", n-1)+`]}`)
	c := event.DefaultCatalogue()
	seen := 0
	for p := range c.Payloads(e) {
		if len(p.Body) < envelope || len(p.Body) > envelope+100 {
			t.Fatalf("a body of %d bytes", len(p.Body))
		}
		if seen++; seen == 20 {
			break
		}
	}
	allocated := testing.AllocsPerRun(1, func() {
		for range c.Payloads(e) {
			break
		}
	})
	if allocated > 10 {
		t.Errorf("%v allocations for one payload of %d", allocated, n)
	}
}

// Quadratic work would take minutes here.
func TestManyItemsTakeLinearTime(t *testing.T) {
	const n = 100_000
	e := made(t, `{"type":"daily","user":{"user_id":"u"},"data":[{}`+strings.Repeat(",{}", n-1)+`]}`)
	c := event.DefaultCatalogue()
	seen := 0
	for p := range c.Payloads(e) {
		item, ok := c.Item(e, p)
		if want := `{"user":{"user_id":"u"}}`; p.Index != seen || !ok || string(item) != want {
			t.Fatalf("item %d: %s", p.Index, item)
		}
		seen++
	}
	if seen != n {
		t.Errorf("%d payloads", seen)
	}
}
