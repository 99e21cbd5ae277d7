package api

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/series"
)

// seriesView is a series: one value a step, null where nothing is known.
type seriesView struct {
	Developer   string     `json:"developer,omitempty"`
	Destination string     `json:"destination,omitempty"`
	Kind        string     `json:"kind,omitempty"`
	Kinds       []string   `json:"kinds,omitempty"` // those that have series; only in all
	From        time.Time  `json:"from"`
	Step        int        `json:"step_seconds"`
	Accepted    []*int64   `json:"accepted"`
	Delivered   []*int64   `json:"delivered"`
	Failed      []*int64   `json:"failed"`
	Pending     []*int64   `json:"pending"`
	P50         []*float64 `json:"latency_p50_ms"`
	P99         []*float64 `json:"latency_p99_ms"`
}

var seriesRanges = map[string]series.Range{"1h": series.Hour, "24h": series.Day, "7d": series.Week}

// showSeries shows what happened over a time: in all, to a kind, or to a destination.
func (a *API) showSeries(c *call) error {
	q := &c.query
	developer, destination, kind, over := q.text("developer"), q.text("destination"), q.text("kind"), q.text("range")
	one := developer != "" || destination != ""
	span, known := seriesRanges[cmp.Or(over, "1h")]
	switch {
	case !known:
		return refuse(400, "invalid_parameter", fmt.Sprintf("unknown range %q: want 1h, 24h or 7d", over))
	case one && (developer == "" || destination == ""):
		return refuse(400, "invalid_parameter", "the series of a destination needs developer and destination: names are each developer's own")
	case one && kind != "":
		return refuse(400, "invalid_parameter", "a series is of a destination or of a kind: leave one out")
	case one && over != "" && span != series.Day:
		return refuse(400, "invalid_parameter", "the series of a destination has the range 24h")
	case !one && c.who.developers != nil:
		// They count what others do, too.
		return refuse(403, "forbidden", "series in all and of a kind are for tokens without a limit to developers: name a developer and a destination")
	}
	if one {
		d, err := a.destinationNamed(c.who, developer, destination)
		if err != nil {
			return err
		}
		r, err := a.recordedByAll(c, seriesWish{Dest: d.ID})
		if err != nil {
			return unknownSeries(err)
		}
		v := viewSeries(&r.Points)
		v.Developer, v.Destination, v.Kind = developer, destination, d.Key.Kind
		return c.json(200, v)
	}
	r, err := a.recordedByAll(c, seriesWish{Kind: kind, Range: span})
	if err != nil {
		return unknownSeries(err)
	}
	v := viewSeries(&r.Points)
	if v.Kind = kind; kind == "" {
		v.Kinds = r.Kinds
	}
	return c.json(200, v)
}

func unknownSeries(err error) error {
	if errors.Is(err, series.ErrUnknown) {
		return notFound("there is no such series: no destination of the kind is known")
	}
	return err
}

func viewSeries(p *series.Points) seriesView {
	return seriesView{
		From: p.First, Step: int(p.Step / time.Second),
		Accepted: p.Accepted, Delivered: p.Delivered, Failed: p.Failed, Pending: p.Pending, P50: p.P50, P99: p.P99,
	}
}
