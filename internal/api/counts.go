package api

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

// counts are the events handed in, by what came of them.
type counts struct {
	accepted, duplicate, refused, limited, unavailable prometheus.Counter

	bounds map[string]prometheus.Counter // by code of the refusal
}

func newCounts(r prometheus.Registerer) (counts, error) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fantail_events_accepted_total",
		Help: "Events handed in, by what came of them: accepted, duplicate (the idempotency key was known), refused (the producer's mistake), limited (429), unavailable (5xx).",
	}, []string{"result"})
	bounds := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fantail_intake_refused_total",
		Help: "Requests refused by a bound of the intake, by which: token and developer (their share of the memory for bodies is used up), memory (all of it is), speed (the body came too slowly), rate (more requests with a token than its rate allows), lag (the daemon is far behind with deliveries).",
	}, []string{"bound"})
	if r != nil {
		if err := errors.Join(r.Register(vec), r.Register(bounds)); err != nil {
			return counts{}, err
		}
	}
	return counts{
		accepted:    vec.WithLabelValues("accepted"),
		duplicate:   vec.WithLabelValues("duplicate"),
		refused:     vec.WithLabelValues("refused"),
		limited:     vec.WithLabelValues("limited"),
		unavailable: vec.WithLabelValues("unavailable"),
		bounds: map[string]prometheus.Counter{
			"busy_token":     bounds.WithLabelValues("token"),
			"busy_developer": bounds.WithLabelValues("developer"),
			"busy":           bounds.WithLabelValues("memory"),
			"slow_body":      bounds.WithLabelValues("speed"),
			"token_rate":     bounds.WithLabelValues("rate"),
			"behind":         bounds.WithLabelValues("lag"),
		},
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

// bounded counts a refusal by a bound of the intake; other codes are none.
func (c *counts) bounded(code string) {
	if bound := c.bounds[code]; bound != nil {
		bound.Inc()
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
