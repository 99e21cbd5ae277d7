package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	firstWait = 250 * time.Millisecond
	maxWait   = 15 * time.Second
)

// try makes the request, and when it is safe again until it succeeds, fails
// for good, or Patience ends.
func (c *Client) try(ctx context.Context, r call, consume func(*http.Response) error) error {
	began, wait := time.Now(), firstWait
	for {
		err := c.once(ctx, r, consume)
		if err == nil || !r.safe || ctx.Err() != nil || errors.Is(err, errUnsendable) {
			return err
		}
		pause := wait/2 + rand.N(wait)
		if e, ok := errors.AsType[*Error](err); ok {
			if !e.Temporary() {
				return err
			}
			pause = max(pause, e.RetryAfter)
		}
		if time.Since(began)+pause > c.Patience {
			return err
		}
		if c.Waiting != nil {
			c.Waiting(err, pause)
		}
		if !sleep(ctx, pause) {
			return err
		}
		wait = min(2*wait, maxWait)
	}
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
