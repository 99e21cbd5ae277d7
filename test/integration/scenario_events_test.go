package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// sent is an event of a scenario.
type sent struct {
	name      string
	body      []byte
	ordering  time.Time // whole milliseconds
	reference string
	id        string // once it is accepted
}

// hostile is a user whose name no key may have as it is; hostileInKey and hostileInHeader are how it
// is written there.
const (
	hostile         = "../../x/ü%"
	hostileInKey    = "%2E%2E%2F%2E%2E%2Fx%2Fü%25"
	hostileInHeader = "../../x/%C3%BC%25"
)

// scenarioEvents returns every sample, and bodies that are easily handled wrong: several that would
// share one key, bodies without item, user or start, and bytes that re-encoding would change. Names
// that begin alike share a second.
func scenarioEvents(t *testing.T) []*sent {
	t.Helper()
	item := func(summary, start string) string {
		return fmt.Sprintf(`{"metadata":{"summary_id":%q,"start_time":%q},"n":1.50}`, summary, start)
	}
	data := func(kind, user string, items ...string) string {
		return fmt.Sprintf(`{"type":%q,"version":"2022-03-16","user":%s,"data":[%s]}`, kind, user, strings.Join(items, ", "))
	}
	u := func(id string) string { return fmt.Sprintf(`{"user_id":%q,"reference_id":"ref of %s"}`, id, id) }
	bodies := [][2]string{
		{"multisport parent", data("activity", u("u1"), item("parent", "2026-03-12T06:00:00Z"))},
		{"multisport leg", data("activity", u("u1"), item("leg", "2026-03-12T07:00:00.900000+01:00"))},
		{"day at home", data("daily", u("u1"), item("", "2026-07-01T01:00:00+02:00"))},
		{"day abroad", data("daily", u("u1"), item("", "2026-06-30T23:00:00+00:00"))},
		{"day again", data("daily", u("u1"), item("again", "2026-07-01T01:00:00+02:00"))},
		{"items of one second", data("sleep", u("u2"), item("a", "2026-07-01T00:00:00Z"), item("b", "2026-07-01T00:00:00Z"), item("c", "2026-07-02T00:00:00Z"))},
		{"many items", data("sleep", u("u3"), manyItems(25)...)},
		{"items that are none", data("daily", u("u4"), `1`, `"two"`, `null`)},
		{"no items", data("sleep", u("u4"))},
		{"user null", data("sleep", "null", item("of nobody", "2026-07-03T00:00:00Z"))},
		{"user of nulls", data("sleep", `{"user_id":null,"reference_id":null}`, item("of nulls", "2026-07-04T00:00:00Z"))},
		{"hostile user", data("sleep", u(hostile), item("s", "2026-07-05T00:00:00Z"))},
		{"no start", data("activity", u("u5"), item("without", "the day before yesterday"))},
		{"lab one", `{"type":"lab_report.completed","event_id":"one","occurred_at":"2026-07-01T09:12:33Z","data":{"n":1}}`},
		{"lab two", `{"type":"lab_report.failed","event_id":"two","occurred_at":"2026-07-01T09:12:33Z","data":{"n":2}}`},
		{"lab three", `{"type":"lab_report.completed","event_id":"three","occurred_at":"2026-07-01T09:12:33Z","data":{"n":3}}`},
		{"second one", `{"type":"auth","status":"success","user":` + u("u6") + `}`},
		{"second two", `{"type":"auth","status":"success","user":` + u("u6") + `,"again":true}`},
		{"reauth", `{"type":"user_reauth","old_user":` + u("u7") + `,"new_user":` + u("u8") + `}`},
		{"bytes", "\r\n{\"z\":1,  \"type\" : \"some.thing\" ,\t\"s\":\"\\u00e9\\/\\u0000é\",\"n\":123456789012345678901234567890E+400,\"n\":-0.0}\n\n"},
		{"large", `{"type":"something","s":"` + strings.Repeat("0123456789abcdef", 1<<16+1<<10) + `"}`},
	}
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, [2]string{name, string(body)})
	}
	base := time.Now().Add(-time.Hour).Truncate(time.Second)
	var all []*sent
	for i, b := range bodies {
		e := &sent{name: b[0], body: []byte(b[1]), ordering: base.Add(time.Duration(i) * (time.Second + time.Millisecond)), reference: fmt.Sprintf("reference-%d", i)}
		if e.name == "second two" {
			e.ordering = all[i-1].ordering.Truncate(time.Second).Add(time.Second - time.Millisecond)
		}
		all = append(all, e)
	}
	return all
}

func manyItems(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("{ \"metadata\":{\"start_time\":\"2026-05-%02dT22:00:00.000000-02:00\" ,\"summary_id\":\"%d\"}}\n", 1+i, i))
	}
	return all
}

// accept hands events in.
func (d *daemon) accept(t *testing.T, events []*sent) {
	t.Helper()
	for _, e := range events {
		a, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: e.body, Reference: e.reference, Ordering: e.ordering})
		if err != nil {
			t.Fatalf("send %s: %v", e.name, err)
		}
		e.id = a.ID
	}
}

// envelope is what consumers and keys need of a body. It is read with encoding/json, as a second
// opinion on the engine's own reader.
type envelope struct {
	Type     string
	Version  *string
	User     *person
	Old      *person `json:"old_user"`
	New      *person `json:"new_user"`
	Data     json.RawMessage
	EventID  string `json:"event_id"`
	Created  string `json:"creation_timestamp"`
	Occurred string `json:"occurred_at"`
}

type person struct {
	ID        string `json:"user_id"`
	Reference string `json:"reference_id"`
}

func (e *sent) read(t *testing.T) envelope {
	t.Helper()
	var v envelope
	if err := json.Unmarshal(e.body, &v); err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	return v
}

// person is who the event is about; the zero person if it is nobody.
func (v envelope) person() person {
	for _, p := range []*person{v.User, v.New, v.Old} {
		if p != nil && p.ID != "" {
			return *p
		}
	}
	return person{}
}

// items returns the bodies that the contract makes of the event, and the item
// in each; nil where it is not one item.
func (e *sent) items(t *testing.T, v envelope) (bodies [][]byte, items []json.RawMessage) {
	t.Helper()
	whole := [][]byte{e.body}
	var all []json.RawMessage
	if err := json.Unmarshal(v.Data, &all); err != nil { // an object, or nothing
		return whole, []json.RawMessage{v.Data}
	}
	for _, item := range all {
		if item[0] != '{' {
			return whole, []json.RawMessage{nil}
		}
	}
	switch len(all) {
	case 0:
		return whole, []json.RawMessage{nil}
	case 1:
		return whole, all
	}
	head, tail := bytes.Index(e.body, all[0]), bytes.LastIndex(e.body, all[len(all)-1])+len(all[len(all)-1])
	for _, item := range all {
		bodies = append(bodies, bytes.Join([][]byte{e.body[:head], item, e.body[tail:]}, nil))
	}
	return bodies, all
}
