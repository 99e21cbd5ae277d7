package receivers

import (
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

type sample struct {
	name string
	body []byte
}

// nasty bodies are valid events whose bytes do not survive a parse and a print.
var nasty = map[string]string{
	"line break behind":      `{"type":"x"}` + "\n",
	"line breaks of Windows": "{\r\n\t\"type\": \"x\"\r\n}\r\n",
	"space before":           " \n" + `{"type":"x"}`,
	"key order":              `{"z":1,"user":{"user_id":"u","a":2},"type":"x","a":3,"10":4,"9":5}`,
	"unicode":                `{"type":"x","name":"Zoë 李雷 😀 ` + "\u2028\u2029\u00a0\ufeff\ufffd" + `"}`,
	"combining":              `{"type":"x","a":"é","b":"` + "e\u0301" + `"}`,
	"escapes":                `{"type":"x","a":"\u00e9\/\"\\\b\f\n\r\t\u0000\u001f\u2028"}`,
	"surrogates":             `{"type":"x","pair":"\ud83d\ude00","half":"\ud800","other":"\udc00"}`,
	"huge numbers":           `{"type":"x","a":12345678901234567890123,"b":1e400,"c":-0.0,"d":1.10,"e":1E+2,"f":0.1e-999}`,
	"keys twice":             `{"type":"x","a":1,"a":2,"":3,"__proto__":{"type":"y"}}`,
	"what templates replace": `{"type":"x","a":"$& $1 %s %00 {{a}} ${a} <script>&amp;"}`,
	"looks like a header":    `{"type":"x","a":"t=1,v1=0"}`,
	"full stops":             `{"type":"x.y.z","a":"1.2.3"}`,
	"deep":                   `{"type":"x","a":` + strings.Repeat("[", event.MaxDepth-1) + strings.Repeat("]", event.MaxDepth-1) + `}`,
	"long":                   `{"type":"x","a":"` + strings.Repeat("0123456789é", 10_000) + `"}`,
	"shortest":               `{"type":"x"}`,
}

// bodies lists every sample and the nasty ones; all are events that the engine accepts.
func bodies(t *testing.T) (all []sample) {
	t.Helper()
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sample{name, body})
	}
	for name, body := range nasty {
		all = append(all, sample{name, []byte(body)})
	}
	for _, s := range all {
		if _, err := event.Parse(s.body); err != nil {
			t.Fatalf("%s is no event: %v", s.name, err)
		}
	}
	return all
}
