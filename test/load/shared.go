package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// share is what one run on a shared store showed.
type share struct {
	speed
	daemons  int
	database time.Duration // CPU of the database, a delivery
	wal      int64         // bytes of its log, an event
	embedded time.Duration // CPU of one daemon on the embedded store, a delivery, in a run beside
	alone    time.Duration // CPU of one daemon and its database, a delivery, in the same turn; 0: not measured
}

// embeddedShare is what the embedded store takes of a daemon's CPU for a delivery of 2 KiB at fan-out
// 3: docs/BENCHMARKS.md, the store alone.
const embeddedShare = 9 * time.Microsecond

// both is the CPU of daemons and database, a delivery.
func (s *share) both() time.Duration { return s.cpu + s.database }

// store is the CPU of the store alone, a delivery: that of the database, and what a daemon takes for
// its client. The rest of a daemon does the same on either store.
func (s *share) store() time.Duration { return s.both() - s.embedded + embeddedShare }

// throughputShared is throughput with PostgreSQL as the store, and one or several daemons on it.
func throughputShared(ctx context.Context, o options) error {
	t := o.newTable("Throughput, the store in PostgreSQL ("+strings.Join(databaseSettings, ", ")+"; fsync on)", "body", "fan-out", "daemons", "run", "events/s", "deliveries/s",
		"daemons' CPU us/delivery", "database's CPU us/delivery", "both", "embedded: CPU us/delivery", "store: CPU us/delivery", "both, by one daemon's", "WAL bytes/event",
		"accept p50 / p99 ms", "delivered p50 / p99 ms", "peak RSS MiB", "lost", "duplicated", "refused", "bars")
	for _, size := range o.Sizes {
		for _, fanout := range o.Fanouts {
			all := map[int][]share{}
			for i := range o.Runs {
				o.note("throughput, embedded beside: %d bytes, fan-out %d, run %d of %d", size, fanout, i+1, o.Runs)
				plain := o
				plain.Store = ""
				var beside speed
				if err := plain.loop(ctx, &beside, size, fanout); err != nil {
					return err
				}
				alone := time.Duration(0)
				for _, n := range o.Daemons {
					o.note("throughput, %d daemons on PostgreSQL: %d bytes, fan-out %d, run %d of %d", n, size, fanout, i+1, o.Runs)
					s, err := o.share(ctx, size, fanout, n)
					if err != nil {
						return err
					}
					if s.embedded = beside.cpu; n == 1 {
						alone = s.both()
					}
					s.alone = alone
					all[n] = append(all[n], s)
					t.row(s.cells(size, fanout, strconv.Itoa(i+1))...)
				}
			}
			for _, n := range o.Daemons {
				slices.SortFunc(all[n], func(a, b share) int { return cmp.Compare(a.both(), b.both()) })
				t.row(all[n][len(all[n])/2].cells(size, fanout, "**median** by both")...)
			}
		}
	}
	return nil
}

func (s *share) cells(size, fanout int, run string) []string {
	var set []bar
	if fanout == 3 && size == 2<<10 {
		set = append(set, bar{"store at most 50 us", s.store() <= 50*time.Microsecond})
	}
	by := "-"
	if s.alone > 0 && s.daemons > 1 {
		ratio := float64(s.both()) / float64(s.alone)
		by = fmt.Sprintf("%.2f", ratio)
		if s.daemons == 3 {
			set = append(set, bar{"three at most 1.1 times one", ratio <= 1.1})
		}
	}
	cells := []string{strconv.Itoa(size), strconv.Itoa(fanout), strconv.Itoa(s.daemons), run, fmt.Sprintf("%.0f", s.events), fmt.Sprintf("%.0f", s.deliveries),
		micros(s.cpu), micros(s.database), micros(s.both()), micros(s.embedded), micros(s.store()), by, strconv.FormatInt(s.wal, 10),
		s.accept.String(), s.delivered.String(), mebibytes(s.rss)}
	return append(append(cells, s.verdict.cells()...), bars(set...))
}

func (o *options) share(ctx context.Context, size, fanout, daemons int) (s share, err error) {
	s.daemons = daemons
	at := *o
	at.Store, at.Daemons = inPostgres, numbers{daemons}
	r, err := newRig(at, []int{size}, at.oneDeveloper(fanout))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx); err != nil {
		return s, err
	}
	return s, r.closedLoopShared(ctx, &s, size)
}

// closedLoopShared measures the database beside closedLoop.
func (r *rig) closedLoopShared(ctx context.Context, s *share, size int) error {
	var cpu time.Duration
	var wal int64
	measure := func() (err error) {
		if cpu, err = r.database.cpu(); err == nil {
			wal, err = r.database.written(ctx)
		}
		return err
	}
	r.warmed = measure
	if err := r.closedLoop(ctx, &s.speed, size); err != nil {
		return err
	}
	cpuBefore, walBefore := cpu, wal
	if err := measure(); err != nil {
		return err
	}
	w := &r.waves[len(r.waves)-1]
	s.database = (cpu - cpuBefore) / time.Duration(max(1, w.accepted()*r.living().fanout))
	s.wal = (wal - walBefore) / int64(max(1, w.accepted()))
	return nil
}

// startShared starts the database, makes the schema, and has the daemons share it.
func (r *rig) startShared(ctx context.Context) (err error) {
	if r.database, err = startDatabase(ctx, filepath.Join(r.dir, "postgres")); err != nil {
		return err
	}
	for n := range r.Daemons[0] {
		if err := writeShared(r.dir, n, r.database.url); err != nil {
			return err
		}
	}
	if out, err := exec.CommandContext(ctx, r.Binary, "store", "migrate", "--config", filepath.Join(r.dir, settingsOf(0))).CombinedOutput(); err != nil {
		return fmt.Errorf("make the schema: %w: %s", err, out)
	}
	for n := range r.Daemons[0] {
		d, err := startDaemon(ctx, r.Binary, r.dir, n, r.Profile != "" && n == 0, r.tokens)
		if err != nil {
			return err
		}
		if n == 0 {
			r.daemon = d
		} else {
			r.others = append(r.others, d)
		}
	}
	return nil
}

// settingsOf names the settings of daemon n.
func settingsOf(n int) string {
	if n == 0 {
		return "fantail.yaml"
	}
	return fmt.Sprintf("fantail-%d.yaml", n)
}

// writeShared writes the settings of daemon n on a shared store: those of the embedded one but for
// the store and the address.
func writeShared(dir string, n int, url string) error {
	first, err := os.ReadFile(filepath.Join(dir, "embedded.yaml"))
	if errors.Is(err, os.ErrNotExist) {
		if first, err = os.ReadFile(filepath.Join(dir, settingsOf(0))); err == nil {
			err = os.WriteFile(filepath.Join(dir, "embedded.yaml"), first, 0o600)
		}
	}
	if err != nil {
		return err
	}
	listen, err := freePort()
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(string(first)) {
		switch {
		case strings.HasPrefix(line, "listen: "):
			line = "listen: " + listen + "\n"
		case strings.HasPrefix(line, "store: "):
			line = fmt.Sprintf("store: { postgres: { urls: [%q], dir: own-%d, name: daemon-%d } }\nkeys: [\"a key of the load test, long enough\"]\n", url, n, n)
		}
		b.WriteString(line)
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, settingsOf(n)), []byte(b.String()), 0o600), os.WriteFile(filepath.Join(dir, listenOf(n)), []byte(listen), 0o600))
}

// listenOf names the file with the address of daemon n.
func listenOf(n int) string {
	if n == 0 {
		return "listen"
	}
	return fmt.Sprintf("listen-%d", n)
}
