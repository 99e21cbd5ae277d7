package client

import (
	"testing"
	"time"
)

func TestCheckReturnsEveryFinding(t *testing.T) {
	c, s := scripted(t, ok(`{"developer":"acme","name":"app","kind":"webhook","state":"active","pending":0,"in_flight":0,"breaker":"closed",
		"check":{"at":"2026-07-01T12:00:00Z","ms":42,"result":"fail","certificate_expires":"2026-06-30T00:00:00Z",
		"findings":[{"name":"tls","result":"fail","message":"it expired","advice":"renew it"}]}}`))
	d, err := c.Check(t.Context(), "acme", "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if a := s.asked[0]; a.method != "POST" || a.url != "http://daemon.example:8080/v1/destinations/acme/a%2Fb/check" || a.body != "" {
		t.Errorf("asked %+v", a)
	}
	k := d.Check
	if k == nil || k.Result != "fail" || !k.Expires.Equal(time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC)) || len(k.Findings) != 1 ||
		k.Findings[0] != (Finding{"tls", "fail", "it expired", "renew it"}) {
		t.Errorf("%+v", k)
	}
}

// A second try could send a second event.
func TestTestIsTriedOnce(t *testing.T) {
	seed := uint64(7)
	for _, r := range []struct {
		request TestRequest
		query   string
		body    string
	}{
		{TestRequest{}, "", ""},
		{TestRequest{Type: "sleep", Provider: "GARMIN", User: "u 1", Seed: &seed}, "?provider=GARMIN&seed=7&type=sleep&user=u+1", ""},
		{TestRequest{Body: []byte("{\"type\":\n\"x\"}")}, "", "{\"type\":\n\"x\"}"},
	} {
		c, s := scripted(t, refused(503, "unavailable"))
		if _, err := c.Test(t.Context(), "acme", "app", r.request); err == nil {
			t.Error("a 503 is no error")
		}
		if a := s.asked[0]; len(s.asked) != 1 || a.url != "http://daemon.example:8080/v1/destinations/acme/app/test"+r.query || a.body != r.body {
			t.Errorf("asked %+v", s.asked)
		}
	}
	c, _ := scripted(t, answer{status: 202, body: `{"id":"e","reference":"fantail-test-1","delivery":"e_1","destination":{"name":"app"}}`})
	if got, err := c.Test(t.Context(), "acme", "app", TestRequest{}); err != nil || got.Delivery != "e_1" || got.Destination.Name != "app" {
		t.Errorf("%+v, %v", got, err)
	}
}
