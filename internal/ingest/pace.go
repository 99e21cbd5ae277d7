package ingest

import (
	"context"
	"fmt"
	"time"
)

const (
	// paceShare: each request waits a tenth of the time by which deliveries are too far behind. The
	// further they are behind, the fewer events come in, until as many come in as go out.
	paceShare = 10
	// paceMost is the longest wait of a request.
	paceMost = time.Second
	// paceEnd times Most is how far deliveries may be behind before requests are refused: by then
	// waits have not helped.
	paceEnd = 10
)

// Pace slows producers down while the daemon is behind with deliveries, so that they
// hand in no more than it delivers.
type Pace struct {
	Behind func() time.Duration // how far it is
	Most   time.Duration        // how far it may be; 0: no matter how far
}

// Wait has a producer wait, or returns a *Refusal when the daemon is too far behind. Call it
// before reading a body.
func (p *Pace) Wait(ctx context.Context) error {
	if p.Most <= 0 {
		return nil
	}
	behind := p.Behind()
	switch {
	case behind <= p.Most:
		return nil
	case behind > paceEnd*p.Most:
		return &Refusal{Status: 503, Code: "behind", RetryAfter: p.Most,
			Message: fmt.Sprintf("the daemon is %v behind with deliveries, more than ten times limits.lag", behind.Round(time.Second))}
	}
	t := time.NewTimer(min((behind-p.Most)/paceShare, paceMost))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return unavailable(context.Cause(ctx))
	}
}
