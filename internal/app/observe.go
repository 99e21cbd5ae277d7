package app

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// observe registers the metrics that belong to no part but the daemon.
func (a *App) observe() {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "fantail_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": a.version, "go": runtime.Version()},
	})
	build.Set(1)
	a.broken = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "fantail_broken_settings", Help: "1 for each developer whose settings were refused, or could not be opened, at the start.",
	}, []string{"developer"})
	a.metrics.MustRegister(build, a.broken,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_store_bytes", Help: "Bytes of the store on disk."},
			func() float64 { return float64(a.store.Stats().Bytes) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "fantail_disk_free_bytes", Help: "Free bytes of the disk the store lies on."},
			func() float64 { return float64(a.store.Stats().DiskFree) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}
