package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event/samples"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// nasty bodies are events all the same: what re-encoding would change.
func nasty() map[string]string {
	return map[string]string{
		"key order, spaces":     "{\"z\":1,  \"type\" : \"sleep\" ,\t\"a\":2}\n\n",
		"escapes":               `{"type":"sl\u0065ep","s":"\u00e9\/\ud83d\ude00\u0000","é":"é"}`,
		"huge numbers":          `{"type":"x","n":123456789012345678901234567890.000000000000000000001e+400,"m":1E400,"z":-0.0}`,
		"duplicates deep":       `{"type":"x","o":{"a":1,"a":2},"k":1,"k":2}`,
		"lone surrogate":        `{"type":"x","s":"\ud800"}`,
		"html":                  `{"type":"x","s":"<script>&amp;\u2028\u2029</script>"}`,
		"unknown type":          `{"type":"something.nobody.knows","version":42}`,
		"one mebibyte":          `{"type":"x","s":"` + strings.Repeat("0123456789abcdef", 1<<16) + `"}`,
		"leading space":         " \r\n\t{\"type\":\"x\"}",
		"deep but within limit": `{"type":"x","d":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
	}
}

// The body that arrives is the body that was sent, signed, with the headers of the contract.
func TestBodiesArriveByteForByte(t *testing.T) {
	bodies := nasty()
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies[name] = string(body)
	}
	h := newHome(t)
	r := newReceiver(t, nil)
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))
	d := h.start()
	sent := map[string]string{} // reference to name
	for name, body := range bodies {
		sent[d.send(t, "acme", []byte(body)).Reference] = name
	}
	r.wait(t, len(bodies))
	d.balanced(t)

	traces := map[string]bool{}
	for _, req := range r.all() {
		name, ok := sent[req.header.Get("terra-reference")]
		if !ok {
			t.Errorf("an event came twice, or with another reference: %v", req.header)
			continue
		}
		delete(sent, req.header.Get("terra-reference"))
		if !bytes.Equal(req.body, []byte(bodies[name])) {
			t.Errorf("%s: arrived as %.200q, was sent as %.200q", name, req.body, bodies[name])
		}
		want := map[string]string{
			"Content-Type": "application/json", "dev-id": "acme", "hook-type": "WEBHOOK", "User-Agent": "Fantail/test",
			"x-terra-signature": req.header.Get("terra-signature"),
			"Content-Length":    "", // the server takes it out of the header
		}
		for k, v := range want {
			if got := req.header.Get(k); v != "" && got != v {
				t.Errorf("%s: header %s is %q, want %q", name, k, got, v)
			}
		}
		if err := signature.Verify("a-secret-of-acme", req.header.Get("terra-signature"), req.body, req.at, time.Minute); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if trace := req.header.Get("x-terra-trace-id"); trace == "" || traces[trace] {
			t.Errorf("%s: trace id %q is empty or came before", name, trace)
		} else {
			traces[trace] = true
		}
		var ms int64
		if _, err := fmt.Sscan(req.header.Get("x-terra-ordering-timestamp"), &ms); err != nil || time.Since(time.UnixMilli(ms)).Abs() > time.Minute {
			t.Errorf("%s: ordering timestamp %q is not now in milliseconds", name, req.header.Get("x-terra-ordering-timestamp"))
		}
	}
	for _, name := range sent {
		t.Errorf("%s: never arrived", name)
	}
}
