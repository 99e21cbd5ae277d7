package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func newDeliveries(e *env) *cobra.Command {
	var (
		f      client.DeliveryFilter
		within interval
	)
	cmd := &cobra.Command{
		Use:   "deliveries [ID]",
		Short: "See where events went, or every attempt of one delivery",
		Long: `Lists deliveries, newest event first. A delivery is one event on its way to one
destination: pending, delivered, dead (its attempts are used up, or it was
rejected, or it grew too old), or cancelled by a person.

With an ID it shows that delivery and every attempt that was made: when, how
long it took, what the far side answered.`,
		Example: `  fantail deliveries --developer acme --since 1h
  fantail deliveries --developer acme --destination app --state dead
  fantail deliveries --state pending --state dead --limit 0 --json
  fantail deliveries 019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d_3`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := e.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if err := alone(cmd); err != nil {
					return err
				}
				return e.showDelivery(cmd.Context(), c, args[0])
			}
			if f.Since, f.Until, err = within.read(e.now()); err != nil {
				return err
			}
			if f.Destination != "" && f.Developer == "" {
				return usagef("--destination needs --developer: names are each developer's own")
			}
			return e.listDeliveries(cmd.Context(), c, f, "No such deliveries.")
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Developer, "developer", "", "only deliveries of this developer")
	flags.StringVar(&f.Destination, "destination", "", "only deliveries to this destination of the developer")
	flags.StringSliceVar(&f.States, "state", nil, "only pending, delivered, dead or cancelled ones; may be given several times")
	flags.StringVar(&f.Event, "event", "", "only deliveries of the event with this ID")
	within.flags(cmd, "of events accepted")
	limitFlag(cmd, &f.Limit)
	completeStates(cmd)
	return cmd
}

func completeStates(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(
		[]string{"pending", "delivered", "dead", "cancelled"}, cobra.ShellCompDirectiveNoFileComp))
}

func (e *env) listDeliveries(ctx context.Context, c *client.Client, f client.DeliveryFilter, none string) (err error) {
	limit := f.Limit
	if f.Limit, err = more(limit); err != nil {
		return err
	}
	return printList(e, c.Deliveries(ctx, f), limit,
		[]string{"ACCEPTED", "ID", "DESTINATION", "STATE", "TRIED", "NEXT ATTEMPT"},
		func(d client.Delivery) []string {
			return []string{e.moment(acceptance(d.Event)), d.ID, d.Developer + "/" + d.Destination, state(d), fmt.Sprint(d.Tried), or(e.next(d), "-")}
		}, none)
}

// acceptance reads when an event was accepted from its id.
func acceptance(id string) time.Time {
	parsed, err := event.ParseID(id)
	if err != nil {
		return time.Time{}
	}
	return parsed.Time()
}

func state(d client.Delivery) string {
	if d.Reason == "" {
		return d.State
	}
	return d.State + " (" + cut(d.Reason, 60) + ")"
}

func (e *env) showDelivery(ctx context.Context, c *client.Client, id string) error {
	d, err := c.Delivery(ctx, id)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(d)
	}
	since := ""
	if !d.Changed.IsZero() {
		since = e.moment(d.Changed)
	}
	if err := e.facts(
		[2]string{"delivery", d.ID}, [2]string{"event", d.Event}, [2]string{"destination", fmt.Sprintf("%s/%s (%s)", d.Developer, d.Destination, d.Kind)},
		[2]string{"state", state(d)}, [2]string{"changed", since}, [2]string{"next attempt", e.next(d)}, [2]string{"settings", settingsFact(d)},
	); err != nil {
		return err
	}
	fmt.Fprintln(e.out)
	if len(d.Attempts) == 0 {
		fmt.Fprintln(e.out, "No attempt was made yet.")
		return nil
	}
	uncounted := false
	t := newTable(e.out, "#", "AT", "TOOK", "RESULT", "CODE", "ADDRESS", "ANSWER")
	for i, a := range d.Attempts {
		code := "-"
		if a.Code != 0 {
			code = fmt.Sprint(a.Code)
		}
		number := fmt.Sprint(i + 1)
		if !a.Counted {
			number += "*"
			uncounted = true
		}
		result := resultOf(a)
		t.row(number, e.moment(a.At), span(time.Duration(a.Millis)*time.Millisecond), result, code, or(a.Address, "-"), cut(a.Answer, 120))
	}
	if err := t.flush(); err != nil || !uncounted {
		return err
	}
	_, err = fmt.Fprintln(e.out, "* does not count: it used up no attempt of the schedule")
	return err
}

// resultOf is an attempt's class, with the number of its requests where that was
// more than one.
func resultOf(a client.Attempt) string {
	if a.Requests > 1 {
		return fmt.Sprintf("%s (%d requests)", a.Class, a.Requests)
	}
	return a.Class
}

// next says when a pending delivery is tried; "" for any other.
func (e *env) next(d client.Delivery) string {
	switch {
	case d.Due.IsZero():
		return ""
	case d.Due.After(e.now()):
		return e.moment(d.Due)
	}
	return "due now" // under way, or its destination is not ready for it
}

// settingsFact says with which settings a pending delivery goes out.
func settingsFact(d client.Delivery) string {
	switch {
	case d.State != "pending":
		return ""
	case d.Frozen:
		return "those of its first attempt (\"fantail retry --rebind\" moves it to current ones)"
	}
	return "current"
}
