package cli

import (
	"net/http"
	"strings"
	"testing"
)

func TestLinkPrintsTheURLAlone(t *testing.T) {
	const path = "/v1/payloads/" + eventID + "-3/link"
	f := newFake(t, map[string]http.HandlerFunc{"POST " + path: say(`{"id":"` + eventID + `-3","developer":"acme","url":"https://x.example/y?a=1&b=2","expires":"2026-07-01T14:00:00Z"}`)})
	f.run(t, "link", eventID+"-3", "--ttl", "2h").want(t, 0, "https://x.example/y?a=1&b=2\n", "expires 2026-07-01 14:00:00Z (in 2h)\n")
	f.run(t, "link", eventID+"-3", "--developer", "acme", "--json").want(t, 0,
		`{"id":"`+eventID+`-3","developer":"acme","url":"https://x.example/y?a=1&b=2","expires":"2026-07-01T14:00:00Z"}`+"\n", "")
	asked := f.requests()
	if asked[0].body != `{"ttl":7200}` || asked[1].body != `{"ttl":3600,"developer":"acme"}` {
		t.Errorf("asked %+v", asked)
	}
	r := f.run(t, "link", "x")
	if r.code != 1 || r.out != "" || !strings.Contains(r.err, "not_found") {
		t.Errorf("%+v", r)
	}
	for _, ttl := range []string{"", "0", "soon", "8d", "-1h", "1500ms", "3600"} {
		if r := f.run(t, "link", "x", "--ttl", ttl); r.code != 2 || !strings.Contains(r.err, "--ttl") {
			t.Errorf("--ttl %q: %+v", ttl, r)
		}
	}
}
