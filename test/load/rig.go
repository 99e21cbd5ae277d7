package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

// rig is a sink and a daemon on a fresh store, and what was sent to them.
type rig struct {
	options
	dir    string
	groups []group
	far    *far
	*daemon
	others   []*daemon    // on the same store
	database *database    // nil: the store is embedded
	warmed   func() error // called when the warm-up is over; nil: nobody asks
	waves    []sent       // to the living
}

// newRig starts the sink and writes settings; groups get the sink's address.
func newRig(o options, sizes []int, groups func(sink string) []group) (r *rig, err error) {
	r = &rig{options: o}
	if r.dir, err = os.MkdirTemp(o.Dir, "fantail-load-"); err != nil {
		return nil, err
	}
	if r.far, err = startSink(sizes...); err == nil {
		r.groups = groups(r.far.url + "/d/")
		err = writeSettings(r.dir, r.groups, o.tokens)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) start(ctx context.Context) (err error) {
	if r.Store == inPostgres {
		return r.startShared(ctx)
	}
	r.daemon, err = startDaemon(ctx, r.Binary, r.dir, 0, r.Profile != "", r.tokens)
	return err
}

// close stops everything and removes the store.
func (r *rig) close() error {
	var errs []error
	if r.daemon != nil {
		errs = append(errs, r.daemon.stop())
	}
	for _, d := range r.others {
		errs = append(errs, d.stop())
	}
	if r.database != nil {
		errs = append(errs, r.database.stop())
	}
	if r.far != nil {
		errs = append(errs, r.far.end())
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// living is the group that the sink stands for.
func (r *rig) living() group { return r.groups[0] }

// send runs a loader on the living; what t leaves out is filled in.
func (r *rig) send(ctx context.Context, t task) (sent, error) {
	t.URL, t.Prefix = r.url, living
	for _, d := range r.others {
		t.Others = append(t.Others, d.url)
	}
	if r.tokens {
		t.Token = tokenOf(living)
	}
	if t.Developers == 0 {
		t.Developers = r.living().developers
	}
	if t.Conns == 0 {
		t.Conns = r.Conns
	}
	for _, w := range r.waves {
		t.First = max(t.First, w.next())
	}
	s, err := load(ctx, t)
	if err == nil && s.accepted() == 0 {
		err = fmt.Errorf("none was accepted, by status: %v", s.refusals())
	}
	if n := s.refusals(); err == nil && len(n) > 0 {
		r.note("not accepted, by status: %v", n)
	}
	r.waves = append(r.waves, s)
	return s, err
}

// spots are the destinations of event n of s.
func (r *rig) spots(s *sent, n int) (from, to int) {
	f := r.living().fanout
	from = s.turn(n) * f
	return from, from + f
}

// patience is how long a drain goes on without an arrival before it is given up: longer than the
// first wait of a retry.
const patience = time.Minute

// drained waits until everything that was accepted has been delivered, or nothing arrives any more.
// In that case judge says what is lost.
func (r *rig) drained(ctx context.Context) error {
	want := 0
	for _, w := range r.waves {
		want += w.accepted() * r.living().fanout
	}
	for last, since := -1, time.Now(); time.Since(since) < patience; time.Sleep(10 * time.Millisecond) {
		have, err := r.far.count(ctx)
		if err != nil {
			return err
		}
		if have != last {
			last, since = have, time.Now()
		}
		if have < want {
			continue
		}
		// Arrivals count duplicates as well, so the daemon has the last word.
		pending, _, err := r.pending(ctx, living)
		if err != nil || pending == 0 {
			return err
		}
	}
	return nil
}

// verdict is what a run says of itself besides its figures.
type verdict struct {
	lost, doubled, refused int
}

// fault is an error if the run is worth nothing.
func (v verdict) fault() error {
	if v.lost > 0 {
		return fmt.Errorf("%d acknowledged deliveries never arrived", v.lost)
	}
	return nil
}

func (v verdict) cells() []string {
	return []string{strconv.Itoa(v.lost), strconv.Itoa(v.doubled), strconv.Itoa(v.refused)}
}

// judge compares everything that was acknowledged with what arrived.
func (r *rig) judge(ctx context.Context) (t tally, v verdict, err error) {
	if t, err = r.far.tally(ctx); err != nil {
		return t, v, err
	}
	v, err = compare(t, r.waves, r.spots)
	return t, v, err
}

func compare(t tally, waves []sent, spots func(*sent, int) (int, int)) (v verdict, err error) {
	if t.Wrong > 0 {
		return v, fmt.Errorf("%d arrivals had a body or a signature that is not what was sent", t.Wrong)
	}
	v.doubled = t.doubled
	for i := range waves {
		v.refused += waves[i].refused()
		waves[i].events(func(n int, _ *sending) {
			from, to := spots(&waves[i], n)
			for d := from; d < to; d++ {
				if _, ok := t.first[spot{int32(d), int32(n)}]; !ok {
					v.lost++
				}
			}
		})
	}
	return v, v.fault()
}

// events calls f with each event that was accepted.
func (s *sent) events(f func(n int, one *sending)) {
	for i := range s.all {
		if one := &s.all[i]; one.accepted() {
			for n := one.N; n < one.N+one.Count; n++ {
				f(int(n), one)
			}
		}
	}
}

// accept returns how long acknowledgements took.
func (s *sent) accept() (all []time.Duration) {
	s.events(func(_ int, one *sending) { all = append(all, time.Duration(one.Acked-one.Sent)) })
	return all
}

// delivered returns how long events took from when they were due, or sent, to their arrival at each
// destination from number first on.
func (r *rig) delivered(t tally, s *sent, due bool, first int) (all []time.Duration, last int64) {
	s.events(func(n int, one *sending) {
		from, to := r.spots(s, n)
		for d := max(from, first); d < to; d++ {
			at := t.first[spot{int32(d), int32(n)}]
			last = max(last, at)
			since := one.Sent
			if due {
				since = one.Due
			}
			all = append(all, time.Duration(at-since))
		}
	})
	return all, last
}

// behind returns how long after their acknowledgement events arrived at each destination; 0 for those
// that were faster than it. The lines of a batch are acknowledged with its end.
func (r *rig) behind(t tally, s *sent) (all []time.Duration) {
	s.events(func(n int, one *sending) {
		from, to := r.spots(s, n)
		for d := from; d < to; d++ {
			all = append(all, max(0, time.Duration(t.first[spot{int32(d), int32(n)}]-one.Acked)))
		}
	})
	return all
}

// quantiles are those that are reported.
type quantiles struct{ p50, p99 time.Duration }

func quantilesOf(d []time.Duration) quantiles {
	if len(d) == 0 {
		return quantiles{}
	}
	slices.Sort(d)
	return quantiles{d[len(d)/2], d[len(d)*99/100]}
}

func (q quantiles) String() string { return millis(q.p50) + " / " + millis(q.p99) }

func millis(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()*1000) }

func micros(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1e6) }

func mebibytes(n int64) string { return strconv.FormatInt(n>>20, 10) }

// direct posts straight to the sink, for the floor, and forgets what arrived.
func (r *rig) direct(ctx context.Context, size int, long time.Duration) (s sent, err error) {
	s, err = load(ctx, task{URL: r.far.url, Direct: true, Prefix: living, Developers: r.living().developers * r.living().fanout, Conns: r.Conns, For: long, Size: size})
	if err != nil {
		return s, err
	}
	if bad := s.refused(); bad > 0 {
		return s, fmt.Errorf("the sink did not answer %d requests with %d", bad, http.StatusOK)
	}
	return s, r.far.reset(ctx)
}
