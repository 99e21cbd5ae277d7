package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errNetwork = errors.New("connection reset")

func TestWhatIsSafeIsTriedAgain(t *testing.T) {
	busy := refused(503, "unavailable")
	busy.retryAfter = "7"
	event := `{"items":[],"next":""}`
	for _, tc := range []struct {
		name     string
		answers  []answer
		do       func(context.Context, *Client) error
		requests int
		fails    bool
		least    time.Duration
		most     time.Duration
	}{
		{"a read after 503", []answer{busy, ok(event)}, read, 2, false, 7 * time.Second, 8 * time.Second},
		{"a read after 429", []answer{refused(429, "rate_limited"), ok(event)}, read, 2, false, 1, time.Second},
		{"a read after a network fault", []answer{{err: errNetwork}, ok(event)}, read, 2, false, 1, time.Second},
		{"a read that is refused for good", []answer{refused(400, "invalid")}, read, 1, true, 0, 0},
		{"a read of a broken daemon", []answer{refused(500, "internal")}, read, 1, true, 0, 0},
		{"an event without a key", []answer{busy}, send(""), 1, true, 0, 0},
		{"an event without a key after a network fault", []answer{{err: errNetwork}}, send(""), 1, true, 0, 0},
		{"an event with a key", []answer{busy, {err: errNetwork}, ok(`{"id":"x"}`)}, send("k"), 3, false, 7 * time.Second, 10 * time.Second},
		{"a reference with a line's end", nil, unsendable, 0, true, 0, 0},
		{"a change", []answer{busy}, func(ctx context.Context, c *Client) error { _, err := c.Retry(ctx, "x"); return err }, 1, true, 0, 0},
		{"a probe", []answer{busy}, func(ctx context.Context, c *Client) error { return c.Healthy(ctx) }, 1, true, 0, 0},
		{"erasing", []answer{busy, ok(`{"events":1}`)}, erase, 2, false, 7 * time.Second, 8 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, tc.answers...)
				began := time.Now()
				err := tc.do(t.Context(), c)
				if (err != nil) != tc.fails {
					t.Errorf("error %v, want one: %v", err, tc.fails)
				}
				if len(s.asked) != tc.requests {
					t.Errorf("%d requests, want %d", len(s.asked), tc.requests)
				}
				if took := time.Since(began); took < tc.least || took > tc.most {
					t.Errorf("took %s, want %s to %s", took, tc.least, tc.most)
				}
			})
		})
	}
}

func unsendable(ctx context.Context, c *Client) error {
	_, err := c.Send(ctx, SendRequest{Developer: "acme", Reference: "a\r\nx: b", IdempotencyKey: "k", Body: []byte("{}")})
	return err
}

func read(ctx context.Context, c *Client) error {
	for _, err := range c.Events(ctx, EventFilter{}) {
		return err
	}
	return nil
}

func send(key string) func(context.Context, *Client) error {
	return func(ctx context.Context, c *Client) error {
		_, err := c.Send(ctx, SendRequest{Developer: "acme", Body: []byte(`{}`), IdempotencyKey: key})
		return err
	}
}

func erase(ctx context.Context, c *Client) error {
	_, err := c.Erase(ctx, "acme", "u1")
	return err
}

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make([]answer, 100)
		for i := range answers {
			answers[i] = refused(503, "unavailable")
		}
		c, s := scripted(t, answers...)
		waits := 0
		c.Waiting = func(err error, pause time.Duration) {
			if waits++; err == nil || pause <= 0 {
				t.Errorf("told of %v and %s", err, pause)
			}
		}
		began := time.Now()
		err := read(t.Context(), c)
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != 503 {
			t.Errorf("error %v, want the last 503", err)
		}
		if took := time.Since(began); took < DefaultPatience/3 || took > DefaultPatience {
			t.Errorf("gave up after %s, want nearly %s", took, DefaultPatience)
		}
		if n := len(s.asked); n > 15 || waits != n-1 {
			t.Errorf("%d requests and %d waits: want few, and a wait between any two", n, waits)
		}
	})
}

func TestAWaitBeyondPatienceIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := refused(503, "unavailable")
		busy.retryAfter = "3600"
		c, _ := scripted(t, busy)
		began := time.Now()
		err := read(t.Context(), c)
		if e, ok := errors.AsType[*Error](err); !ok || e.RetryAfter != time.Hour {
			t.Errorf("error %v, want the 503 with its Retry-After", err)
		}
		if time.Since(began) != 0 {
			t.Errorf("waited %s in vain", time.Since(began))
		}
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := refused(503, "unavailable")
		busy.retryAfter = "20"
		c, s := scripted(t, busy)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		if err := read(ctx, c); err == nil {
			t.Error("no error")
		}
		if took := time.Since(began); took != 2*time.Second || len(s.asked) != 1 {
			t.Errorf("ended after %s and %d requests", took, len(s.asked))
		}
	})
}
