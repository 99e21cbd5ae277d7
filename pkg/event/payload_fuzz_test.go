package event_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// FuzzPayloads compares splitting with encoding/json: each payload reads as the
// event with that one item, the bytes outside of the data are the event's, and
// what is read of an item is what encoding/json reads.
func FuzzPayloads(f *testing.F) {
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range []string{
		`{"type":"daily","data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"}},{"metadata":{"start_time":"x"},"metadata":[]}],"user":{"user_id":"u"}}`,
		`{"type":"sleep" , "d\u0061ta" : [ {"a":1,"a":1e999,"user":0} , {} ] , "user":{"user_id":"\ud800"}}`,
		`{"type":"planned_workout","data":[{},{"details":{"metadata":{"id":"a","id":""}},"planned_workout_id":"p"},{}]}`,
		`{"type":"athlete","athlete":{},"athlete":[{},{}]}`, `{"type":"hormone","data":[{},[{}]]}`, `{"type":"x","data":[{},{}]}`,
	} {
		f.Add([]byte(body))
	}
	c := event.DefaultCatalogue()
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := event.Parse(body)
		if err != nil {
			return
		}
		before := bytes.Clone(body)
		e := &event.Event{Envelope: env, Body: body}
		var whole map[string]any
		read(t, body, &whole)
		member := "data"
		if env.Type == "athlete" {
			member = "athlete"
		}
		items := elements(whole[member])
		n := 0
		for p := range c.Payloads(e) {
			if p.Index != n || p.Identity == "" {
				t.Fatalf("payload %d: %+v", n, p)
			}
			n++
			if !c.IsData(env.Type) || len(items) < 2 {
				if !bytes.Equal(p.Body, body) {
					t.Fatalf("the whole event became %s", p.Body)
				}
				continue
			}
			var got map[string]any
			read(t, p.Body, &got)
			whole[member] = []any{items[p.Index]}
			if !reflect.DeepEqual(got, whole) {
				t.Fatalf("payload %d reads as %v, want %v", p.Index, got, whole)
			}
			sliced(t, body, p, member)
			described(t, p, items[p.Index], env.Type)
			joined(t, c, e, p, items[p.Index], whole["user"])
		}
		if want := max(len(items), 1); c.IsData(env.Type) && n != want || !c.IsData(env.Type) && n != 1 {
			t.Fatalf("%d payloads", n)
		}
		e.Generated()
		if got, want := e.Users().Subject().ID, env.UserID; got != want {
			t.Fatalf("the subject is %q, want %q", got, want)
		}
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
	})
}

// read decodes with numbers as they are written.
func read(t *testing.T, body []byte, into any) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

// elements returns the items of an array of objects only.
func elements(data any) (items []map[string]any) {
	list, _ := data.([]any)
	for _, v := range list {
		item, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		items = append(items, item)
	}
	return items
}

// sliced compares a payload with the event byte for byte: what stands around
// the elements of the last member of that name, and the element.
func sliced(t *testing.T, body []byte, p event.Payload, member string) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	var head, tail []byte
	var items []json.RawMessage
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			t.Fatal(err)
		}
		if end := int(dec.InputOffset()); key == member {
			head, tail = body[:end-len(raw)+1], body[end-1:]
			items = nil
			_ = json.Unmarshal(raw, &items) // an earlier member of that name may be anything
		}
	}
	if !bytes.HasPrefix(p.Body, head) || !bytes.HasSuffix(p.Body, tail) {
		t.Fatalf("%s keeps not what stands around the items: %s ... %s", p.Body, head, tail)
	}
	item := bytes.Trim(p.Body[len(head):len(p.Body)-len(tail)], " \t\r\n")
	if !bytes.Equal(item, items[p.Index]) {
		t.Fatalf("the item is %s, want %s", item, items[p.Index])
	}
}

// described compares what a payload says of its item.
func described(t *testing.T, p event.Payload, item map[string]any, typ string) {
	at := func(names ...string) string {
		var v any = item
		for _, name := range names {
			m, _ := v.(map[string]any)
			v = m[name]
		}
		switch v := v.(type) {
		case string:
			return v
		case json.Number:
			return v.String()
		}
		return ""
	}
	start, identity := at("metadata", "start_time"), ""
	switch typ {
	case "activity", "sleep", "health_observation":
		identity = at("metadata", "summary_id")
	case "hormone":
		start = at("timestamp")
		identity = start
	case "planned_workout":
		start, identity = at("planned_date"), at("details", "metadata", "id")
		if identity == "" {
			identity = at("planned_workout_id")
		}
	case "athlete", "lab_report.completed", "lab_report.failed":
		start = ""
	default:
		identity = start
		if _, ok := event.ReadTime(start); ok {
			identity = start[:10]
		}
	}
	if identity == "" {
		identity = event.ID{}.String() + "-" + strconv.Itoa(p.Index)
	}
	if p.Start != start || p.Summary != at("metadata", "summary_id") || p.Identity != identity {
		// A date in front of a time that cannot be read still is the day.
		if _, ok := event.ReadTime(p.Identity); !ok || len(start) <= 10 || p.Identity != start[:10] {
			t.Fatalf("%q, %q, want %q, %q", p.Start, p.Identity, start, identity)
		}
	}
}

// joined compares the item with the user in it.
func joined(t *testing.T, c *event.Catalogue, e *event.Event, p event.Payload, item map[string]any, user any) {
	body, ok := c.Item(e, p)
	if !ok {
		t.Fatalf("%s is no single item", p.Body)
	}
	var got map[string]any
	read(t, body, &got)
	if u, ok := user.(map[string]any); ok {
		item["user"] = u
	}
	if !reflect.DeepEqual(got, item) {
		t.Fatalf("%s, want %v", body, item)
	}
}
