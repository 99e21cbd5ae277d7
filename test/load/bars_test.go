package main

import (
	"strings"
	"testing"
	"time"
)

// last is the cell of the bars.
func last(cells []string) string { return cells[len(cells)-1] }

func TestBarsOfThroughput(t *testing.T) {
	at := func(rate, cpu float64, us int, rss int64) speed {
		return speed{deliveries: 1000 * rate, floor: 1000, cpu: time.Duration(us) * time.Microsecond, floorCPU: time.Duration(float64(us)/cpu) * time.Microsecond, rss: rss << 20}
	}
	for name, c := range map[string]struct {
		s            speed
		size, fanout int
		batch        bool
		want         string
	}{
		"small, met":    {at(0.55, 2.4, 24, 200), 2048, 3, false, "CPU at most 2.4 met, rate at least 0.55 met, RSS at most 200 met"},
		"small, missed": {at(0.54, 2.5, 25, 201), 2048, 3, false, "**CPU at most 2.4 missed**, **rate at least 0.55 missed**, **RSS at most 200 missed**"},
		"one, met":      {at(0.35, 9, 90, 900), 2048, 1, false, "rate at least 0.35 met"},
		"one, missed":   {at(0.34, 1, 10, 1), 2048, 1, false, "**rate at least 0.35 missed**"},
		"large, met":    {at(0.4, 9, 240, 900), 65536, 3, false, "at most 240 us met, rate at least 0.4 met"},
		"large, missed": {at(0.39, 1, 241, 1), 65536, 3, false, "**at most 240 us missed**, **rate at least 0.4 missed**"},
		"large to one":  {at(0.1, 9, 900, 900), 65536, 1, false, "none set"},
		"batches":       {at(0.1, 9, 900, 900), 2048, 3, true, "none set"},
	} {
		if got := last(c.s.cells(c.size, c.fanout, "1", c.batch)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestBarsOfASharedStore: what the store alone takes is both less the rest of a daemon, which is the
// same on the embedded store.
func TestBarsOfASharedStore(t *testing.T) {
	const us = time.Microsecond
	s := share{speed: speed{cpu: 55 * us}, database: 30 * us, embedded: 44 * us, alone: 80 * us, daemons: 3}
	if got, want := last(s.cells(2048, 3, "1")), "store at most 50 us met, three at most 1.1 times one met"; got != want || s.store() != 50*us {
		t.Errorf("%v %s, want %s", s.store(), got, want)
	}
	s.database, s.alone = 34*us, 80*us
	if got := last(s.cells(2048, 3, "1")); strings.Count(got, "missed") != 2 {
		t.Error(got)
	}
	d := delay{shared: true, disk: quantiles{700 * us, 9000 * us}, accept: quantiles{2700 * us, 15000 * us}}
	if got := last(d.cells(2048, 3, "1")); strings.Contains(got, "missed") {
		t.Error(got)
	}
	d.accept = quantiles{2701 * us, 15001 * us}
	if got := last(d.cells(2048, 3, "1")); strings.Count(got, "missed") != 2 {
		t.Error(got)
	}
}

func TestBarsOfLightLoadAreBeyondTheDisk(t *testing.T) {
	const us = time.Microsecond
	d := delay{disk: quantiles{700 * us, 9000 * us}, delivered: quantiles{1300 * us, 11000 * us}}
	if got := last(d.cells(2048, 3, "1")); strings.Contains(got, "missed") {
		t.Error(got)
	}
	d.delivered = quantiles{1301 * us, 11001 * us}
	if got := last(d.cells(2048, 3, "1")); strings.Count(got, "missed") != 2 {
		t.Error(got)
	}
}

// TestIsolationIsComparedWithUndisturbedPairs: medians where others hang, each
// of its own, with the worst where nothing does.
func TestIsolationIsComparedWithUndisturbedPairs(t *testing.T) {
	pairs := func(p50, p99 []time.Duration) (all [][2]calm) {
		for i := range p50 {
			all = append(all, [2]calm{{quantiles: quantiles{100, 100}}, {quantiles: quantiles{p50[i], p99[i]}}})
		}
		return all
	}
	hang := pairs([]time.Duration{120, 300, 110}, []time.Duration{500, 150, 90})
	r, set := isolated(hang, pairs([]time.Duration{120, 80, 70}, []time.Duration{149, 80, 70}))
	if got, want := bars(set...), "p50 1.20 times, undisturbed at worst 1.20: met, **p99 1.50 times, undisturbed at worst 1.49: missed**"; got != want || r != (ratios{1.2, 1.5}) {
		t.Errorf("%v %s, want %s", r, got, want)
	}
	if _, set := isolated(pairs([]time.Duration{100}, []time.Duration{100}), pairs([]time.Duration{80}, []time.Duration{80})); strings.Contains(bars(set...), "missed") {
		t.Errorf("no difference is a miss: %s", bars(set...))
	}
	if _, set := isolated(hang, nil); set != nil {
		t.Errorf("without undisturbed pairs: %s", bars(set...))
	}
}

func TestBarsOfTheBacklogsFirstSeconds(t *testing.T) {
	w := weight{with: speed{deliveries: 90}, without: speed{deliveries: 100}, opening: [2]speed{{deliveries: 100}, {deliveries: 80}}}
	if got := last(w.cells("1", "first 20s")); strings.Contains(got, "missed") {
		t.Error(got)
	}
	w.opening[1].deliveries = 79
	if got := last(w.cells("1", "first 20s")); !strings.Contains(got, "**first 20s share at least 0.8 missed**") {
		t.Error(got)
	}
}

func TestBarsOfTheCliff(t *testing.T) {
	e := edge{{deliveries: 100}, {deliveries: 85, verdict: verdict{refused: 3}}}
	e[1].behind.p99 = 5 * time.Second
	if got := last(e.cells()); strings.Contains(got, "missed") {
		t.Error(got)
	}
	e[1].deliveries, e[1].behind.p99 = 84, 5001*time.Millisecond
	if got := last(e.cells()); strings.Count(got, "missed") != 2 {
		t.Error(got)
	}
}

func TestTheLoopOfTheDiskKeepsItsRate(t *testing.T) {
	all, err := syncs(t.Context(), t.TempDir(), 1000, 100, 200*time.Millisecond)
	if err != nil || len(all) != 20 {
		t.Errorf("%d of 20 syncs, %v", len(all), err)
	}
}
