package app

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/seed-51f8da91/fantail/internal/config"
)

// observe registers the metrics that belong to no part but the daemon.
func (a *App) observe(o Options) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "fantail_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": a.version, "commit": o.Commit, "date": o.Date, "go": runtime.Version()},
	})
	build.Set(1)
	a.broken = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "fantail_broken_settings", Help: "1 for each developer whose settings were refused, or could not be opened, at the start or the last reload.",
	}, []string{"developer"})
	a.metrics.MustRegister(build, a.broken, a.checks.Board,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_store_bytes", Help: "Bytes of the store on disk."},
			func() float64 { return float64(a.store.Stats().Bytes) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_lag_seconds", Help: "How far the daemon itself is behind with deliveries, for want of processors."},
			func() float64 { return a.scheduler.Lag().Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_connections", Help: "Connections of producers and of whoever else calls, busy and idle."},
			func() float64 { return float64(a.inbound.Open()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_connections_limit", Help: "How many there may be, so that descriptors are left for the store and deliveries."},
			func() float64 { return float64(a.inbound.Max()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "fantail_connections_evicted_total", Help: "Idle ones that were closed to make room for new ones."},
			func() float64 { return float64(a.inbound.Evicted()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "fantail_two_lengths_total", Help: "Requests refused for having both Content-Length and Transfer-Encoding."},
			func() float64 { return float64(a.inbound.TwoLengths()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_last_reload_success", Help: "1 when the settings were taken over the last time they were read, 0 when they, or those of some developers, were refused."}, a.reloadSuccess),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_last_reload_seconds", Help: "When the settings were read the last time, at the start or by a reload, in unix seconds."}, a.reloadTime),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_ready", Help: "1 while new events are taken, as /readyz says."}, a.ready),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if !a.started.Store.Shared() { // nobody tells how much room a database has, and others make its backups
		a.metrics.MustRegister(
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "fantail_store_rows_read_total", Help: "Rows of the store that were read to answer lists, searches, audits, usage and the trail."},
				func() float64 { return float64(a.store.Stats().RowsRead) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_last_backup_timestamp_seconds", Help: "When the last backup that this daemon wrote was begun; 0 for none."}, a.backupTime),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_disk_free_bytes", Help: "Free bytes of the disk the store lies on."},
				func() float64 { return float64(a.store.Stats().DiskFree) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_disk_reserve_bytes", Help: "Free bytes below which no new events are taken."},
				func() float64 { return float64(a.started.Store.Pebble.Reserve) }))
	}
	a.observeShared()
	a.observeLimits()
}

// observeLimits shows the operator's limits, by the names of their settings.
func (a *App) observeLimits() {
	for setting, of := range map[string]func(l *config.Limits) float64{
		"limits.body":                        func(l *config.Limits) float64 { return float64(l.Body) },
		"limits.body_rate":                   func(l *config.Limits) float64 { return l.BodyRate },
		"limits.in_flight":                   func(l *config.Limits) float64 { return float64(l.InFlight) },
		"limits.lag":                         func(l *config.Limits) float64 { return l.Lag.Seconds() },
		"limits.in_flight_bytes":             func(l *config.Limits) float64 { return float64(l.InFlightBytes) },
		"limits.per_developer.rate":          func(l *config.Limits) float64 { return l.PerDeveloper.Rate },
		"limits.per_developer.pending":       func(l *config.Limits) float64 { return float64(l.PerDeveloper.Pending) },
		"limits.per_developer.bytes":         func(l *config.Limits) float64 { return float64(l.PerDeveloper.Bytes) },
		"limits.per_developer.destinations":  func(l *config.Limits) float64 { return float64(l.PerDeveloper.Destinations) },
		"limits.per_developer.attempts":      func(l *config.Limits) float64 { return l.PerDeveloper.Attempts },
		"limits.per_developer.shortest_wait": func(l *config.Limits) float64 { return l.PerDeveloper.ShortestWait.Seconds() },
	} {
		a.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fantail_limit", Help: "The operator's limits, in bytes, seconds, or of a second; 0 is no limit.", ConstLabels: prometheus.Labels{"setting": setting},
		}, func() float64 { l := a.Limits(); return of(&l) }))
	}
}

func (a *App) ready() float64 {
	if a.stopping.Load() || a.store.Ready() != nil {
		return 0
	}
	return 1
}

func (a *App) reloadSuccess() float64 {
	if _, err := a.reloads.last(); err != nil {
		return 0
	}
	return 1
}

func (a *App) reloadTime() float64 {
	at, _ := a.reloads.last()
	return float64(at.UnixMilli()) / 1000
}
