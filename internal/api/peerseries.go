package api

import (
	"errors"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// seriesWish says which series is meant: of a destination, or of a kind ("" for all).
type seriesWish struct {
	Dest  uint32 // 0: of a kind
	Kind  string
	Range series.Range
}

// recordedSeries is what one daemon has of a series.
type recordedSeries struct {
	Known  bool
	Points series.Points
	Kinds  []string
}

func (a *API) recordedHere(w seriesWish) (r recordedSeries, err error) {
	if w.Dest != 0 {
		r.Points, err = a.Series.Of(w.Dest, time.Now())
	} else {
		r.Points, err = a.Series.Kind(w.Kind, w.Range, time.Now())
		r.Kinds = a.Series.Kinds()
	}
	r.Known = err == nil
	if errors.Is(err, series.ErrUnknown) {
		err = nil
	}
	return r, err
}

// recordedByAll joins what all daemons have of a series; series.ErrUnknown: none has any.
func (a *API) recordedByAll(c *call, w seriesWish) (recordedSeries, error) {
	sum, err := a.recordedHere(w)
	if err != nil {
		return sum, err
	}
	if !sum.Known && w.Dest != 0 {
		sum.Points = series.EmptyOf(time.Now())
	} else if !sum.Known {
		sum.Points = series.Empty(w.Range, time.Now())
	}
	askPeers(a, c, "/peer/series", w, 0, func(_ store.Daemon, theirs recordedSeries) {
		if theirs.Known {
			sum.Known = true
			sum.Points.Join(theirs.Points)
		}
		sum.Kinds = append(sum.Kinds, theirs.Kinds...)
	})
	slices.Sort(sum.Kinds)
	sum.Kinds = slices.Compact(sum.Kinds)
	if !sum.Known {
		return sum, series.ErrUnknown
	}
	return sum, nil
}

func (a *API) peerSeries(c *call, body []byte) error {
	var w seriesWish
	if err := question(body, &w); err != nil {
		return err
	}
	if w.Range < series.Hour || w.Range > series.Week {
		return refuse(400, "invalid_request", "there is no such range")
	}
	r, err := a.recordedHere(w)
	if err != nil {
		return err
	}
	return c.json(200, r)
}
