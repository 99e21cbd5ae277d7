package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newReplay(e *env) *cobra.Command {
	var q client.ReplayRequest
	var within interval
	var rate string
	var noWait, yes bool
	cmd := &cobra.Command{
		Use:   "replay --developer NAME [--destination NAME] [--state STATE] [--since TIME] [--until TIME]",
		Short: "Deliver stored events again",
		Long: `Makes new deliveries of events that the daemon still has, with trace ids of
their own and the reference and ordering time of the event:

  dead       deliveries that were given up (the default)
  delivered  what has arrived once already
  cancelled  what somebody cancelled
  unmatched  events that were never meant for the destination: it, or its
             events filter, came later, or they matched nothing

Where an event has several deliveries to a destination, the one that changed
last counts: what was delivered meanwhile is not dead, and what is on its way is
not made twice. A destination gets what its events filter wants now; --type sends
other types to the one that --destination names.

The daemon makes them at --rate and no faster than the destination takes them,
so that live events are not held up. It goes on when this command ends, and when
the daemon restarts. It counts and asks first; where nobody can be asked it wants
--yes.`,
		Example: `  fantail replay --developer acme --destination app --since 6h --state dead
  fantail replay --developer acme --destination new --state unmatched --rate 20/s
  fantail replay --developer acme --user 7c0d... --state delivered --dry-run
  fantail replay list
  fantail replay cancel 3`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if q.Since, q.Until, err = within.read(e.now()); err != nil {
				return err
			}
			if q.Rate, err = parseRate(rate); err != nil {
				return err
			}
			if q.Destination != "" && q.Developer == "" {
				return usagef("--destination needs --developer: names are each developer's own")
			}
			if q.Developer == "" && !q.All {
				return usagef("say whose events: --developer, or --all for those of all developers")
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			names := named{developer: q.Developer, destination: q.Destination, types: q.Types}
			err = e.ask(ctx, yes || q.DryRun, func() (string, error) { return e.replayQuestion(ctx, c, q) })
			if errors.Is(err, errNothing) {
				if err := e.recognise(ctx, c, names); err != nil {
					return err
				}
				_, err = fmt.Fprintln(e.out, "There is nothing to deliver again.")
				return err
			}
			if err != nil {
				return e.orNearest(ctx, c, q.Developer, q.Destination, err)
			}
			p, err := c.Replay(ctx, q)
			if err != nil {
				return e.orNearest(ctx, c, q.Developer, q.Destination, err)
			}
			if noWait {
				return e.replayBegun(p)
			}
			if p, err = e.watchReplay(ctx, c, p); err != nil || p.Found > 0 {
				return err
			}
			return e.recognise(ctx, c, names)
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Developer, "developer", "", "events of this developer")
	f.StringVar(&q.Destination, "destination", "", "to this destination of the developer; all when left out")
	f.StringSliceVar(&q.Events, "event", nil, "the event with this ID alone; may stand several times")
	f.StringSliceVar(&q.Types, "type", nil, "events of this type; may stand several times")
	f.StringSliceVar(&q.Users, "user", nil, "events of the user with this ID; may stand several times")
	f.StringSliceVar(&q.States, "state", []string{"dead"}, "dead, delivered, cancelled or unmatched; may stand several times")
	f.BoolVar(&q.All, "all", false, "events of all developers")
	f.StringVar(&rate, "rate", "", "deliveries to make: 20/s, 100/m (default 100/s)")
	f.BoolVar(&q.DryRun, "dry-run", false, "only count what would be made")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask first")
	f.BoolVar(&noWait, "no-wait", false, "do not wait for its end")
	within.flags(cmd, "events accepted")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(
		[]string{"dead", "delivered", "cancelled", "unmatched"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.AddCommand(newReplayList(e), newReplayShow(e), newReplayCancel(e))
	return cmd
}

// replayQuestion asks the daemon to count what would be made.
func (e *env) replayQuestion(ctx context.Context, c *client.Client, q client.ReplayRequest) (string, error) {
	q.DryRun = true
	line := e.progress()
	defer line.clear()
	p, err := c.Replay(ctx, q)
	for err == nil && p.State == "running" {
		line.show("counting... %d", p.Found)
		if !e.pause(ctx, 200*time.Millisecond) {
			return "", context.Cause(ctx)
		}
		p, err = c.GetReplay(ctx, p.ID)
	}
	if err == nil && p.State != "finished" {
		err = errors.New(sumReplay(p))
	}
	if err != nil {
		return "", fmt.Errorf("count what would be made: %w", err)
	}
	n := int(p.Found - p.Pending - p.Gone)
	if n == 0 {
		return "", errNothing
	}
	whose := "all developers"
	if q.Developer != "" {
		whose = aim(p)
	}
	return fmt.Sprintf("Make %s again (%s), of %s, at %g/s?", count(n, "delivery"), strings.Join(p.States, ", "), whose, p.Rate), nil
}

// parseRate reads 20/s, 100/m or 10/h as a number a second; "" is 0.
func parseRate(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.ParseFloat(number, 64)
	per := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || per == 0 || !(n > 0 && n < 1e9) {
		return 0, usagef("--rate %q: want such as 20/s, 100/m or 10/h", s)
	}
	return n / per, nil
}

func (e *env) replayBegun(p client.Replay) error {
	if e.json {
		return e.printJSON(p)
	}
	fmt.Fprintf(e.out, "replay %d has begun; see \"fantail replay show %d\"\n", p.ID, p.ID)
	return nil
}

// watchReplay shows how far a replay is until it ends.
func (e *env) watchReplay(ctx context.Context, c *client.Client, p client.Replay) (client.Replay, error) {
	line := e.progress()
	for p.State == "running" {
		if !e.pause(ctx, 500*time.Millisecond) {
			line.clear()
			fmt.Fprintf(e.err, "replay %d goes on; \"fantail replay cancel %d\" ends it\n", p.ID, p.ID)
			return p, context.Cause(ctx)
		}
		next, err := c.GetReplay(ctx, p.ID)
		if ctx.Err() != nil {
			continue
		}
		if err != nil {
			line.clear()
			return p, fmt.Errorf("ask how far replay %d is: %w", p.ID, err)
		}
		p = next
		text := fmt.Sprintf("found %d, made %d", p.Found, p.Made)
		if p.Waiting != "" {
			text += "; " + p.Waiting
		}
		line.show("%s", text)
	}
	line.clear()
	if e.json {
		if err := e.printJSON(p); err != nil {
			return p, err
		}
	} else {
		fmt.Fprintln(e.out, sumReplay(p))
	}
	if p.State != "finished" {
		return p, errSilent
	}
	return p, nil
}

// sumReplay says in one line what came of a replay.
func sumReplay(p client.Replay) string {
	var text string
	switch {
	case p.State == "failed":
		text = fmt.Sprintf("replay %d failed (%s): made %s", p.ID, clean(p.Error), count(int(p.Made), "delivery"))
	case p.State == "cancelled":
		text = fmt.Sprintf("replay %d was cancelled: made %s", p.ID, count(int(p.Made), "delivery"))
	case p.DryRun:
		text = "would make " + count(int(p.Found-p.Pending-p.Gone), "delivery")
	default:
		text = "made " + count(int(p.Made), "delivery")
	}
	if p.Pending > 0 {
		text += fmt.Sprintf("; %d left out that are on their way already", p.Pending)
	}
	if p.Gone > 0 {
		text += fmt.Sprintf("; %d left out whose body was erased or has expired", p.Gone)
	}
	return text
}
