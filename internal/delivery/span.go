package delivery

import (
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// describe says in the span of a leg what is attempted.
func (s *Scheduler) describe(a *attempt, l *leg, d *destination.Delivery) {
	s.mu.Lock()
	key := a.lane.dest.key // a reload writes it
	s.mu.Unlock()
	l.span.Describe(l.event, tracing.About{
		Developer: key.Developer, Destination: key.Name, Kind: key.Kind, Delivery: d.ID, Number: d.Attempt,
	})
}

// endSpans ends the spans of an attempt with what its log will have.
func (a *attempt) endSpans() {
	for i := range a.legs {
		if l := &a.legs[i]; l.span != nil {
			l.span.End(l.ending.logged(), l.ending.code, l.ending.answer)
		}
	}
}
