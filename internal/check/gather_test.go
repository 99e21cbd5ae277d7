package check

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// gather returns the gauges of b by the name of the destination.
func gather(t *testing.T, b *Board) map[string]float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(b)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "destination" {
					values[l.GetValue()] = m.GetGauge().GetValue()
				}
			}
		}
	}
	return values
}
