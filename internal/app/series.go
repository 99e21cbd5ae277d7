package app

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// seriesKey is where the store keeps series. Several daemons have a number of their own behind it.
	seriesKey = "series"
	// mostSeries bounds the numbers. Who finds none keeps no series over a restart.
	mostSeries = 64
	// saveSeriesEvery is how much of the series a crash may lose, in ticks: 5 minutes.
	saveSeriesEvery = 30
)

// openSeries goes on with what the last run has saved. What cannot be read is worth no
// more than a log line: plots begin anew.
func (a *App) openSeries(ctx context.Context) {
	a.series = series.New()
	a.seriesKey = a.ownSeries(ctx)
	if a.seriesKey == "" {
		return
	}
	saved, err := a.store.Get(ctx, a.seriesKey)
	if err == nil {
		err = a.series.Load(saved)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		a.log.Warn("the series that plots show were dropped and begin anew", "error", err)
	}
	a.onStop("series", func(ctx context.Context) error { // behind the scheduler's last outcomes
		a.saveSeries(ctx)
		return nil
	})
}

// ownSeries is where this daemon keeps its series. Of several daemons each takes the first number
// that nobody has: whoever takes the place of one that has ended goes on with its plots.
func (a *App) ownSeries(ctx context.Context) string {
	if a.shared == nil {
		return seriesKey
	}
	for n := range mostSeries {
		key := seriesKey + "/" + strconv.Itoa(n)
		mine, err := a.shared.Duty(ctx, key)
		if mine && err == nil {
			return key
		}
		if err != nil {
			a.log.Warn("the series that plots show begin anew, and are not kept", "error", err)
			return ""
		}
	}
	return ""
}

// record keeps the series until ctx ends.
func (a *App) record(ctx context.Context) {
	ticks(ctx, func() {
		a.series.Tick(time.Now(), func(dest uint32) int64 { return a.store.Counts(dest).Pending })
	}, func() { a.saveSeries(ctx) })
}

// ticks calls tick now and at the end of every step until ctx ends, and save now and then.
func ticks(ctx context.Context, tick, save func()) {
	tick()
	timer := time.NewTimer(untilStep(time.Now()))
	defer timer.Stop()
	for n := 1; ; n++ {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if tick(); n%saveSeriesEvery == 0 {
			save()
		}
		timer.Reset(untilStep(time.Now()))
	}
}

// untilStep is how long it is to the end of the step of now.
func untilStep(now time.Time) time.Duration {
	return now.Truncate(series.Step).Add(series.Step).Sub(now)
}

func (a *App) saveSeries(ctx context.Context) {
	if a.seriesKey == "" {
		return
	}
	err := a.store.Put(ctx, a.seriesKey, a.series.Save())
	if err != nil && !errors.Is(err, store.ErrClosed) && ctx.Err() == nil {
		a.log.Warn("the series that plots show were not saved", "error", err)
	}
}
