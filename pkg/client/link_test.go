package client

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLinkAsksAgainWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := refused(503, "unavailable")
		down.retryAfter = "10"
		c, s := scripted(t, down, ok(`{"id":"p-1","developer":"acme","url":"https://x.example/y","expires":"2026-07-01T10:00:00Z"}`), ok(`{}`))
		got, err := c.Link(t.Context(), LinkRequest{Payload: "p-1", TTL: 10 * time.Minute, Developer: "acme"})
		want := Link{"p-1", "acme", "https://x.example/y", time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)}
		if err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
		if a := s.asked[1]; a.method != "POST" || a.url != "http://daemon.example:8080/v1/payloads/p-1/link" || a.body != `{"ttl":600,"developer":"acme"}` {
			t.Errorf("asked %+v", a)
		}
		if _, err := c.Link(t.Context(), LinkRequest{Payload: "../x"}); err != nil {
			t.Error(err)
		}
		if a := s.asked[2]; a.url != "http://daemon.example:8080/v1/payloads/..%2Fx/link" || a.body != "{}" {
			t.Errorf("asked %+v", a)
		}
	})
}
