package client

import (
	"errors"
	"testing"
	"testing/synctest"
)

func TestReplayIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, refused(503, "unavailable"), ok(`{"id":7,"state":"running","states":["dead"]}`), refused(503, "unavailable"),
			ok(`{"id":7,"state":"finished","made":3}`), ok(`{"items":[{"id":7},{"id":6}],"next":""}`), ok(`{"id":7,"state":"cancelled"}`))
		if _, err := c.Replay(t.Context(), ReplayRequest{All: true}); !errors.As(err, new(*Error)) || len(s.asked) != 1 {
			t.Fatalf("%v after %d requests: a lost answer may have begun it", err, len(s.asked))
		}
		p, err := c.Replay(t.Context(), ReplayRequest{Developer: "acme", States: []string{"dead"}, Rate: 20})
		if err != nil || p.ID != 7 || s.asked[1].body != `{"developer":"acme","states":["dead"],"rate":20}` {
			t.Errorf("%+v, %v; asked %+v", p, err, s.asked[1])
		}
		if p, err = c.GetReplay(t.Context(), 7); err != nil || p.State != "finished" || p.Made != 3 || s.asked[3].url != "http://daemon.example:8080/v1/replays/7" {
			t.Errorf("%+v, %v; asked %+v", p, err, s.asked[3])
		}
		n := 0
		for p, err := range c.Replays(t.Context(), "acme", 0) {
			if n++; err != nil || p.ID != uint32(8-n) {
				t.Errorf("%+v, %v", p, err)
			}
		}
		if p, err = c.CancelReplay(t.Context(), 7); n != 2 || err != nil || p.State != "cancelled" || s.asked[5].method != "DELETE" {
			t.Errorf("%d listed; %+v, %v; asked %+v", n, p, err, s.asked[5])
		}
	})
}
