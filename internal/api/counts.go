package api

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

// counts are the events handed in, by what came of them.
type counts struct {
	accepted, duplicate, refused, limited, unavailable prometheus.Counter
}

func newCounts(r prometheus.Registerer) (counts, error) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fantail_events_accepted_total",
		Help: "Events handed in, by what came of them: accepted, duplicate (the idempotency key was known), refused (the producer's mistake), limited (429), unavailable (5xx).",
	}, []string{"result"})
	if r != nil {
		if err := r.Register(vec); err != nil {
			return counts{}, err
		}
	}
	return counts{
		accepted:    vec.WithLabelValues("accepted"),
		duplicate:   vec.WithLabelValues("duplicate"),
		refused:     vec.WithLabelValues("refused"),
		limited:     vec.WithLabelValues("limited"),
		unavailable: vec.WithLabelValues("unavailable"),
	}, nil
}

// taken counts an event that is stored.
func (c *counts) taken(duplicate bool) {
	if duplicate {
		c.duplicate.Inc()
	} else {
		c.accepted.Inc()
	}
}

// turnedAway counts an event that is not.
func (c *counts) turnedAway(err error) {
	r, ok := errors.AsType[*ingest.Refusal](err)
	switch {
	case ok && r.Status == 429:
		c.limited.Inc()
	case ok && r.Status < 500:
		c.refused.Inc()
	default:
		c.unavailable.Inc()
	}
}
