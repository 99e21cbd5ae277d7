package check

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Board keeps the last result of each destination, in memory: after a start every destination is
// checked anew.
type Board struct {
	expiry *prometheus.Desc

	mu   sync.Mutex
	last map[store.DestinationKey]*posted
}

// posted is a result and the fingerprint of the settings that it is about.
type posted struct {
	hash   uint64
	result Result
}

var _ prometheus.Collector = (*Board)(nil)

// NewBoard makes an empty Board, which is also the collector of
// fantail_certificate_expiry_seconds.
func NewBoard() *Board {
	return &Board{last: map[store.DestinationKey]*posted{}, expiry: prometheus.NewDesc("fantail_certificate_expiry_seconds",
		"Time until the first certificate ends that the last check of a destination saw; negative once it has.", []string{"developer", "destination"}, nil)}
}

// Post keeps r as the last result of key under the settings hash, unless a newer one is there.
func (b *Board) Post(key store.DestinationKey, hash uint64, r Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if last := b.last[key]; last == nil || !last.result.At.After(r.At) {
		b.last[key] = &posted{hash, r}
	}
}

// Last returns the last result of key under any settings.
func (b *Board) Last(key store.DestinationKey) (Result, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.last[key]; p != nil {
		return p.result, true
	}
	return Result{}, false
}

// LastOf returns the last result of key under the settings hash.
func (b *Board) LastOf(key store.DestinationKey, hash uint64) (Result, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.last[key]; p != nil {
		return p.result, p.hash == hash
	}
	return Result{}, false
}

// Keep forgets all destinations but those of current.
func (b *Board) Keep(current map[store.DestinationKey]uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.last {
		if _, ok := current[key]; !ok {
			delete(b.last, key)
		}
	}
}

// Describe implements prometheus.Collector.
func (b *Board) Describe(c chan<- *prometheus.Desc) { c <- b.expiry }

// Collect implements prometheus.Collector.
func (b *Board) Collect(c chan<- prometheus.Metric) {
	type gauge struct {
		developer, name string
		expires         time.Time
	}
	b.mu.Lock()
	all := make([]gauge, 0, len(b.last))
	for key, p := range b.last {
		if !p.result.Expires.IsZero() {
			all = append(all, gauge{key.Developer, key.Name, p.result.Expires})
		}
	}
	b.mu.Unlock()
	// Two kinds under one name are two destinations with the same labels. The earlier expiry counts,
	// as it does for destinations that share the label "other".
	slices.SortFunc(all, func(x, y gauge) int {
		return cmp.Or(cmp.Compare(x.developer, y.developer), cmp.Compare(x.name, y.name), x.expires.Compare(y.expires))
	})
	all = slices.CompactFunc(all, func(x, y gauge) bool { return x.developer == y.developer && x.name == y.name })
	if len(all) > series.Labelled {
		rest := slices.MinFunc(all[series.Labelled:], func(x, y gauge) int { return x.expires.Compare(y.expires) })
		all = append(all[:series.Labelled], gauge{"other", "other", rest.expires})
	}
	for _, g := range all {
		c <- prometheus.MustNewConstMetric(b.expiry, prometheus.GaugeValue, time.Until(g.expires).Seconds(), g.developer, g.name)
	}
}
