package event_test

import (
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestTheDefaultCatalogueKnowsTheDataTypes(t *testing.T) {
	c := event.DefaultCatalogue()
	for _, typ := range []string{"activity", "sleep", "health_observation", "body", "daily", "nutrition", "menstruation", "hormone", "planned_workout", "athlete", "lab_report.completed", "lab_report.failed"} {
		if !c.IsData(typ) {
			t.Errorf("%s is no data", typ)
		}
	}
	for _, typ := range []string{"", "auth", "deauth", "user_reauth", "large_request_sending", "healthcheck", "Daily", "lab_report"} {
		if c.IsData(typ) {
			t.Errorf("%s is data", typ)
		}
	}
}

func TestIdentitiesAndTimes(t *testing.T) {
	type want struct{ identity, start, end, summary string }
	const none = "{event}-0"
	for _, c := range []struct {
		name, typ, item string
		want            want
	}{
		{"activity", "activity", `{"metadata":{"summary_id":"s","start_time":"a","end_time":"b"}}`, want{"s", "a", "b", "s"}},
		{"without an id", "sleep", `{"metadata":{"start_time":"a"}}`, want{none, "a", "", ""}},
		{"with an empty id", "sleep", `{"metadata":{"summary_id":""}}`, want{none, "", "", ""}},
		{"with an id of null", "sleep", `{"metadata":{"summary_id":null,"start_time":null,"end_time":null}}`, want{none, "", "", ""}},
		{"with an id that is a number", "sleep", `{"metadata":{"summary_id":12345678901234567890.0}}`, want{"12345678901234567890.0", "", "", "12345678901234567890.0"}},
		{"with an id that is true", "sleep", `{"metadata":{"summary_id":true,"start_time":false,"end_time":{}}}`, want{none, "", "", ""}},
		{"with an escaped id", "sleep", `{"m\u0065tadata":{"summary\u005fid":"\u0073\n"}}`, want{"s\n", "", "", "s\n"}},
		{"metadata is no object", "sleep", `{"metadata":["summary_id"]}`, want{none, "", "", ""}},
		{"the id lies deeper", "sleep", `{"a":{"metadata":{"summary_id":"s"}},"metadata":{"a":{"summary_id":"s"}},"summary_id":"s"}`, want{none, "", "", ""}},

		{"the last id counts", "sleep", `{"metadata":{"summary_id":"a","summary_id":"b"}}`, want{"b", "", "", "b"}},
		{"also if it is none", "sleep", `{"metadata":{"summary_id":"a","summary_id":null}}`, want{none, "", "", ""}},
		{"the last metadata counts", "sleep", `{"metadata":{"summary_id":"a"},"metadata":{"start_time":"x"}}`, want{none, "x", "", ""}},
		{"also if it is none", "sleep", `{"metadata":{"summary_id":"a"},"metadata":7}`, want{none, "", "", ""}},

		{"a day", "daily", `{"metadata":{"start_time":"2026-07-01T00:00:00.000000+01:00"}}`, want{"2026-07-01", "2026-07-01T00:00:00.000000+01:00", "", ""}},
		{"the same instant, another day", "daily", `{"metadata":{"start_time":"2026-06-30T23:00:00Z"}}`, want{"2026-06-30", "2026-06-30T23:00:00Z", "", ""}},
		{"a day with a space", "body", `{"metadata":{"start_time":"2026-07-01 00:00:00"}}`, want{"2026-07-01", "2026-07-01 00:00:00", "", ""}},
		{"a date alone", "nutrition", `{"metadata":{"start_time":"2026-07-01"}}`, want{"2026-07-01", "2026-07-01", "", ""}},
		{"no time at all", "menstruation", `{"metadata":{"start_time":"Tomorrow at Ten"}}`, want{"Tomorrow at Ten", "Tomorrow at Ten", "", ""}},

		{"a workout", "planned_workout", `{"planned_workout_id":"p","details":{"metadata":{"id":"d"}},"planned_date":"2026-07-04"}`, want{"d", "2026-07-04", "", ""}},
		{"a workout without details", "planned_workout", `{"planned_workout_id":"p","details":null}`, want{"p", "", "", ""}},
		{"a workout without the first id", "planned_workout", `{"details":{"metadata":{"id":""}},"planned_workout_id":"p"}`, want{"p", "", "", ""}},
		{"a workout without any", "planned_workout", `{"planned_date":"2026-07-04"}`, want{none, "2026-07-04", "", ""}},
		{"a hormone", "hormone", `{"timestamp":"2026-05-07T08:00:00+02:00"}`, want{"2026-05-07T08:00:00+02:00", "2026-05-07T08:00:00+02:00", "", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			catalogue := event.DefaultCatalogue()
			e := made(t, `{"type":"`+c.typ+`","user":{"user_id":"u"},"data":[`+c.item+`]}`)
			check := func(p event.Payload, index string) {
				t.Helper()
				w := c.want
				w.identity = strings.Replace(w.identity, none, e.ID.String()+"-"+index, 1)
				if got := (want{p.Identity, p.Start, p.End, p.Summary}); got != w {
					t.Errorf("%+v, want %+v", got, w)
				}
			}
			check(catalogue.Whole(e), "0")
			e.Body = []byte(`{"type":"` + c.typ + `","data":[{},` + c.item + `]}`)
			for p := range catalogue.Payloads(e) {
				if p.Index == 1 {
					check(p, "1")
				}
			}
		})
	}
}

func TestIdentitiesOfTheEventAndTheUser(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"athlete", `{"type":"athlete","user":{"user_id":"u"},"athlete":{}}`, "u"},
		{"athlete without athlete", `{"type":"athlete","user":{"user_id":"u"}}`, "u"},
		{"athlete of nobody", `{"type":"athlete","athlete":{}}`, "{event}-0"},
		{"report", `{"type":"lab_report.completed","data":{"event_id":"d"},"event_id":"e"}`, "e"},
		{"report that failed", `{"type":"lab_report.failed","event_id":"e"}`, "e"},
		{"report without an id", `{"type":"lab_report.completed","data":{"event_id":"d"}}`, "{event}-0"},
		{"report whose id stands twice", `{"type":"lab_report.completed","event_id":"d","event_id":"e"}`, "e"},
		{"no data", `{"type":"auth","user":{"user_id":"u"},"event_id":"e"}`, "{event}-0"},
	} {
		e := made(t, c.body)
		want := strings.Replace(c.want, "{event}", e.ID.String(), 1)
		if p := event.DefaultCatalogue().Whole(e); p.Identity != want {
			t.Errorf("%s: %q, want %q", c.name, p.Identity, want)
		}
	}
}

func TestTypesCanBeAddedChangedAndTakenAway(t *testing.T) {
	c, err := event.NewCatalogue(map[string]event.DataType{
		"glucose": {Data: "readings", Start: []string{"at", "from.at"}, End: []string{"to.at"}, Identity: []string{"from.at"}},
		"panel":   {Data: "panel", Start: []string{"taken"}, Identity: []string{"panel.id", "id"}, EventIdentity: true},
		"daily":   {},
		"hormone": {Data: "data", Identity: []string{"id"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.IsData("daily") || !c.IsData("glucose") || !c.IsData("hormone") || !c.IsData("sleep") {
		t.Error("the types were not laid over the default ones")
	}
	e := made(t, `{"type":"glucose","data":[{}],"readings":[{"from":{"at":"a"},"to":{"at":"b"}},{"at":"c"}]}`)
	var got []string
	for p := range c.Payloads(e) {
		got = append(got, p.Start, p.End, strings.TrimPrefix(p.Identity, e.ID.String()))
	}
	if want := "a b a c  -1"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
	if p := c.Whole(made(t, `{"type":"panel","id":"other","panel":{"id":"p","taken":"t"}}`)); p.Identity != "p" || p.Start != "t" {
		t.Errorf("%+v", p)
	}
	if p := c.Whole(made(t, `{"type":"hormone","data":[{"id":"h","timestamp":"t"}]}`)); p.Identity != "h" || p.Start != "" {
		t.Errorf("%+v", p)
	}
	// One identity for several items would make them overwrite each other.
	e = made(t, `{"type":"panel","id":"p","panel":[{},{}]}`)
	for p := range c.Payloads(e) {
		if p.Identity != p.ID {
			t.Errorf("item %d has the identity %q", p.Index, p.Identity)
		}
	}
}

func TestNewCatalogueRefuses(t *testing.T) {
	for reason, d := range map[string]event.DataType{
		"data is missing":          {Start: []string{"a"}},
		"data is missing: name":    {DayIdentity: true},
		"event_identity without":   {Data: "data", EventIdentity: true},
		`"" has an empty name`:     {Data: "data", End: []string{""}},
		`"a..b" has an empty name`: {Data: "data", Identity: []string{"a..b"}},
		"has more than 16 names":   {Data: "data", Start: []string{"a" + strings.Repeat(".a", 16)}},
	} {
		if _, err := event.NewCatalogue(map[string]event.DataType{"x": d}); err == nil || !strings.HasPrefix(err.Error(), `data type "x": `) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%v, want %s", err, reason)
		}
	}
	if _, err := event.NewCatalogue(map[string]event.DataType{"x": {Data: "data", Start: []string{"a" + strings.Repeat(".a", 15)}}}); err != nil {
		t.Error(err)
	}
}
