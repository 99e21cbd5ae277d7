package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

func backlogDefaults() options {
	return options{Warm: 30 * time.Second, For: time.Minute, Runs: 3, Conns: 32, Sizes: numbers{2 << 10}, Fanouts: numbers{3}, Batch: 200, Destinations: 1000, Pending: 2_000_000}
}

// weight is the result of one run with a backlog.
type weight struct {
	with, without speed
	opening       [2]speed // of the first seconds: without, with
	loading       float64  // events a second while the backlog was made
	pending       int64    // at the restart
	ready, first  time.Duration
	retries       int // failed attempts of the dead since the restart
}

// openingFor is how long the first seconds after a start are, which no warm-up precedes.
func (o *options) openingFor() time.Duration { return min(20*time.Second, o.For) }

// backlog compares the throughput of healthy destinations beside millions of
// pending deliveries with that of the same settings without any: in the first
// seconds after the start, and later.
func backlog(ctx context.Context, o options) error {
	early := "first " + o.openingFor().String()
	t := o.newTable(fmt.Sprintf("Backlog, %d pending for %d dead destinations", o.Pending, o.Destinations), "run", "pending at the restart", "made at events/s", "ready s", "first healthy delivery s",
		"failed attempts meanwhile", early+": deliveries/s without", early+": with", early+": with / without", early+": delivered p50 / p99 ms", "deliveries/s without", "deliveries/s with", "with / without", "delivered p50 / p99 ms", "peak RSS MiB", "lost", "duplicated", "refused", "bars")
	var all []weight
	for i := range o.Runs {
		w, err := o.weight(ctx, fmt.Sprintf("backlog, run %d of %d:", i+1, o.Runs))
		if err != nil {
			return err
		}
		all = append(all, w)
		t.row(w.cells(strconv.Itoa(i+1), early)...)
	}
	slices.SortFunc(all, func(a, b weight) int { return int(1e6 * (a.share() - b.share())) })
	t.row(all[len(all)/2].cells("**median** by share", early)...)
	return nil
}

// share is how much of the throughput is left.
func (w *weight) share() float64 { return w.with.deliveries / w.without.deliveries }

func (w *weight) openingShare() float64 { return w.opening[1].deliveries / w.opening[0].deliveries }

func (w *weight) cells(run, early string) []string {
	cells := []string{run, strconv.FormatInt(w.pending, 10), fmt.Sprintf("%.0f", w.loading), fmt.Sprintf("%.2f", w.ready.Seconds()), fmt.Sprintf("%.2f", w.first.Seconds()),
		strconv.Itoa(w.retries), fmt.Sprintf("%.0f", w.opening[0].deliveries), fmt.Sprintf("%.0f", w.opening[1].deliveries), fmt.Sprintf("%.2f", w.openingShare()), w.opening[1].delivered.String(),
		fmt.Sprintf("%.0f", w.without.deliveries), fmt.Sprintf("%.0f", w.with.deliveries), fmt.Sprintf("%.2f", w.share()), w.with.delivered.String(), mebibytes(w.with.rss)}
	return append(append(cells, w.with.verdict.cells()...), bars(bar{"RSS below 400 MB", w.with.rss < 400_000_000}, bar{early + " share at least 0.8", w.openingShare() >= 0.8}, bar{"share at least 0.8", w.share() >= 0.8},
		bar{"ready below 5 s", w.ready < 5*time.Second}, bar{"first below 5 s", w.first < 5*time.Second}))
}

func (o *options) weight(ctx context.Context, name string) (w weight, err error) {
	size, requests := o.Sizes[0], o.Batch
	o.Batch = 0 // the healthy get single events
	defer func() { o.Batch = requests }()
	for _, loaded := range []bool{false, true} {
		if err := func() (err error) {
			r, err := o.newBacklogRig(size)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.close()) }()
			if err := r.start(ctx); err != nil {
				return err
			}
			if !loaded {
				o.note("%s measuring without it", name)
				if _, err := r.open(ctx, &w.opening[0], size); err != nil {
					return err
				}
				return r.closedLoop(ctx, &w.without, size)
			}
			o.note("%s loading it", name)
			made, err := r.makeBacklog(ctx, &w, requests)
			if err != nil {
				return err
			}
			o.note("%s kill -9, restart, measuring", name)
			if err := r.comeBack(ctx, &w, made, size); err != nil {
				return err
			}
			if err := r.closedLoop(ctx, &w.with, size); err != nil {
				return err
			}
			w.retries, err = r.failed(ctx)
			return err
		}(); err != nil {
			return w, err
		}
	}
	return w, nil
}

// newBacklogRig has one developer with healthy destinations and many with a dead one each.
func (o *options) newBacklogRig(size int) (*rig, error) {
	nobody, err := freePort()
	if err != nil {
		return nil, err
	}
	return newRig(*o, []int{size}, func(sink string) []group {
		return append(o.oneDeveloper(o.Fanouts[0])(sink), group{prefix: dead, developers: o.Destinations, fanout: 1, url: "http://" + nobody + "/"})
	})
}

// makeBacklog posts events for the dead until enough are accepted, and returns how many are.
func (r *rig) makeBacklog(ctx context.Context, w *weight, batch int) (made int, err error) {
	began := time.Now()
	next := 0
	for tries := 0; made < r.Pending; tries++ {
		if tries == 20 {
			return made, fmt.Errorf("only %d of %d events were accepted", made, r.Pending)
		}
		s, err := load(ctx, task{URL: r.url, Prefix: dead, Developers: r.Destinations, Conns: 4, Batch: batch, For: time.Hour, Count: r.Pending - made, First: next, Size: r.Sizes[0]})
		if err != nil {
			return made, err
		}
		made, next = made+s.accepted(), s.next()
		if n := s.refused(); n > 0 {
			r.note("%d events refused, to be sent again", n)
			time.Sleep(time.Second)
		}
	}
	w.loading = float64(made) / time.Since(began).Seconds()
	return made, nil
}

// comeBack kills the daemon, starts it again, and sees that nothing that was
// acknowledged is missing. An event for the healthy is posted as soon as it is
// ready, and at once others as fast as answers come.
func (r *rig) comeBack(ctx context.Context, w *weight, made, size int) error {
	r.daemon.kill()
	r.daemon = nil
	if err := r.start(ctx); err != nil {
		return err
	}
	w.ready = r.ready
	one, err := r.send(ctx, task{For: time.Minute, Count: 1, Conns: 1, Size: size})
	if err != nil {
		return err
	}
	t, err := r.open(ctx, &w.opening[1], size)
	if err != nil {
		return err
	}
	first, ok := t.first[spot{0, int32(one.First)}]
	if !ok {
		return errors.New("the first healthy event after the restart was not accepted")
	}
	w.first = time.Duration(first - r.began.UnixNano())
	pending, accepted, err := r.pending(ctx, dead)
	if err != nil {
		return err
	}
	if accepted < int64(made) {
		return fmt.Errorf("%d deliveries were acknowledged before the kill and %d are known after it", made, accepted)
	}
	w.pending = pending
	return nil
}

// open measures a daemon that has just become ready, without a warm-up.
func (r *rig) open(ctx context.Context, s *speed, size int) (t tally, err error) {
	w, err := r.send(ctx, task{For: r.openingFor(), Size: size})
	if err != nil {
		return t, err
	}
	if err := r.drained(ctx); err != nil {
		return t, err
	}
	if t, s.verdict, err = r.judge(ctx); err == nil {
		r.pace(s, t, &w)
	}
	return t, err
}
