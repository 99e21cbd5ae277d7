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

// logged is how many bytes the store's log holds.
func (r *rig) logged() (n int64, err error) {
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
	if block < 1 {
		return nil, errors.New("the store's log did not grow in the warm-up: -warm must be long enough for some events, and too short to fill the log")
	}
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
