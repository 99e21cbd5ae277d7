package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func lightDefaults() options {
	return options{Warm: 30 * time.Second, For: time.Minute, Runs: 3, Conns: 8, Sizes: numbers{2 << 10}, Fanouts: numbers{1, 3}, Rate: 100}
}

// delay is what one run at a low rate showed.
type delay struct {
	verdict
	events            int
	accept, delivered quantiles
	block             int64     // bytes that the log took for an event
	shared            bool      // the store is in PostgreSQL
	disk              quantiles // of a bare loop that syncs as much, beside it
}

// light measures how long an event takes when nothing is in its way, beside a
// bare loop of fdatasync.
func light(ctx context.Context, o options) error {
	title := fmt.Sprintf("Light load, %.0f events/s", o.Rate)
	if o.Store == inPostgres {
		title += ", the store in PostgreSQL (" + strings.Join(databaseSettings, ", ") + "; fsync on)"
	}
	t := o.newTable(title, "body", "fan-out", "run", "events", "accept p50 / p99 ms", "delivered p50 / p99 ms", "bytes of a block", "fdatasync p50 / p99 ms", "beyond it p50 / p99 ms", "lost", "duplicated", "refused", "bars")
	for _, size := range o.Sizes {
		for _, fanout := range o.Fanouts {
			var all []delay
			for i := range o.Runs {
				o.note("light load: %d bytes, fan-out %d, run %d of %d", size, fanout, i+1, o.Runs)
				d, err := o.delay(ctx, size, fanout)
				if err != nil {
					return err
				}
				all = append(all, d)
				t.row(d.cells(size, fanout, strconv.Itoa(i+1))...)
			}
			slices.SortFunc(all, func(a, b delay) int { return cmp.Compare(a.beyond().p99, b.beyond().p99) })
			t.row(all[len(all)/2].cells(size, fanout, "**median** by p99 beyond")...)
		}
	}
	return nil
}

// beyond is how much longer delivery takes than the disk's own sync.
func (d *delay) beyond() quantiles {
	return quantiles{d.delivered.p50 - d.disk.p50, d.delivered.p99 - d.disk.p99}
}

func (d *delay) cells(size, fanout int, run string) []string {
	cells := []string{strconv.Itoa(size), strconv.Itoa(fanout), run, strconv.Itoa(d.events), d.accept.String(), d.delivered.String(), strconv.FormatInt(d.block, 10), d.disk.String()}
	beyond := d.beyond()
	if d.shared {
		more := quantiles{d.accept.p50 - d.disk.p50, d.accept.p99 - d.disk.p99}
		return append(append(append(cells, beyond.String()), d.verdict.cells()...),
			bars(bar{"accepted p50 at most 2 ms beyond fdatasync", more.p50 <= 2*time.Millisecond}, bar{"p99 at most 6 ms beyond", more.p99 <= 6*time.Millisecond}))
	}
	return append(append(append(cells, beyond.String()), d.verdict.cells()...),
		bars(bar{"p50 at most 0.6 ms beyond fdatasync", beyond.p50 <= 600*time.Microsecond}, bar{"p99 at most 2 ms beyond", beyond.p99 <= 2*time.Millisecond}))
}

func (o *options) delay(ctx context.Context, size, fanout int) (d delay, err error) {
	r, err := newRig(*o, []int{size}, o.oneDeveloper(fanout))
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx); err != nil {
		return d, err
	}
	if d.block, err = r.commitSize(ctx, size); err != nil {
		return d, err
	}
	if _, err := r.send(ctx, task{For: o.Warm, Size: size, Rate: o.Rate}); err != nil {
		return d, err
	}
	var synced []time.Duration
	loop := make(chan error, 1)
	go func() {
		var err error
		synced, err = syncs(ctx, r.dir, d.block, o.Rate, o.For)
		loop <- err
	}()
	w, err := r.send(ctx, task{For: o.For, Size: size, Rate: o.Rate})
	if err := errors.Join(err, <-loop); err != nil {
		return d, err
	}
	d.disk = quantilesOf(synced)
	if err := r.drained(ctx); err != nil {
		return d, err
	}
	t, v, err := r.judge(ctx)
	if err != nil {
		return d, err
	}
	d.shared = r.database != nil
	d.verdict, d.events, d.accept, d.delivered = v, w.accepted(), quantilesOf(w.accept()), quantilesOf(r.everywhere(t, &w))
	return d, nil
}

// everywhere returns how long each event took from the loader's first byte to
// the sink's last, at the last of its destinations.
func (r *rig) everywhere(t tally, s *sent) (all []time.Duration) {
	s.events(func(n int, one *sending) {
		last := int64(0)
		from, to := r.spots(s, n)
		for d := from; d < to; d++ {
			last = max(last, t.first[spot{int32(d), int32(n)}])
		}
		all = append(all, time.Duration(last-one.Sent))
	})
	return all
}
