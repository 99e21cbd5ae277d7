package event_test

import (
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestItemCarriesTheUser(t *testing.T) {
	const user = `{ "user_id":"u", "a":1e400 }`
	for _, c := range []struct{ name, item, want string }{
		{"empty", `{}`, `{"user":` + user + `}`},
		{"empty with space", `{ }`, `{ "user":` + user + `}`},
		{"members", `{"b": 1.0, "a" : {"user":7} }`, `{"b": 1.0, "a" : {"user":7} ,"user":` + user + `}`},
		{"a user of its own", `{"b":1, "user" : {"x":[]} ,"c":2}`, `{"b":1, "user" : ` + user + ` ,"c":2}`},
		{"a user of its own, escaped", `{"us\u0065r":null}`, `{"us\u0065r":` + user + `}`},
		{"two users of its own", `{"user":1,"user":2}`, `{"user":1,"user":` + user + `}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			catalogue := event.DefaultCatalogue()
			for _, others := range []string{"", `{"other":1},`} {
				e := made(t, `{"data":[`+others+c.item+`],"type":"daily","user":`+user+`}`)
				for p := range catalogue.Payloads(e) {
					body, ok := catalogue.Item(e, p)
					if last := others == "" || p.Index == 1; !ok || last && string(body) != c.want {
						t.Errorf("%t, %s, want %s", ok, body, c.want)
					}
				}
			}
		})
	}
}

func TestItemWithoutAUserIsTheItem(t *testing.T) {
	for _, user := range []string{`null`, `"u"`, `[{}]`} {
		e := made(t, `{"type":"daily","data":[ {"user":1, "a":2} ],"user":`+user+`}`)
		c := event.DefaultCatalogue()
		if body, ok := c.Item(e, c.Whole(e)); !ok || string(body) != `{"user":1, "a":2}` {
			t.Errorf("%t, %s", ok, body)
		}
	}
}

func TestItemIsOfOneItemOnly(t *testing.T) {
	c := event.DefaultCatalogue()
	for _, body := range []string{
		`{"type":"auth","user":{},"data":[{}]}`, `{"type":"daily","user":{},"data":[]}`, `{"type":"daily","user":{},"data":[7]}`,
		`{"type":"daily","user":{},"data":[{},{}]}`, `{"type":"daily","user":{}}`, `{"type":"daily","data":{}}`,
		`{"type":"athlete","user":{},"athlete":{}}`, `{"type":"lab_report.completed","data":{}}`,
	} {
		e := made(t, body)
		if item, ok := c.Item(e, c.Whole(e)); ok {
			t.Errorf("%s: %s", body, item)
		}
	}
}
