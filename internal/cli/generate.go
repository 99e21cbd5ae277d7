package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event/generate"
)

type generateFlags struct {
	developer, provider string
	rate                float64
	duration, patience  time.Duration
	types               []string
	users               int
	seed                uint64
}

// everyType is what --types takes for all that can be made.
const everyType = "all"

func newGenerate(e *env) *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate [--developer NAME]",
		Short: "Hand in a stream of made-up events",
		Long: `Makes up events and hands them in over the API at a steady rate. They are events
like all others: stored, and delivered to every destination that wants them. It
counts what the daemon accepted and refused, and says how long that took, from
the moment an event was due to go out until the daemon had it on disk.

The same --seed makes the same values, types and users in the same order; times
are those of now. An event that the daemon could not take at once is handed in
again for as long as --patience says, with an idempotency key, so that none is
lost or doubled. Ctrl-C ends the stream and still waits for what is under way.

It ends with 1 when any event was refused, and at once when the daemon does not
know the developer or the token.`,
		Example: `  fantail generate --developer acme
  fantail generate --developer acme --rate 50 --for 1m
  fantail generate --developer acme --rate 500 --for 10s --types sleep,daily --users 20 --seed 7
  fantail generate --developer acme --types all --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				f.seed = rand.Uint64()
			}
			return e.generate(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.developer, "developer", "", "whose events these are; may be left out where one developer alone has destinations")
	flags.Float64Var(&f.rate, "rate", 50, "events a second")
	flags.DurationVar(&f.duration, "for", time.Minute, "for how long")
	flags.StringSliceVar(&f.types, "types", []string{"activity", "sleep", "daily", "body", "nutrition"}, "types, in turn by chance; all: every type known")
	flags.IntVar(&f.users, "users", 100, "of how many users they are")
	flags.StringVar(&f.provider, "provider", "", "provider of the data, such as GARMIN")
	flags.Uint64Var(&f.seed, "seed", 0, "the same number makes the same stream; by chance when left out")
	flags.DurationVar(&f.patience, "patience", time.Minute, "how long to keep asking a daemon that is busy or away")
	return cmd
}

// check returns the generator, and the types that it is to make.
func (f *generateFlags) check() (*generate.Generator, []string, error) {
	g, err := generate.New(f.seed)
	if err != nil {
		return nil, nil, err
	}
	types := f.types
	if slices.Equal(types, []string{everyType}) {
		types = g.Types()
	}
	for _, t := range types {
		if !slices.Contains(g.Types(), t) {
			return nil, nil, usagef("--types %s: known are %s", t, strings.Join(g.Types(), ", "))
		}
	}
	switch {
	case len(types) == 0:
		return nil, nil, usagef("--types names none")
	case !(f.rate > 0) || f.rate > 100_000:
		return nil, nil, usagef("--rate %v: want more than 0 and at most 100000 events a second", f.rate)
	case f.duration <= 0:
		return nil, nil, usagef("--for %s: want a time", f.duration)
	case f.users < 1:
		return nil, nil, usagef("--users %d: want 1 at least", f.users)
	}
	return g, types, nil
}

// onlyDeveloper names the developer if a single one has destinations.
func onlyDeveloper(ctx context.Context, c *client.Client) (string, error) {
	var all []string
	for d, err := range c.Destinations(ctx, "", "") {
		if err != nil {
			return "", fmt.Errorf("find whose events to make (--developer says it): %w", err)
		}
		if d.State != "removed" && !slices.Contains(all, d.Developer) {
			all = append(all, d.Developer)
		}
	}
	switch len(all) {
	case 0:
		return "", usagef("nobody has a destination: say whose events these are with --developer")
	case 1:
		return all[0], nil
	}
	return "", usagef("say whose events these are with --developer: %s", strings.Join(all, ", "))
}

func (e *env) generate(ctx context.Context, f generateFlags) error {
	g, types, err := f.check()
	if err != nil {
		return err
	}
	e.transport.MaxIdleConnsPerHost = streams
	c, err := e.client()
	if err != nil {
		return err
	}
	if err := reachable(ctx, c); err != nil {
		return err
	}
	if f.developer == "" {
		if f.developer, err = onlyDeveloper(ctx, c); err != nil {
			return err
		}
	}
	c.Patience = f.patience
	feed, end := context.WithCancelCause(ctx)
	defer end(nil)
	s := &stream{env: e, client: c, flags: f, line: e.progress(), end: end, refusals: map[string]int{}}
	// Wait for events that are under way at Ctrl-C. If they were cut off, nobody would know whether the
	// daemon has them.
	s.start(context.WithoutCancel(ctx))
	err = s.feed(feed, g, types)
	s.finish()
	refused, all := errors.AsType[*client.Error](context.Cause(feed))
	if all {
		err = refused
		if meant := meantDeveloper(ctx, c, f.developer); meant != nil && refused.Code == unknownDeveloper {
			err = meant
		}
	}
	if all && s.accepted == 0 {
		return err
	}
	return cmp.Or(err, s.summary())
}

// feed makes events and hands each to a sender when it is due.
func (s *stream) feed(ctx context.Context, g *generate.Generator, types []string) error {
	pick := rand.New(rand.NewPCG(s.flags.seed, 1)) //nolint:gosec // a stream that can be repeated is what it is for
	s.began = time.Now()
	total := int(s.flags.rate * s.flags.duration.Seconds())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := range max(total, 1) {
		due := s.began.Add(time.Duration(float64(n) / s.flags.rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			}
		}
		body, err := g.Event(generate.Request{
			Type: types[pick.IntN(len(types))], Provider: s.flags.provider, User: g.User(pick.IntN(s.flags.users)), At: time.Now(),
		})
		if err != nil {
			return fmt.Errorf("make up an event: %w", err)
		}
		select {
		case s.events <- made{body, due}:
		case <-ctx.Done():
			return nil
		}
		s.show(n+1, total)
	}
	return nil
}
