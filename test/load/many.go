package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func manyDefaults() options {
	return options{Warm: 30 * time.Second, For: time.Second, Runs: 3, Conns: 1, Sizes: numbers{2 << 10}, Fanouts: numbers{1}, Developers: 10_000, Destinations: 3}
}

// crowd is what many developers cost in one run.
type crowd struct {
	destinations       int
	first, later       time.Duration // from the start of the process to the first 200 of /readyz
	firstCPU, laterCPU time.Duration // of the process until then
	reloadCPU          time.Duration
	reload             time.Duration // with one file changed
	reloadPeak, rest   int64         // of memory, in bytes
	perDestination     int64         // of rest, beyond that of a daemon with one destination
	metrics            time.Duration // of /metrics
	lines              int           // in the log of the later start, until it rests
}

// many measures what many developers cost: starts, a reload, and a daemon at rest. No server answers
// at their destinations, so that all checks fail.
func many(ctx context.Context, o options) error {
	t := o.newTable(fmt.Sprintf("Many, %d developers with %d destinations each", o.Developers, o.Destinations), "run", "first start s (CPU s)", "later start s (CPU s)", "reload of one file ms (CPU ms)",
		"its peak RSS MiB", "RSS at rest MiB", "KiB a destination", "/metrics ms", "lines in the log", "bars")
	one := o
	one.Developers, one.Destinations = 1, 1
	var all []crowd
	for i := range o.Runs {
		o.note("many: run %d of %d", i+1, o.Runs)
		alone, err := one.crowd(ctx)
		if err != nil {
			return err
		}
		c, err := o.crowd(ctx)
		if err != nil {
			return err
		}
		c.perDestination = (c.rest - alone.rest) / int64(c.destinations)
		all = append(all, c)
		t.row(c.cells(strconv.Itoa(i + 1))...)
	}
	slices.SortFunc(all, func(a, b crowd) int { return cmp.Compare(a.reload, b.reload) })
	t.row(all[len(all)/2].cells("**median** by reload")...)
	return nil
}

func (c *crowd) cells(run string) []string {
	return []string{run, fmt.Sprintf("%.2f (%.2f)", c.first.Seconds(), c.firstCPU.Seconds()), fmt.Sprintf("%.2f (%.2f)", c.later.Seconds(), c.laterCPU.Seconds()), fmt.Sprintf("%.0f (%.0f)", c.reload.Seconds()*1000, c.reloadCPU.Seconds()*1000), mebibytes(c.reloadPeak), mebibytes(c.rest),
		fmt.Sprintf("%.1f", float64(c.perDestination)/1024), millis(c.metrics), strconv.Itoa(c.lines),
		bars(bar{"first start below 5 s", c.first < 5*time.Second}, bar{"later below 3 s", c.later < 3*time.Second}, bar{"reload below 0.5 s", c.reload < 500*time.Millisecond},
			bar{"below 5 KiB a destination", c.perDestination < 5<<10}, bar{"/metrics below 50 ms", c.metrics < 50*time.Millisecond})}
}

func (o *options) crowd(ctx context.Context) (c crowd, err error) {
	nobody, err := freePort()
	if err != nil {
		return c, err
	}
	c.destinations = o.Developers * o.Destinations
	r, err := newRig(*o, o.Sizes, func(string) []group {
		return []group{{prefix: dead, developers: o.Developers, fanout: o.Destinations, url: "http://" + nobody + "/"}}
	})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx); err != nil {
		return c, err
	}
	c.first = r.ready
	if c.firstCPU, err = r.cpu(); err != nil {
		return c, err
	}
	err = r.daemon.stop()
	r.daemon = nil
	if err != nil {
		return c, err
	}
	if err := r.start(ctx); err != nil {
		return c, err
	}
	c.later = r.ready
	if c.laterCPU, err = r.cpu(); err != nil {
		return c, err
	}
	wait(ctx, o.Warm)
	if c.rest, err = r.memory("VmRSS"); err != nil {
		return c, err
	}
	c.lines = strings.Count(r.log(), "\n")
	if c.metrics, err = r.scrapes(ctx); err != nil {
		return c, err
	}
	return c, r.reloadOne(ctx, &c)
}

// scrapes returns how long /metrics takes, the median of five after one.
func (r *rig) scrapes(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range 6 {
		began := time.Now()
		body, err := request(ctx, "GET", r.url+"/metrics")
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, body)
		took = append(took, time.Since(began))
		if err = errors.Join(err, body.Close()); err != nil {
			return 0, err
		}
	}
	took = took[1:]
	slices.Sort(took)
	return took[len(took)/2], nil
}

// reloadOne reloads with the file of one developer changed.
func (r *rig) reloadOne(ctx context.Context, c *crowd) error {
	file := filepath.Join(r.dir, "developers", fmt.Sprintf("%s%d.yaml", dead, r.Developers/2))
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text = []byte(strings.ReplaceAll(string(text), "allow_http: true }", "allow_http: true, hold_on_410: true }"))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	if err := r.forgetPeak(); err != nil {
		return err
	}
	before, err := r.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := r.Reload(ctx); err != nil {
		return err
	}
	c.reload = time.Since(began)
	after, err := r.cpu()
	if err != nil {
		return err
	}
	c.reloadCPU = after - before
	c.reloadPeak, err = r.memory("VmHWM")
	return err
}
