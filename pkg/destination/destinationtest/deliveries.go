package destinationtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// epoch is when the suite's events were accepted: fixed, so that a failing
// case fails again, and with a part below the millisecond.
var epoch = time.Date(2026, 7, 1, 9, 12, 33, 123456000, time.UTC)

// Delivery builds the nth delivery of body, which must be an event, as the
// engine would. Deliveries of one n are the same delivery.
func Delivery(tb testing.TB, n int, body []byte) destination.Delivery {
	tb.Helper()
	env, err := event.Parse(body)
	if err != nil {
		tb.Fatalf("the body is no event: %v: %.200q", err, body)
	}
	at := epoch.Add(time.Duration(n) * time.Second)
	id := event.NewID(at, 0, uint64(n))
	return destination.Delivery{
		ID:      id.String() + "_7",
		Attempt: 1,
		Event: &event.Event{
			ID: id, Developer: "acme", Reference: fmt.Sprintf("reference-%d", n),
			Ordering: at, Envelope: env, Body: body,
		},
	}
}

// plain builds the nth delivery of a small event; no two have the same body.
func plain(tb testing.TB, n int) destination.Delivery {
	tb.Helper()
	return Delivery(tb, n, fmt.Appendf(nil, `{"type":"auth","n":%d,"user":{"user_id":"user-%d","provider":"FITBIT"}}`, n, n))
}

// nasty bodies are what re-encoding, escaping or a path made of them would change.
var nasty = map[string]string{
	"key order and spaces":    "{\"z\":1,  \"type\" : \"sleep\" ,\t\"a\":2}\n\n",
	"spaces around":           " \r\n\t{\"type\":\"x\"}\r\n",
	"escapes":                 `{"type":"sl\u0065ep","s":"\u00e9\/\ud83d\ude00","é":"é 😀"}`,
	"nul":                     `{"type":"x","s":"a\u0000b","user":{"user_id":"u1"}}`,
	"lone surrogate":          `{"type":"x","s":"\ud800"}`,
	"numbers":                 `{"type":"x","n":123456789012345678901234567890.00000001e+400,"m":1E400,"z":-0.0}`,
	"repeated keys":           `{"type":"x","o":{"a":1,"a":2},"k":1,"k":2}`,
	"markup":                  `{"type":"x","s":"<script>&amp;\u2028\u2029</script>","t":"` + "\u2028" + `"}`,
	"quotes":                  `{"type":"x","s":"'; DROP TABLE terra_users; --","t":"$$\\\\$1 %s %00 ${env:HOME}"}`,
	"path as type":            `{"type":"../../etc/passwd","user":{"user_id":"../..","provider":"a/b"}}`,
	"unknown type":            `{"type":"something.nobody.knows","version":42,"data":[1,"two",null,[]]}`,
	"data of another shape":   `{"type":"sleep","version":"2022-03-16","user":{"user_id":"u1"},"data":"none"}`,
	"unreadable times":        `{"type":"sleep","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"metadata":{"start_time":"yesterday"}}]}`,
	"nulls":                   `{"type":"auth","version":null,"user":{"user_id":"u1","provider":null,"scopes":null},"data":null}`,
	"deep":                    `{"type":"x","d":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
	"a text of 64 KiB":        `{"type":"x","s":"` + strings.Repeat("é", 32<<10) + `"}`,
	"one mebibyte of numbers": `{"type":"x","n":[` + strings.Repeat("1234567890123,", 1<<20/14) + `0]}`,
}

// bodies returns every sample and every nasty body by name.
func bodies(tb testing.TB) map[string][]byte {
	tb.Helper()
	all := map[string][]byte{}
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			tb.Fatal(err)
		}
		all["sample "+name] = body
	}
	for name, body := range nasty {
		all["nasty "+name] = []byte(body)
	}
	return all
}
