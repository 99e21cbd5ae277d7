package delivery

import (
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// describe says in the span of an attempt what is attempted.
func (s *Scheduler) describe(c *call, a *attempt, d *destination.Delivery) {
	s.mu.Lock()
	key := c.lane.dest.key // a reload writes it
	s.mu.Unlock()
	a.span.Describe(a.event, tracing.About{
		Developer: key.Developer, Destination: key.Name, Kind: key.Kind, Delivery: d.ID, Number: d.Attempt,
	})
}

// endSpans ends the spans of the attempts with what their log will have.
func (c *call) endSpans() {
	for i := range c.attempts {
		if a := &c.attempts[i]; a.span != nil {
			a.span.End(a.ending.Logged(), a.ending.Code, a.ending.Answer)
		}
	}
}
