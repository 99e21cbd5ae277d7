package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// change is what retry and cancel have in common: ids, or a selection.
type change struct {
	env         *env
	did, asking string // "retried", "Retry"
	spared      string // what else may be true of a delivery that was not changed

	selection   client.Selection
	within      interval
	yes, dryRun bool

	one func(ctx context.Context, c *client.Client, id string) (client.Moved, error)
	all func(ctx context.Context, c *client.Client, progress func(client.Changed)) (client.Changed, error)
}

func (ch *change) flags(cmd *cobra.Command) {
	f, s := cmd.Flags(), &ch.selection
	f.StringVar(&s.Developer, "developer", "", "deliveries of this developer")
	f.StringVar(&s.Destination, "destination", "", "deliveries to this destination of the developer")
	f.StringVar(&s.Event, "event", "", "deliveries of the event with this ID")
	f.BoolVar(&s.All, "all", false, "deliveries of all developers")
	ch.within.flags(cmd, "of events accepted")
	f.BoolVarP(&ch.yes, "yes", "y", false, "do not ask first")
	f.BoolVar(&ch.dryRun, "dry-run", false, "only count what would be changed")
}

func (ch *change) run(cmd *cobra.Command, ids []string) error {
	c, err := ch.env.client()
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		if err := alone(cmd); err != nil {
			return err
		}
		return ch.each(cmd.Context(), c, ids)
	}
	if err := ch.check(); err != nil {
		return err
	}
	if ch.dryRun {
		return ch.count(cmd.Context(), c)
	}
	err = ch.env.ask(cmd.Context(), ch.yes, func() (string, error) { return ch.question(cmd.Context(), c) })
	if errors.Is(err, errNothing) {
		return ch.nothing(cmd.Context(), c)
	}
	if err != nil {
		return err
	}
	return ch.whole(cmd.Context(), c)
}

func (ch *change) check() (err error) {
	s := &ch.selection
	if s.Since, s.Until, err = ch.within.read(ch.env.now()); err != nil {
		return err
	}
	if s.Destination != "" && s.Developer == "" {
		return usagef("--destination needs --developer: names are each developer's own")
	}
	if s.Developer == "" && s.Event == "" && !s.All {
		return usagef("say which deliveries: their IDs, or --developer or --event, or --all for those of all developers")
	}
	return nil
}

// each changes deliveries one by one and goes on after a refusal.
func (ch *change) each(ctx context.Context, c *client.Client, ids []string) error {
	failed := 0
	for _, id := range ids {
		moved, err := ch.one(ctx, c, id)
		if err != nil && (len(ids) == 1 || ctx.Err() != nil) {
			return err
		}
		if err != nil {
			failed++
			fmt.Fprintf(ch.env.err, "%s: %s\n", clean(id), lines(ch.env.advise(err)))
			continue
		}
		if ch.env.json {
			if err := ch.env.printJSON(moved); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(ch.env.out, "%s %s (was %s)\n", clean(id), ch.did, clean(moved.From))
		}
	}
	if failed > 0 {
		return errSilent
	}
	return nil
}

// whole changes everything selected.
func (ch *change) whole(ctx context.Context, c *client.Client) error {
	line := ch.env.progress()
	sum, err := ch.all(ctx, c, func(sum client.Changed) { line.show("%s %d...", ch.did, sum.Changed) })
	line.clear()
	if err != nil && sum == (client.Changed{}) {
		return err // that nothing was changed would be said of what was not even tried
	}
	if err == nil && sum.Matched == 0 {
		return ch.nothing(ctx, c)
	}
	if ch.env.json {
		if jsonErr := ch.env.printJSON(sum); jsonErr != nil {
			return jsonErr
		}
	} else {
		text := fmt.Sprintf("%s %s", ch.did, count(sum.Changed, "delivery"))
		if rest := sum.Matched - sum.Changed; rest > 0 {
			text += fmt.Sprintf("; %d had changed meanwhile or %s", rest, ch.spared)
		}
		fmt.Fprintln(ch.env.out, text)
	}
	return err
}

// count lists what the selection covers.
func (ch *change) count(ctx context.Context, c *client.Client) error {
	s, n, line := ch.selection, 0, ch.env.progress()
	var failure error
	for _, err := range c.Deliveries(ctx, client.DeliveryFilter{
		Developer: s.Developer, Destination: s.Destination, States: []string{s.State}, Event: s.Event, Since: s.Since, Until: s.Until,
	}) {
		if failure = err; err != nil {
			break
		}
		n++
		line.show("counting: %d", n)
	}
	line.clear()
	if failure != nil {
		return failure
	}
	if n == 0 {
		return ch.nothing(ctx, c)
	}
	if ch.env.json {
		return ch.env.printJSON(client.Changed{Matched: n})
	}
	fmt.Fprintf(ch.env.out, "%s %s would be %s\n", count(n, s.State+" delivery"), ch.where(), ch.did)
	return nil
}

// question says how many deliveries would be changed, and how old they are.
// errNothing means none.
func (ch *change) question(ctx context.Context, c *client.Client) (string, error) {
	s, n, oldest := ch.selection, 0, time.Time{}
	for d, err := range c.Deliveries(ctx, client.DeliveryFilter{
		Developer: s.Developer, Destination: s.Destination, States: []string{s.State}, Event: s.Event, Since: s.Since, Until: s.Until,
		Limit: mostCounted + 1,
	}) {
		if err != nil {
			return "", err
		}
		n++
		oldest = acceptance(d.Event) // newest first
	}
	if n == 0 {
		return "", errNothing
	}
	text := fmt.Sprintf("%s %s %s", ch.asking, counted(n, s.State+" delivery"), ch.where())
	if n <= mostCounted && !oldest.IsZero() {
		text += fmt.Sprintf(", the oldest %s old", age(ch.env.now().Sub(oldest)))
	}
	return text + "?", nil
}

// nothing says that there is nothing to change, or that the names are unknown.
func (ch *change) nothing(ctx context.Context, c *client.Client) error {
	if err := ch.env.recognise(ctx, c, named{developer: ch.selection.Developer, destination: ch.selection.Destination}); err != nil {
		return err
	}
	if ch.env.json {
		return ch.env.printJSON(client.Changed{})
	}
	_, err := fmt.Fprintf(ch.env.out, "There is no %s delivery %s.\n", ch.selection.State, clean(ch.where()))
	return err
}

// where says which deliveries are selected.
func (ch *change) where() string {
	s := ch.selection
	text := "of all developers"
	if s.Destination != "" {
		text = "of " + s.Developer + "/" + s.Destination
	} else if s.Developer != "" {
		text = "of " + s.Developer
	}
	if s.Event != "" {
		text += ", of event " + s.Event
	}
	if !s.Since.IsZero() {
		text += ", accepted since " + ch.env.moment(s.Since)
	}
	if !s.Until.IsZero() {
		text += ", accepted before " + ch.env.moment(s.Until)
	}
	return text
}
