package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
)

var classNames = [...]string{"delivered", "transient", "throttled", "rejected", "misconfigured", "interrupted"}

// metrics are the engine's figures. Counters are resolved once for each kind;
// gauges are computed from memory when somebody asks.
type metrics struct {
	s          *Scheduler
	attempts   *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	unguarded  *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	seconds    *prometheus.HistogramVec
	rescued    prometheus.Counter
	kinds      map[string]*kindMetrics
	usage      usageMetrics

	pending, oldest, success, failed, dead *prometheus.Desc // of each destination that is labelled
	inFlight, slow, held, open             *prometheus.Desc
}

// kindMetrics are the figures of one kind of destination.
type kindMetrics struct {
	classes   [len(classNames)]prometheus.Counter
	states    [store.Cancelled + 1]prometheus.Counter
	unguarded prometheus.Counter
	latency   prometheus.Observer
	seconds   prometheus.Observer
}

func newMetrics(r prometheus.Registerer, s *Scheduler) *metrics {
	buckets := []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	m := &metrics{
		s: s,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fantail_attempts_total", Help: "Attempts by kind of destination and outcome."}, []string{"kind", "class"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fantail_deliveries_total", Help: "Deliveries that reached a final state."}, []string{"kind", "state"}),
		unguarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fantail_unguarded_objects_total", Help: "Objects stored where it could not be seen whether they are newer than what is there: reading is denied, or the service knows no conditions."}, []string{"kind"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fantail_delivery_latency_seconds", Help: "From acceptance to delivery.",
			Buckets: append(buckets[:len(buckets):len(buckets)], 1800, 3600, 6*3600, 24*3600)}, []string{"kind"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fantail_attempt_seconds", Help: "How long attempts took.", Buckets: buckets}, []string{"kind"}),
		rescued: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fantail_scheduler_rescued_total", Help: "What the scheduler forgot and its watchdog found; anything but 0 is a defect."}),
		kinds: make(map[string]*kindMetrics),
		usage: newUsageMetrics(),

		pending:  prometheus.NewDesc("fantail_pending", "Deliveries that wait.", []string{"developer", "destination"}, nil),
		oldest:   prometheus.NewDesc("fantail_oldest_pending_seconds", "Age of the oldest delivery that waits.", []string{"developer", "destination"}, nil),
		success:  prometheus.NewDesc("fantail_last_success_timestamp_seconds", "When an attempt last succeeded; 0: none known. Of other: the one longest ago.", []string{"developer", "destination"}, nil),
		failed:   prometheus.NewDesc("fantail_failed_attempts", "Attempts that have failed since one succeeded. Of other: the most.", []string{"developer", "destination"}, nil),
		dead:     prometheus.NewDesc("fantail_dead_last_day", "Deliveries that died in this hour and the 23 before it.", []string{"developer", "destination"}, nil),
		inFlight: prometheus.NewDesc("fantail_in_flight", "Attempts in flight.", []string{"kind"}, nil),
		slow:     prometheus.NewDesc("fantail_slow_in_flight", "Attempts in the slow budget.", nil, nil),
		held:     prometheus.NewDesc("fantail_held", "Destinations held by the engine.", nil, nil),
		open:     prometheus.NewDesc("fantail_breaker_open", "Destinations whose breaker is open.", nil, nil),
	}
	if r != nil {
		for _, c := range []prometheus.Collector{m.attempts, m.deliveries, m.unguarded, m.latency, m.seconds, m.rescued, m.usage.deliveries, m.usage.attempts, m.usage.bytes, m} {
			if err := r.Register(c); err != nil {
				s.log.Error("registering metrics failed", "error", err)
			}
		}
	}
	return m
}

// kind returns the figures of a kind.
func (m *metrics) kind(name string) *kindMetrics {
	if k := m.kinds[name]; k != nil {
		return k
	}
	k := &kindMetrics{latency: m.latency.WithLabelValues(name), seconds: m.seconds.WithLabelValues(name), unguarded: m.unguarded.WithLabelValues(name)}
	for i, class := range classNames {
		k.classes[i] = m.attempts.WithLabelValues(name, class)
	}
	for st := store.Delivered; st <= store.Cancelled; st++ {
		k.states[st] = m.deliveries.WithLabelValues(name, st.String())
	}
	m.kinds[name] = k
	return k
}

// countAttempt counts an attempt.
func (k *kindMetrics) countAttempt(o *store.Outcome, e *policy.Ending, now instant) {
	if o.Attempt == nil {
		return
	}
	for i, name := range classNames {
		if name == o.Attempt.Class {
			k.classes[i].Inc()
			break
		}
	}
	k.unguarded.Add(float64(e.Unguarded))
	k.seconds.Observe(e.Took.Seconds())
	if o.State == store.Delivered && o.Item.ID.Replay == 0 { // a replay is not late: nobody wanted it sooner
		k.latency.Observe(max(0, time.Duration(now.wall-o.Item.ID.Event.Time().UnixNano())).Seconds())
	}
}

// countFinal counts a delivery that reached a final state.
func (k *kindMetrics) countFinal(st store.State) {
	if int(st) < len(k.states) && k.states[st] != nil {
		k.states[st].Inc()
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.pending, m.oldest, m.success, m.failed, m.dead, m.inFlight, m.slow, m.held, m.open} {
		c <- d
	}
}

// gauge is what is shown of one destination.
type gauge struct {
	developer, name string
	id              uint32
	pending, oldest int64

	success, failed, dead int64
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(c chan<- prometheus.Metric) {
	s := m.s
	now := s.lock()
	gauges := make([]gauge, 0, len(s.order))
	inFlight := make(map[string]int, len(m.kinds))
	held, open, slow := 0, 0, s.budget.slow
	for _, d := range s.order {
		g := gauge{developer: d.key.Developer, name: d.key.Name, id: d.id, oldest: d.oldest, success: d.last.Success, dead: d.last.Dead.Sum(now.wall)}
		if d.current != nil && d.last.Settings == d.current.hash {
			g.failed = int64(d.last.Failed)
		}
		gauges = append(gauges, g)
		inFlight[d.key.Kind] += d.calls
		if d.stateName() == "held" {
			held++
		}
		for _, l := range d.lanes {
			if l.breaker.Open {
				open++
				break
			}
		}
	}
	s.mu.Unlock()

	// The first by developer and name are shown by themselves, so that the set does not
	// change with what happens.
	other := gauge{developer: "other", name: "other"}
	shown := gauges[:0]
	for _, g := range gauges {
		if g.pending = s.pendingHere(g.id); g.pending == 0 {
			g.oldest = 0
		}
		switch n := len(shown); {
		case n > 0 && shown[n-1].developer == g.developer && shown[n-1].name == g.name: // another kind of that name
			shown[n-1].add(g)
		case n < series.Labelled:
			shown = append(shown, g)
		default:
			other.add(g)
		}
	}
	if len(shown) == series.Labelled {
		shown = append(shown, other)
	}
	for _, g := range shown {
		age := 0.0
		if g.oldest > 0 {
			age = max(0, time.Duration(now.wall-g.oldest).Seconds())
		}
		c <- prometheus.MustNewConstMetric(m.pending, prometheus.GaugeValue, float64(g.pending), g.developer, g.name)
		c <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, age, g.developer, g.name)
		c <- prometheus.MustNewConstMetric(m.success, prometheus.GaugeValue, time.Duration(g.success).Seconds(), g.developer, g.name)
		c <- prometheus.MustNewConstMetric(m.failed, prometheus.GaugeValue, float64(g.failed), g.developer, g.name)
		c <- prometheus.MustNewConstMetric(m.dead, prometheus.GaugeValue, float64(g.dead), g.developer, g.name)
	}
	for kind, n := range inFlight {
		c <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(n), kind)
	}
	c <- prometheus.MustNewConstMetric(m.slow, prometheus.GaugeValue, float64(slow))
	c <- prometheus.MustNewConstMetric(m.held, prometheus.GaugeValue, float64(held))
	c <- prometheus.MustNewConstMetric(m.open, prometheus.GaugeValue, float64(open))
}

// pendingHere is what this daemon is to deliver: over several daemons metrics are summed up.
func (s *Scheduler) pendingHere(dest uint32) int64 {
	if s.shared != nil {
		return s.shared.OwnPending(dest)
	}
	return s.store.Counts(dest).Pending
}

func (g *gauge) add(h gauge) {
	g.pending += h.pending
	g.dead += h.dead
	g.failed = max(g.failed, h.failed)
	if h.success > 0 && (g.success == 0 || h.success < g.success) {
		g.success = h.success
	}
	if h.oldest > 0 && (g.oldest == 0 || h.oldest < g.oldest) {
		g.oldest = h.oldest
	}
}
