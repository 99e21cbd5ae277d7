package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

func cliffDefaults() options {
	return options{Warm: 30 * time.Second, For: time.Minute, Runs: 3, Conns: 64, Sizes: numbers{2 << 10}, Fanouts: numbers{3}, Batch: 100}
}

// crowding is how many times as many connections the larger half of a run has.
const crowding = 4

// edge is what one run showed: with some connections, and with too many.
type edge [2]speed

// share is how much of the throughput is left with too many.
func (e *edge) share() float64 { return e[1].deliveries / e[0].deliveries }

// cliff compares the throughput of more producers than the machine can serve with
// that of fewer: single events, and batches.
func cliff(ctx context.Context, o options) error {
	few, many := strconv.Itoa(o.Conns), strconv.Itoa(crowding*o.Conns)
	t := o.newTable(fmt.Sprintf("Cliff, %s connections against %s", many, few), "body", "fan-out", "events a request", "run", few+": deliveries/s", many+": deliveries/s", "share",
		few+": CPU us/delivery", many+": CPU us/delivery", few+": delivered p50 / p99 ms", many+": delivered p50 / p99 ms", many+": behind p50 / p99 ms", many+": peak RSS MiB", "lost", "duplicated", "refused", "bars")
	size, fanout := o.Sizes[0], o.Fanouts[0]
	for _, batch := range []int{0, o.Batch} {
		var all []edge
		row := func(e *edge, run string) {
			t.row(append([]string{strconv.Itoa(size), strconv.Itoa(fanout), strconv.Itoa(max(1, batch)), run}, e.cells()...)...)
		}
		for i := range o.Runs {
			var e edge
			for turn := range e {
				half := (turn + i) % 2 // what drifts with time favours neither
				p := o
				p.Batch = batch
				if half == 1 {
					p.Conns *= crowding
				}
				o.note("cliff: %d events a request, %d connections, run %d of %d", max(1, batch), p.Conns, i+1, o.Runs)
				if err := p.loop(ctx, &e[half], size, fanout); err != nil {
					return err
				}
			}
			all = append(all, e)
			row(&e, strconv.Itoa(i+1))
		}
		slices.SortFunc(all, func(a, b edge) int { return cmp.Compare(a.share(), b.share()) })
		row(&all[len(all)/2], "**median** by share")
	}
	return nil
}

func (e *edge) cells() []string {
	few, many := &e[0], &e[1]
	v := verdict{few.lost + many.lost, few.doubled + many.doubled, few.refused + many.refused}
	cells := []string{fmt.Sprintf("%.0f", few.deliveries), fmt.Sprintf("%.0f", many.deliveries), fmt.Sprintf("%.2f", e.share()),
		micros(few.cpu), micros(many.cpu), few.delivered.String(), many.delivered.String(), many.behind.String(), mebibytes(many.rss)}
	return append(append(cells, v.cells()...), bars(bar{"share at least 0.85", e.share() >= 0.85}, bar{"p99 at most 5 s behind", many.behind.p99 <= 5*time.Second}))
}

// loop measures a closed loop on a daemon and a store of its own.
func (o *options) loop(ctx context.Context, s *speed, size, fanout int) (err error) {
	r, err := newRig(*o, []int{size}, o.oneDeveloper(fanout))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx); err != nil {
		return err
	}
	return r.closedLoop(ctx, s, size)
}
