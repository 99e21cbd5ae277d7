package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// usageMetrics are counters by developer: of the first that have something to count,
// as many as there are labelled destinations, and of all others together.
type usageMetrics struct {
	deliveries *prometheus.CounterVec
	attempts   *prometheus.CounterVec
	bytes      *prometheus.CounterVec
	labelled   int
	other      *developerUsage
}

// developerUsage are the counters of one developer.
type developerUsage struct {
	accepted, attempts, bytes prometheus.Counter
	ended                     [store.Cancelled + 1]prometheus.Counter
}

func newUsageMetrics() usageMetrics {
	return usageMetrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fantail_usage_deliveries_total", Help: "Deliveries by developer: accepted, and those that became delivered, dead or cancelled. What is retried may end again."}, []string{"developer", "state"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fantail_usage_attempts_total", Help: "Attempts by developer."}, []string{"developer"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fantail_usage_bytes_total", Help: "Bytes of the bodies of the deliveries accepted, by developer."}, []string{"developer"}),
	}
}

// of returns the counters of a developer. Who has some keeps them: a counter of all
// others that loses a part would run backward.
func (m *usageMetrics) of(d *developer) *developerUsage {
	if d.usage != nil {
		return d.usage
	}
	if m.labelled < series.Labelled {
		m.labelled++
		d.usage = m.counters(d.name)
		return d.usage
	}
	if m.other == nil {
		m.other = m.counters("other")
	}
	d.usage = m.other
	return d.usage
}

func (m *usageMetrics) counters(name string) *developerUsage {
	u := &developerUsage{
		accepted: m.deliveries.WithLabelValues(name, "accepted"),
		attempts: m.attempts.WithLabelValues(name), bytes: m.bytes.WithLabelValues(name),
	}
	for st := store.Delivered; st <= store.Cancelled; st++ {
		u.ended[st] = m.deliveries.WithLabelValues(name, st.String())
	}
	return u
}

// countAccepted counts a delivery that was made for d.
func (s *Scheduler) countAccepted(d *dest, size uint32) {
	d.series.Accepted(1)
	u := s.metrics.usage.of(d.dev)
	u.accepted.Inc()
	u.bytes.Add(float64(size))
}

// countAttempt counts an attempt that became o.
func (s *Scheduler) countAttempt(d *dest, o *store.Outcome, e *policy.Ending, now instant) {
	d.metrics.countAttempt(o, e, now)
	if o.Attempt == nil {
		return
	}
	s.metrics.usage.of(d.dev).attempts.Inc()
	switch {
	case o.State != store.Delivered && e.How.Asked():
		d.series.Failed()
	case o.State != store.Delivered: // cut, or a fault of our own
	case o.Item.ID.Replay != 0: // not late: nobody wanted it sooner
		d.series.Delivered(-1)
	default:
		d.series.Delivered(max(0, time.Duration(now.wall-o.Item.ID.Event.Time().UnixNano())))
	}
}

// countFinal counts a delivery of d that reached a final state.
func (s *Scheduler) countFinal(d *dest, st store.State) {
	d.metrics.countFinal(st)
	if c := s.metrics.usage.of(d.dev).ended; int(st) < len(c) && c[st] != nil {
		c[st].Inc()
	}
}
