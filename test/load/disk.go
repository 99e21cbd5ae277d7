package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// commitSize is how many bytes the store's log takes for an event, its outcomes
// included, by the first few after a start: later, logs are overwritten, and do not grow.
func (r *rig) commitSize(ctx context.Context, size int) (int64, error) {
	before, err := r.logged(ctx)
	if err != nil {
		return 0, err
	}
	w, err := r.send(ctx, task{For: time.Minute, Count: 20, Conns: 1, Size: size})
	if err != nil {
		return 0, err
	}
	if err := r.drained(ctx); err != nil {
		return 0, err
	}
	after, err := r.logged(ctx)
	if err == nil && after <= before {
		err = errors.New("the store's log did not grow with its first events: how much a commit writes is unknown")
	}
	return (after - before) / int64(w.accepted()), err
}

// logged is how many bytes the store's log has: its files, or what the database has written to its own.
func (r *rig) logged(ctx context.Context) (n int64, err error) {
	if r.database != nil {
		return r.database.written(ctx)
	}
	logs, err := filepath.Glob(filepath.Join(r.dir, "store", "*.log"))
	for _, name := range logs {
		info, err := os.Stat(name)
		if err != nil {
			return 0, err
		}
		n += info.Size()
	}
	return n, err
}

// syncs appends blocks to a file of its own in dir, at a fixed rate, and returns
// how long each took to be on the disk: what a durable commit costs there at least.
// Each falls at a random moment of its turn: a fixed one might always, or never,
// meet the commit of an event that is sent at the same rate.
func syncs(ctx context.Context, dir string, block int64, rate float64, long time.Duration) (all []time.Duration, err error) {
	file, err := os.CreateTemp(dir, "syncs-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text := make([]byte, block)
	for i := range text {
		text[i] = byte(rand.Uint32())
	}
	fd, began := int(file.Fd()), time.Now()
	for i := 0; i < int(rate*long.Seconds()) && ctx.Err() == nil; i++ {
		sleepUntil(began.Add(time.Duration((float64(i) + rand.Float64()) / rate * float64(time.Second))))
		start := time.Now()
		if _, err := syscall.Write(fd, text); err != nil {
			return nil, fmt.Errorf("append to %s: %w", file.Name(), err)
		}
		if err := syscall.Fdatasync(fd); err != nil {
			return nil, fmt.Errorf("sync %s: %w", file.Name(), err)
		}
		all = append(all, time.Since(start))
	}
	return all, ctx.Err()
}

// sleepUntil is exact: the runtime's own timers may be a whole millisecond late,
// as much as what is measured.
func sleepUntil(at time.Time) {
	if wait := syscall.NsecToTimespec(int64(time.Until(at))); wait.Sec > 0 || wait.Sec == 0 && wait.Nsec > 0 {
		_ = syscall.Nanosleep(&wait, nil) // cut short by a signal: a little early
	}
}
