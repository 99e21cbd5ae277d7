package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
)

// recorded is how many deliveries the series of the last hour have.
func (a *App) recorded(t *testing.T) (accepted, delivered int64) {
	t.Helper()
	p, err := a.series.Kind("", series.Hour, time.Now().Add(series.Step))
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Accepted {
		if p.Accepted[i] != nil {
			accepted, delivered = accepted+*p.Accepted[i], delivered+*p.Delivered[i]
		}
	}
	return accepted, delivered
}

// TestSeriesOutliveARestart, and damage to what was saved costs them alone.
func TestSeriesOutliveARestart(t *testing.T) {
	h := newHome(t)
	h.developer("acme", "app", "")
	d := h.start()
	d.send(t, "acme")
	pending := func(dest uint32) int64 { return d.store.Counts(dest).Pending }
	until(t, "it is delivered", func() bool { return d.scheduler.Status()[0].Pending == 0 && d.scheduler.Status()[0].InFlight == 0 })
	d.series.Tick(time.Now(), pending)
	d.series.Tick(time.Now().Add(series.Step), pending) // the daemon's own tick is up to 10 s away
	if accepted, delivered := d.recorded(t); accepted != 1 || delivered != 1 {
		t.Errorf("%d accepted, %d delivered", accepted, delivered)
	}
	for range 2 {
		if err := d.stop(); err != nil {
			t.Fatal(err)
		}
		d = h.start()
		if accepted, delivered := d.recorded(t); accepted != 1 || delivered != 1 {
			t.Errorf("after a restart: %d accepted, %d delivered", accepted, delivered)
		}
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	s, err := pebblestore.Open(filepath.Join(h.dir, "store"), pebblestore.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := s.Get(t.Context(), seriesKey)
	if err != nil || len(saved) < 100 {
		t.Fatalf("saved: %d bytes, %v", len(saved), err)
	}
	saved[len(saved)/2]++
	if err := s.Put(t.Context(), seriesKey, saved); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	if accepted, _ := d.recorded(t); accepted != 0 || !strings.Contains(h.logged(), "the series that plots show were dropped and begin anew") {
		t.Errorf("damage: %d accepted", accepted)
	}
	d.send(t, "acme")
}

// TestTicksAreOnTheClock, and every 5 minutes the series are saved.
func TestTicksAreOnTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3*time.Second + 5)
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Minute)
		defer cancel()
		var at []time.Time
		saved := 0
		ticks(ctx, func() {
			at = append(at, time.Now())
			time.Sleep(20 * time.Millisecond) // a tick takes its time, and none comes late for that
		}, func() { saved++ })
		if len(at) != 1+66 || saved != 2 {
			t.Errorf("%d ticks and %d saves in 11 minutes", len(at), saved)
		}
		for _, at := range at[1:] {
			if !at.Equal(at.Truncate(series.Step)) {
				t.Errorf("a tick at %v", at)
			}
		}
	})
}
