package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

func throughputDefaults() options {
	return options{Warm: 30 * time.Second, For: time.Minute, Runs: 3, Conns: 32, Sizes: numbers{2 << 10, 64 << 10}, Fanouts: numbers{3, 1}}
}

func batchDefaults() options {
	o := throughputDefaults()
	o.Batch, o.Conns = 100, 8
	return o
}

// speed is what one run of a closed loop showed.
type speed struct {
	verdict
	events, deliveries float64       // a second, from the first request to the last arrival
	cpu                time.Duration // of the daemon, a delivery
	accept, delivered  quantiles
	behind             quantiles // after the acknowledgement
	rss                int64
	floor              float64       // requests a second of the bare client
	floorCPU           time.Duration // of the bare client, a request
}

// throughput sends as fast as answers come. Before that, a bare client does the same without the
// daemon.
func throughput(ctx context.Context, o options) error {
	if o.Store == inPostgres {
		return throughputShared(ctx, o)
	}
	title := "Throughput"
	if o.Batch > 0 {
		title = fmt.Sprintf("Throughput, batches of %d", o.Batch)
	}
	t := o.newTable(title, "body", "fan-out", "run", "events/s", "deliveries/s", "CPU us/delivery", "accept p50 / p99 ms", "delivered p50 / p99 ms", "peak RSS MiB",
		"lost", "duplicated", "refused", "floor requests/s", "floor CPU us", "rate / floor", "CPU / floor", "bars")
	for _, size := range o.Sizes {
		for _, fanout := range o.Fanouts {
			var all []speed
			for i := range o.Runs {
				o.note("%s: %d bytes, fan-out %d, run %d of %d", title, size, fanout, i+1, o.Runs)
				s, err := o.speed(ctx, size, fanout)
				if err != nil {
					return err
				}
				all = append(all, s)
				t.row(s.cells(size, fanout, strconv.Itoa(i+1), o.Batch > 0)...)
			}
			slices.SortFunc(all, func(a, b speed) int { return int(a.deliveries - b.deliveries) })
			t.row(all[len(all)/2].cells(size, fanout, "**median**", o.Batch > 0)...)
		}
	}
	return nil
}

func (s *speed) cells(size, fanout int, run string, batch bool) []string {
	rate, cpu := s.deliveries/s.floor, float64(s.cpu)/float64(s.floorCPU)
	var set []bar
	switch {
	case batch:
	case fanout == 3 && size == 2<<10:
		set = []bar{{"CPU at most 2.4", cpu <= 2.4}, {"rate at least 0.55", rate >= 0.55}, {"RSS at most 200", s.rss <= 200<<20}}
	case fanout == 1 && size == 2<<10:
		set = []bar{{"rate at least 0.35", rate >= 0.35}}
	case fanout == 3 && size == 64<<10:
		set = []bar{{"at most 240 us", s.cpu <= 240*time.Microsecond}, {"rate at least 0.4", rate >= 0.4}}
	}
	cells := []string{strconv.Itoa(size), strconv.Itoa(fanout), run, fmt.Sprintf("%.0f", s.events), fmt.Sprintf("%.0f", s.deliveries), micros(s.cpu),
		s.accept.String(), s.delivered.String(), mebibytes(s.rss)}
	cells = append(cells, s.verdict.cells()...)
	return append(cells, fmt.Sprintf("%.0f", s.floor), micros(s.floorCPU), fmt.Sprintf("%.2f", rate), fmt.Sprintf("%.2f", cpu), bars(set...))
}

// oneDeveloper is a group of one developer whose destinations may have more attempts in flight than
// they need: with a bound near the loader's connections, the run would measure the bound.
func (o *options) oneDeveloper(fanout int) func(sink string) []group {
	return func(sink string) []group {
		return []group{{prefix: living, developers: 1, fanout: fanout, inFlight: 64, url: sink}}
	}
}

func (o *options) speed(ctx context.Context, size, fanout int) (s speed, err error) {
	r, err := newRig(*o, []int{size}, o.oneDeveloper(fanout))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if _, err := r.direct(ctx, size, min(o.Warm, 5*time.Second)); err != nil {
		return s, err
	}
	floor, err := r.direct(ctx, size, min(o.For, 30*time.Second))
	if err != nil {
		return s, err
	}
	last := int64(0)
	for _, one := range floor.all {
		last = max(last, one.Acked)
	}
	n := len(floor.all)
	s.floor, s.floorCPU = float64(n)/time.Duration(last-floor.began()).Seconds(), floor.cpu/time.Duration(max(1, n))
	if err := r.start(ctx); err != nil {
		return s, err
	}
	return s, r.closedLoop(ctx, &s, size)
}

// closedLoop warms the daemon up and measures it until all is delivered.
func (r *rig) closedLoop(ctx context.Context, s *speed, size int) error {
	if _, err := r.send(ctx, task{For: r.Warm, Size: size, Batch: r.Batch}); err != nil {
		return err
	}
	if err := r.drained(ctx); err != nil {
		return err
	}
	if r.warmed != nil {
		if err := r.warmed(); err != nil {
			return err
		}
	}
	profiled := r.profile(ctx, r.Profile, r.For)
	before, err := r.daemonsCPU()
	if err != nil {
		return err
	}
	w, err := r.send(ctx, task{For: r.For, Size: size, Batch: r.Batch})
	if err != nil {
		return err
	}
	if err := r.drained(ctx); err != nil {
		return err
	}
	after, err := r.daemonsCPU()
	if err != nil {
		return err
	}
	if err := <-profiled; err != nil {
		return err
	}
	if s.rss, err = r.daemon.peakRSS(); err != nil {
		return err
	}
	t, v, err := r.judge(ctx)
	if err != nil {
		return err
	}
	s.verdict = v
	s.cpu = (after - before) / time.Duration(max(1, r.pace(s, t, &w)))
	return nil
}

// daemonsCPU is how long all daemons have run on a processor.
func (r *rig) daemonsCPU() (total time.Duration, err error) {
	for _, d := range append([]*daemon{r.daemon}, r.others...) {
		n, err := d.cpu()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// pace fills in the rates and times of what was sent, and returns how many deliveries it had.
func (r *rig) pace(s *speed, t tally, w *sent) int {
	delivered, last := r.delivered(t, w, false, 0)
	took := time.Duration(last - w.began())
	s.accept, s.delivered, s.behind = quantilesOf(w.accept()), quantilesOf(delivered), quantilesOf(r.behind(t, w))
	s.events, s.deliveries = float64(w.accepted())/took.Seconds(), float64(len(delivered))/took.Seconds()
	return len(delivered)
}
