package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

func producersDefaults() options {
	return options{Warm: 10 * time.Second, For: 30 * time.Second, Runs: 5, Conns: 16, Sizes: numbers{1 << 10}, Fanouts: numbers{1}, Rate: 200, Slow: 200, Idle: 2000, tokens: true}
}

// neighbours is what one producer saw, alone and beside another, in one run.
type neighbours struct {
	verdict
	events        int
	alone, beside quantiles
}

// producers compares how long acknowledgements take for one producer, alone and
// while the token of another has slow uploads and idle connections.
func producers(ctx context.Context, o options) error {
	t := o.newTable(fmt.Sprintf("Producers, %.0f events/s", o.Rate), "slow uploads", "idle connections", "run", "events", "alone accept p50 / p99 ms", "beside p50 / p99 ms",
		"p99 ratio", "lost", "duplicated", "refused", "bars")
	var all []neighbours
	for i := range o.Runs {
		o.note("producers: run %d of %d", i+1, o.Runs)
		n, err := o.neighbours(ctx, i%2 == 1) // what drifts with time favours neither
		if err != nil {
			return err
		}
		all = append(all, n)
		t.row(n.cells(&o, strconv.Itoa(i+1))...)
	}
	slices.SortFunc(all, func(a, b neighbours) int { return int(1e6 * (a.ratio() - b.ratio())) })
	t.row(all[len(all)/2].cells(&o, "**median** by p99 ratio")...)
	return nil
}

func (n *neighbours) ratio() float64 { return float64(n.beside.p99) / float64(n.alone.p99) }

func (n *neighbours) cells(o *options, run string) []string {
	cells := []string{strconv.Itoa(o.Slow), strconv.Itoa(o.Idle), run, strconv.Itoa(n.events), n.alone.String(), n.beside.String(), fmt.Sprintf("%.2f", n.ratio())}
	return append(append(cells, n.verdict.cells()...), bars(bar{"none refused", n.refused == 0}, bar{"p99 below 2 times", n.ratio() < 2}))
}

// neighbours measures both in one daemon, one after the other.
func (o *options) neighbours(ctx context.Context, noiseFirst bool) (n neighbours, err error) {
	size := o.Sizes[0]
	r, err := newRig(*o, []int{size}, func(sink string) []group {
		return append(o.oneDeveloper(o.Fanouts[0])(sink), group{prefix: noisy, developers: 1, fanout: 1, url: sink})
	})
	if err != nil {
		return n, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx); err != nil {
		return n, err
	}
	if _, err := r.send(ctx, task{For: o.Warm, Size: size, Rate: o.Rate}); err != nil {
		return n, err
	}
	for _, noise := range []bool{noiseFirst, !noiseFirst} {
		w, err := r.beside(ctx, noise)
		if err != nil {
			return n, err
		}
		n.events += w.accepted()
		if noise {
			n.beside = quantilesOf(w.accept())
		} else {
			n.alone = quantilesOf(w.accept())
		}
	}
	if err := r.drained(ctx); err != nil {
		return n, err
	}
	_, n.verdict, err = r.judge(ctx)
	return n, err
}

// beside sends for as long as is measured, beside a noisy neighbour or alone.
func (r *rig) beside(ctx context.Context, noise bool) (sent, error) {
	if noise {
		n, err := startNoise(ctx, r.url, r.Slow, r.Idle)
		if err != nil {
			return sent{}, err
		}
		defer n.stop()
	}
	return r.send(ctx, task{For: r.For, Size: r.Sizes[0], Rate: r.Rate})
}
