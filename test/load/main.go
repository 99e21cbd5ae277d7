// Command load measures Fantail from outside: a loader, a sink and the daemon
// as processes of their own on one machine, the store on a real disk, signing,
// log and indexes on. Beside every figure stands the floor of the same run: the
// same loader posting straight to the same sink.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	if len(args) > 0 && args[0] == "sink" {
		size := flags.Int("size", 2048, "bytes of a body")
		secret := flags.String("secret", "", "secret of the signatures")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return runSink(os.Stdin, os.Stdout, *size, *secret)
	}
	if len(args) > 0 && args[0] == "loader" {
		var t task
		flags.StringVar(&t.URL, "url", "", "where to POST")
		flags.BoolVar(&t.Direct, "direct", false, "straight to the sink")
		flags.IntVar(&t.Developers, "developers", 1, "how many developers take turns")
		flags.IntVar(&t.Conns, "conns", 32, "connections")
		flags.Float64Var(&t.Rate, "rate", 0, "events a second; 0: closed loop")
		flags.DurationVar(&t.For, "for", time.Second, "how long")
		flags.IntVar(&t.Count, "count", 0, "at most that many events")
		flags.IntVar(&t.First, "first", 0, "number of the first event")
		flags.IntVar(&t.Size, "size", 2048, "bytes of a body")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return runLoader(ctx, t, os.Stdout)
	}
	var s scenario
	flags.StringVar(&s.Binary, "fantail", "", "path of the daemon's binary")
	flags.StringVar(&s.Dir, "dir", "", "folder on a real disk; a temporary one is made in it")
	flags.DurationVar(&s.Warm, "warm", 30*time.Second, "warm-up")
	flags.DurationVar(&s.For, "for", 60*time.Second, "how long to measure")
	flags.IntVar(&s.Runs, "runs", 3, "runs; the median is reported")
	flags.IntVar(&s.Conns, "conns", 32, "connections")
	flags.IntVar(&s.Size, "size", 2048, "bytes of a body")
	flags.IntVar(&s.Fanout, "fanout", 3, "destinations of each event")
	flags.Float64Var(&s.Rate, "rate", 0, "events a second; 0: as fast as it goes")
	flags.StringVar(&s.Profile, "profile", "", "write a CPU profile of the daemon to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return s.run(ctx)
}
