// Command load measures Fantail from outside: loader, sink and daemon are
// processes of their own on one machine, the store lies on a real disk, and
// signing, log and indexes are on. What it prints on standard output is
// Markdown for docs/BENCHMARKS.md, which explains every figure; progress goes
// to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// scenario is one thing that is measured.
type scenario struct {
	name     string
	about    string
	defaults options
	run      func(ctx context.Context, o options) error
}

func scenarios() []scenario {
	return []scenario{
		{"throughput", "as fast as answers come, beside a bare client", throughputDefaults(), throughput},
		{"batch", "the same with NDJSON batches", batchDefaults(), throughput},
		{"light", "latency at a low fixed rate", lightDefaults(), light},
		{"isolation", "what healthy destinations notice of others that hang", isolationDefaults(), isolation},
		{"producers", "what a producer notices of another one that sends slowly and keeps connections", producersDefaults(), producers},
		{"backlog", "millions pending for dead destinations, kill -9, restart", backlogDefaults(), backlog},
		{"cliff", "throughput with four times the connections, beside that with few", cliffDefaults(), cliff},
		{"many", "thousands of developers: starts, a reload of one changed file, memory at rest", manyDefaults(), many},
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) == 0 {
		return usage()
	}
	name, args := args[0], args[1:]
	switch {
	case name == "sink" && len(args) > 0:
		var sizes []int
		for _, a := range args[1:] {
			size, err := strconv.Atoi(a)
			if err != nil {
				return err
			}
			sizes = append(sizes, size)
		}
		return runSink(os.Stdin, out, args[0], sizes)
	case name == "loader" && len(args) == 1:
		return runLoader(ctx, args[0], out)
	}
	all := scenarios()
	i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
	if i >= 0 {
		all = all[i : i+1]
	} else if name != "all" {
		return usage()
	}
	var failed []error // of hours of measuring, one failure takes only its own scenario
	for _, s := range all {
		o, err := parse(s, args, progress)
		if err != nil {
			return err
		}
		o.out, o.progress = out, progress
		if err := o.check(); err != nil {
			return err
		}
		if err := s.run(ctx, o); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func usage() error {
	var b strings.Builder
	for _, s := range scenarios() {
		fmt.Fprintf(&b, "\n  %-11s %s", s.name, s.about)
	}
	return fmt.Errorf("name a scenario, or all of them with all; -h behind it shows its flags%s", b.String())
}
