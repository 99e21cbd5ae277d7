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

func isolationDefaults() options {
	return options{Warm: 10 * time.Second, For: 30 * time.Second, Runs: 5, Pairs: 5, Conns: 64, Sizes: numbers{2 << 10}, Fanouts: numbers{1}, Rate: 2000, Destinations: 1000, Hanging: numbers{100, 500, 0}, Large: 32 << 20}
}

// eight destinations hang on large bodies: together they hold as many bytes as
// may be in flight by default.
const eight = 8

// calm is what healthy destinations saw in one run.
type calm struct {
	verdict
	quantiles
	deliveries int
	rss        int64
}

// isolation compares, pair by pair, what the same healthy destinations see while
// all are healthy and while others hang; and, in as many pairs between them, while
// nothing hangs in either run: so much do two runs of this hour differ by themselves.
func isolation(ctx context.Context, o options) error {
	t := o.newTable(fmt.Sprintf("Isolation, %d destinations, %.0f events/s", o.Destinations, o.Rate), "hanging", "pair", "deliveries", "all healthy p50 / p99 ms", "others hang, or again none, p50 / p99 ms",
		"p50 ratio", "p99 ratio", "p99 difference ms", "peak RSS MiB", "lost", "duplicated", "refused", "bars")
	for _, hanging := range o.Hanging {
		what := strconv.Itoa(hanging)
		if hanging == 0 {
			what = fmt.Sprintf("%d, %d bytes", eight, o.Large)
		}
		var hang, undisturbed [][2]calm
		for i := range max(o.Runs, o.Pairs) {
			if i < o.Runs {
				pair, err := o.pair(ctx, hanging, i, true, fmt.Sprintf("%s of %d hang, pair %d of %d", what, o.Destinations, i+1, o.Runs))
				if err != nil {
					return err
				}
				hang = append(hang, pair)
				t.row(pairCells(what, strconv.Itoa(i+1), pair, ratio(pair))...)
			}
			if i < o.Pairs {
				pair, err := o.pair(ctx, hanging, i, false, fmt.Sprintf("beside %s, undisturbed pair %d of %d", what, i+1, o.Pairs))
				if err != nil {
					return err
				}
				undisturbed = append(undisturbed, pair)
				t.row(pairCells(what, fmt.Sprintf("undisturbed %d", i+1), pair, ratio(pair))...)
			}
		}
		middle, set := isolated(hang, undisturbed)
		slices.SortFunc(hang, func(a, b [2]calm) int { return cmp.Compare(ratio(a).p99, ratio(b).p99) })
		t.row(pairCells(what, "**median** by p99 ratio; ratios: of each", hang[len(hang)/2], middle, set...)...)
	}
	return nil
}

// pair is two runs: in the second of the result others hang, or again nothing does.
// Every other pair runs that one first, so that what drifts with time favours neither.
func (o *options) pair(ctx context.Context, hanging, number int, faulty bool, what string) (pair [2]calm, err error) {
	for i := range pair {
		half := (i + number) % 2
		o.note("isolation: %s, %s run", what, [...]string{"first", "second"}[i])
		if pair[half], err = o.calm(ctx, hanging, faulty && half == 1); err != nil {
			return pair, err
		}
	}
	return pair, nil
}

// isolated returns the median of each ratio where others hang, and the bars: no
// worse than the worst undisturbed pair.
func isolated(hang, undisturbed [][2]calm) (r ratios, set []bar) {
	p50, p99 := ratiosOf(hang)
	r = ratios{p50[len(p50)/2], p99[len(p99)/2]}
	if len(undisturbed) > 0 {
		p50, p99 = ratiosOf(undisturbed)
		set = []bar{noWorse("p50", r.p50, p50), noWorse("p99", r.p99, p99)}
	}
	return r, set
}

// noWorse is never stricter than 1: undisturbed pairs may all happen to have been quicker the second time.
func noWorse(name string, ratio float64, undisturbed []float64) bar {
	worst := max(1, slices.Max(undisturbed))
	return bar{fmt.Sprintf("%s %.2f times, undisturbed at worst %.2f:", name, ratio, worst), ratio <= worst}
}

// ratiosOf returns the ratios of all pairs, each in order.
func ratiosOf(pairs [][2]calm) (p50, p99 []float64) {
	for _, pair := range pairs {
		r := ratio(pair)
		p50, p99 = append(p50, r.p50), append(p99, r.p99)
	}
	slices.Sort(p50)
	slices.Sort(p99)
	return p50, p99
}

type ratios struct{ p50, p99 float64 }

func ratio(pair [2]calm) ratios {
	return ratios{float64(pair[1].p50) / float64(pair[0].p50), float64(pair[1].p99) / float64(pair[0].p99)}
}

func pairCells(what, name string, pair [2]calm, r ratios, set ...bar) []string {
	first, second := pair[0], pair[1]
	v := verdict{first.lost + second.lost, first.doubled + second.doubled, first.refused + second.refused}
	cells := []string{what, name, strconv.Itoa(second.deliveries), first.quantiles.String(), second.quantiles.String(),
		fmt.Sprintf("%.2f", r.p50), fmt.Sprintf("%.2f", r.p99), millis(second.p99 - first.p99), mebibytes(second.rss)}
	return append(append(cells, v.cells()...), bars(set...))
}

// calm runs one half of a pair. All destinations reach full concurrency. Then the first of them hang,
// or do not, for as long as is measured.
func (o *options) calm(ctx context.Context, hanging int, faulty bool) (c calm, err error) {
	size, big := o.Sizes[0], hanging == 0
	if big {
		hanging = eight
	}
	if hanging >= o.Destinations {
		return c, fmt.Errorf("none of %d destinations would be left healthy", o.Destinations)
	}
	r, err := newRig(*o, []int{size, o.Large}, func(sink string) []group {
		return []group{{prefix: living, developers: o.Destinations, fanout: 1, url: sink}}
	})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx); err != nil {
		return c, err
	}
	if err := r.rise(ctx, size); err != nil {
		return c, err
	}
	if big {
		if err := r.holdLarge(ctx); err != nil {
			return c, err
		}
	}
	if _, err := r.send(ctx, task{For: o.Warm, Size: size, Rate: o.Rate}); err != nil {
		return c, err
	}
	if faulty {
		if err := r.far.hang(ctx, 0, hanging); err != nil {
			return c, err
		}
		if big {
			if err := r.letGo(ctx); err != nil {
				return c, err
			}
		}
	}
	w, err := r.send(ctx, task{For: o.For, Size: size, Rate: o.Rate})
	if err != nil {
		return c, err
	}
	released := time.Now().UnixNano()
	if err := r.far.hang(ctx, 0, 0); err != nil {
		return c, err
	}
	if big && !faulty {
		if err := r.letGo(ctx); err != nil {
			return c, err
		}
	}
	if err := r.drained(ctx); err != nil {
		return c, err
	}
	if c.rss, err = r.daemon.peakRSS(); err != nil {
		return c, err
	}
	t, v, err := r.judge(ctx)
	if err != nil {
		return c, err
	}
	c.verdict = v
	if n := r.early(t, &w, hanging, released); faulty && n > 0 {
		return c, fmt.Errorf("%d deliveries were answered by destinations that should have hung", n)
	}
	delivered, _ := r.delivered(t, &w, true, hanging)
	c.deliveries, c.quantiles = len(delivered), quantilesOf(delivered)
	return c, nil
}

// early counts what the first destinations answered before they were released.
func (r *rig) early(t tally, s *sent, first int, released int64) (early int) {
	s.events(func(n int, _ *sending) {
		if d, _ := r.spots(s, n); d < first && t.first[spot{int32(d), int32(n)}] < released {
			early++
		}
	})
	return early
}

// rise brings every destination to full concurrency. Concurrency doubles after as many successes as it
// allows at once, so that 15 are enough for the default of 16.
func (r *rig) rise(ctx context.Context, size int) error {
	if _, err := r.send(ctx, task{For: time.Hour, Count: 20 * r.Destinations, Size: size}); err != nil {
		return err
	}
	return r.drained(ctx)
}

// holdLarge has at least two large bodies accepted for each of the eight while they are paused, so
// that accepting them is no part of the measurement.
func (r *rig) holdLarge(ctx context.Context) error {
	for i := range eight {
		if err := r.Pause(ctx, living+strconv.Itoa(i), destination(i), "large bodies are made ready"); err != nil {
			return err
		}
	}
	var have [eight]int
	for range 20 { // one at a time, and again: a disk that is behind answers 503
		w, err := r.send(ctx, task{Developers: eight, Conns: 1, For: time.Hour, Count: eight, Size: r.Large})
		if err != nil {
			return err
		}
		w.events(func(n int, _ *sending) { have[w.turn(n)]++ })
		if slices.Min(have[:]) >= 2 {
			return nil
		}
	}
	return fmt.Errorf("large bodies were not accepted, only so many: %v", have)
}

// letGo resumes the eight, so that their large bodies are attempted.
func (r *rig) letGo(ctx context.Context) error {
	for i := range eight {
		if err := r.Resume(ctx, living+strconv.Itoa(i), destination(i)); err != nil {
			return err
		}
	}
	return nil
}
