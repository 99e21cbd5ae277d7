package api

import (
	"testing"
)

// No call that changes anything takes a delivery of a webhook, whatever the token, and
// none waits for its body. What only reads goes on.
func TestDeliveriesOfOursAreRefusedAtTheDoor(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate")}})
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range everyRoute(d) {
		for _, headers := range [][]string{{"hook-type: WEBHOOK"}, {"hook-type: ", bearer("all")}, {"HOOK-TYPE: WEBHOOK", "dev-id: acme", bearer("all")}} {
			a := r.do(route.method, route.path, sleep, headers...)
			if refused := a.status == 400 && a.code() == "own_delivery"; refused != (route.method != "GET") {
				t.Errorf("%s %s with %q: %s", route.method, route.path, headers, a)
			}
		}
	}
	if n := r.stored(); n != 0 {
		t.Errorf("%d events were accepted", n)
	}
	for _, path := range []string{"/v1/events", "/v1/events/batch"} { // the body is announced and never sent
		a := r.raw("POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nhook-type: WEBHOOK\r\nContent-Length: 100\r\n\r\n")
		if a.status != 400 || a.code() != "own_delivery" {
			t.Errorf("%s without its body: %s", path, a)
		}
	}
}
