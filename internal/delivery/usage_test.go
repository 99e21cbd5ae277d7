package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// total sums a series.
func total(values []*int64) (n int64) {
	for _, v := range values {
		if v != nil {
			n += *v
		}
	}
	return n
}

func rejects(context.Context, destination.Delivery) error {
	return destination.Reject(errors.New("refused"))
}

// Every delivery made, by a producer or by a replay, every attempt and every end is
// counted once: by developer, and in the series that plots show.
func TestUsageAndSeriesCountEverythingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.series = series.New()
		a, fa := r.add("acme", "a")
		b, fb := r.add("acme", "b")
		c, fc := r.add("globex", "c")
		fa.answer, fb.answer, fc.answer = takes(2*time.Second), rejects, hang
		r.start()
		defer r.close()
		r.series.Tick(time.Now(), func(uint32) int64 { return 0 })
		ids := r.accept(a, b, c)
		r.move(store.Cancel, r.accept(c)[0])
		pass(40 * time.Second) // c has failed once
		made, err := r.store.Replay(context.Background(), r.now(), 7, []store.Want{{Event: ids[0].ID.Event, Day: ids[0].ID.Day, Dest: a, Due: r.now().UnixNano()}})
		if err != nil {
			t.Fatal(err)
		}
		r.s.Moved(made)
		again, err := r.store.Replay(context.Background(), r.now(), 7, []store.Want{{Event: ids[0].ID.Event, Day: ids[0].ID.Day, Dest: a, Due: r.now().UnixNano()}})
		if err != nil {
			t.Fatal(err)
		}
		r.s.Moved(again) // it was made before
		pass(5 * time.Second)
		size := float64(made[0].Item.Size)
		got := figures(t, r.s)
		for name, want := range map[string]float64{
			"fantail_usage_deliveries_total{acme,accepted}":    3,
			"fantail_usage_deliveries_total{acme,delivered}":   2,
			"fantail_usage_deliveries_total{acme,dead}":        1,
			"fantail_usage_deliveries_total{acme,cancelled}":   0,
			"fantail_usage_deliveries_total{globex,accepted}":  2,
			"fantail_usage_deliveries_total{globex,cancelled}": 1,
			"fantail_usage_attempts_total{acme}":               3,
			"fantail_usage_attempts_total{globex}":             1,
			"fantail_usage_bytes_total{acme}":                  3 * size,
			"fantail_usage_bytes_total{globex}":                2 * size,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s = %v (%t), want %v", name, v, ok, want)
			}
		}
		at := time.Now()
		for range 31 {
			r.series.Tick(at, func(dest uint32) int64 { return r.store.Counts(dest).Pending })
			at = at.Add(series.Step)
		}
		p, err := r.series.Kind("fake", series.Hour, at)
		if err != nil {
			t.Fatal(err)
		}
		if n := [...]int64{total(p.Accepted), total(p.Delivered), total(p.Failed), *p.Pending[len(p.Pending)-1]}; n != [...]int64{5, 2, 2, 1} {
			t.Errorf("the series count %v", n)
		}
		late := 0
		for _, v := range p.P99 {
			if v != nil && *v > 1800 && *v < 2300 {
				late++
			}
		}
		if late != 1 { // the replay is not late
			t.Errorf("%d steps have a latency of 2 s", late)
		}
		var own int64
		for _, id := range []uint32{a, b, c} {
			p, err := r.series.Of(id, at)
			if err != nil {
				t.Fatal(err)
			}
			own += total(p.Accepted)
		}
		if own != 5 {
			t.Errorf("the series of destinations count %d", own)
		}
	})
}

// As many developers have counters of their own as there are labelled destinations.
func TestUsageMetricsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var ids []uint32
		for i := range series.Labelled + 30 {
			id, _ := r.add(fmt.Sprintf("dev%03d", i), "app")
			ids = append(ids, id)
		}
		r.start()
		defer r.close()
		for range 2 {
			r.accept(ids...)
			pass(10 * time.Second)
		}
		got, own := figures(t, r.s), 0
		for name := range got {
			if len(name) > 28 && name[:28] == "fantail_usage_attempts_total" {
				own++
			}
		}
		if own != series.Labelled+1 || got["fantail_usage_deliveries_total{other,accepted}"] != 60 || got["fantail_usage_deliveries_total{other,delivered}"] != 60 {
			t.Errorf("%d developers, others: %v accepted", own, got["fantail_usage_deliveries_total{other,accepted}"])
		}
	})
}

// What is accepted here and goes on at another daemon counts here, with its bytes.
func TestWhatGoesOnElsewhereCountsAsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.share(0, 2)
		id, _ := r.add("acme", "a")
		r.start()
		defer r.close()
		r.s.AcceptedElsewhere([]uint32{id}, 15)
		it := r.accept(id)[0]
		r.s.Moved([]store.Moved{{ID: store.DeliveryID{Day: it.ID.Day, Event: it.ID.Event, Dest: id, Replay: 3}, To: store.Pending, Size: 7}})
		got := figures(t, r.s)
		if n, bytes := got["fantail_usage_deliveries_total{acme,accepted}"], got["fantail_usage_bytes_total{acme}"]; n != 3 || bytes != 15+7+float64(it.Size) {
			t.Errorf("%v deliveries with %v bytes, want 3 with %v", n, bytes, 15+7+it.Size)
		}
	})
}
