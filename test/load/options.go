package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const inPostgres = "postgres"

// options are the flags; each scenario has defaults of its own.
type options struct {
	Binary       string
	Dir          string
	Profile      string
	Warm         time.Duration
	For          time.Duration
	Runs         int
	Pairs        int
	Conns        int
	Sizes        numbers
	Fanouts      numbers
	Rate         float64
	Batch        int
	Developers   int
	Destinations int
	Hanging      numbers
	Large        int
	Pending      int
	Slow         int
	Idle         int
	Store        string  // "": the embedded one; inPostgres
	Daemons      numbers // on one database

	tokens        bool // the daemon wants tokens: one for the loader, one for a noisy neighbour
	out, progress io.Writer
}

// parse reads the flags of a scenario.
func parse(s scenario, args []string, to io.Writer) (options, error) {
	o := s.defaults
	flags := flag.NewFlagSet("load "+s.name, flag.ContinueOnError)
	flags.SetOutput(to)
	flags.StringVar(&o.Binary, "fantail", "bin/fantail", "the daemon's binary")
	flags.StringVar(&o.Dir, "dir", "data/load", "folder on a real disk; a temporary one is made in it")
	flags.StringVar(&o.Profile, "profile", "", "throughput, batch, backlog: write a CPU profile of the daemon, of the last run, to this file")
	flags.DurationVar(&o.Warm, "warm", o.Warm, "warm-up of each run")
	flags.DurationVar(&o.For, "for", o.For, "how long each run is measured")
	flags.IntVar(&o.Runs, "runs", o.Runs, "runs; isolation: pairs of them")
	flags.IntVar(&o.Pairs, "pairs", o.Pairs, "isolation: pairs in which nothing hangs, which the bars compare with")
	flags.IntVar(&o.Conns, "conns", o.Conns, "connections of the loader, as many of the bare client in throughput; cliff: the fewer, the others are four times as many")
	flags.Var(&o.Sizes, "size", "bytes of a body; throughput, batch, light: one or several, as 2048,65536")
	flags.Var(&o.Fanouts, "fanout", "destinations of each event; throughput, batch, light: one or several, as 3,1")
	flags.Float64Var(&o.Rate, "rate", o.Rate, "light, isolation, producers: events a second")
	flags.IntVar(&o.Batch, "batch", o.Batch, "batch, backlog, cliff: events of a request")
	flags.IntVar(&o.Developers, "developers", o.Developers, "many: how many")
	flags.IntVar(&o.Destinations, "destinations", o.Destinations, "isolation: all of them; backlog: the dead ones; many: of each developer")
	flags.Var(&o.Hanging, "hanging", "isolation: how many of the destinations hang, one or several; 0: eight, on large bodies")
	flags.IntVar(&o.Large, "large", o.Large, "isolation: bytes of a large body")
	flags.IntVar(&o.Slow, "slow", o.Slow, "producers: uploads of another token, a byte a second")
	flags.IntVar(&o.Idle, "idle", o.Idle, "producers: idle connections")
	o.Daemons = numbers{1}
	flags.StringVar(&o.Store, "store", "", "throughput, batch, light: postgres measures with a PostgreSQL of the run's own as the store, on the disk of -dir")
	flags.Var(&o.Daemons, "daemons", "throughput, batch with -store postgres: daemons on the database, one or several numbers, as 1,2,3")
	flags.IntVar(&o.Pending, "pending", o.Pending, "backlog: deliveries")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%s takes flags only, not %q", s.name, flags.Arg(0))
	}
	return o, nil
}

// check refuses what would not be a measurement.
func (o *options) check() error {
	if _, err := os.Stat(o.Binary); err != nil {
		return fmt.Errorf("-fantail names the daemon's binary (make build makes it): %w", err)
	}
	if o.Runs < 1 || o.Pairs < 0 || o.Conns < 1 || o.For <= 0 || o.Warm < 0 || len(o.Sizes) == 0 || len(o.Fanouts) == 0 {
		return errors.New("-runs, -conns, -for, -size and -fanout must be above 0")
	}
	if o.Store != "" && o.Store != inPostgres {
		return fmt.Errorf("-store %s: only %s, or none for the embedded store", o.Store, inPostgres)
	}
	if len(o.Daemons) == 0 || slices.Min(o.Daemons) < 1 || o.Store == "" && slices.Max(o.Daemons) > 1 {
		return errors.New("-daemons must be above 0, and several need -store postgres")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	return realDisk(o.Dir)
}

// realDisk refuses a folder in memory: a durable commit costs nothing there.
func realDisk(dir string) error {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if t := uint32(fs.Type); t == tmpfs || t == ramfs {
		return fmt.Errorf("%s lies in memory: name a folder on a disk with -dir", dir)
	}
	return nil
}

// note tells the person who waits what is going on.
func (o *options) note(format string, args ...any) {
	fmt.Fprintf(o.progress, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// numbers is a flag with several values.
type numbers []int

func (n *numbers) String() string {
	var all []string
	for _, x := range *n {
		all = append(all, strconv.Itoa(x))
	}
	return strings.Join(all, ",")
}

func (n *numbers) Set(text string) error {
	*n = nil
	for part := range strings.SplitSeq(text, ",") {
		x, err := strconv.Atoi(part)
		if err != nil || x < 0 {
			return fmt.Errorf("%q is not a number", part)
		}
		*n = append(*n, x)
	}
	return nil
}
