package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// observeShared shows this daemon's part in a shared store. All of it is its own, so that sums over
// daemons are right.
func (a *App) observeShared() {
	v, tells := a.store.(vital)
	if a.shared == nil || !tells {
		return
	}
	gauge := func(name, help string, of func(store.Vitals) float64) {
		a.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return of(v.Vitals()) }))
	}
	gauge("fantail_slots", "Slots of the shared store that this daemon owns.", func(v store.Vitals) float64 { return float64(v.Slots) })
	gauge("fantail_lease_age_seconds", "Since this daemon renewed its lease last; above 10 s others adopt what it has.", func(v store.Vitals) float64 { return v.LeaseAge.Seconds() })
	gauge("fantail_clock_offset_seconds", "How far the clock of the database is ahead of this machine's; beyond 5 s no events are taken.", func(v store.Vitals) float64 { return v.Offset.Seconds() })
	a.metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "fantail_slots_adopted_total", Help: "Slots that this daemon took over from daemons that had ended without giving them back, or had left."},
		func() float64 { return float64(v.Vitals().Adopted) }))
	a.metrics.MustRegister(
		oneOf{v, prometheus.NewDesc("fantail_durability", "1 for what a commit of the shared store waits for: none, local (the disk of the database), standby.", []string{"of"}, nil),
			[]string{"none", "local", "standby"}, func(v store.Vitals) (string, float64) { return v.Durability, 1 }},
		oneOf{v, prometheus.NewDesc("fantail_oldest_snapshot_transactions", "How old the oldest snapshot is that somebody holds in the database: rows that died since cannot be swept up. Who holds it: session, replica, slot (of replication), prepared (a transaction).", []string{"of"}, nil),
			[]string{"session", "replica", "slot", "prepared"}, func(v store.Vitals) (string, float64) { return v.SnapshotOf, float64(v.OldestSnapshot) }})
	a.metrics.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_daemons", Help: "Daemons that are alive on the shared store, as this one sees it."}, func() float64 { return float64(len(a.peers.Others()) + 1) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_daemons_differing", Help: "How many of them have other keys or other files than this one."}, func() float64 { return float64(a.differing()) }))
}

// differing counts the daemons whose keys or files are others than those of this one.
func (a *App) differing() (n int) {
	own := a.say()
	for _, o := range a.peers.Others() {
		if o.Key != own.Key || o.Files != own.Files {
			n++
		}
	}
	return n
}

// oneOf shows a figure under the one of several names that it is for now; the others are 0.
type oneOf struct {
	of    vital
	desc  *prometheus.Desc
	names []string
	now   func(store.Vitals) (string, float64)
}

var _ prometheus.Collector = oneOf{}

// Describe implements prometheus.Collector.
func (o oneOf) Describe(c chan<- *prometheus.Desc) { c <- o.desc }

// Collect implements prometheus.Collector.
func (o oneOf) Collect(c chan<- prometheus.Metric) {
	now, figure := o.now(o.of.Vitals())
	for _, name := range o.names {
		value := 0.0
		if name == now {
			value = figure
		}
		c <- prometheus.MustNewConstMetric(o.desc, prometheus.GaugeValue, value, name)
	}
}
