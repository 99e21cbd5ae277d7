package cli

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newDestinations(e *env) *cobra.Command {
	var developer, state string
	var l listFlags
	cmd := &cobra.Command{
		Use:   "destinations",
		Short: "See all destinations and how they are",
		Long: `Lists destinations, the worst first: those that do not get their events, with the
reason, before those that are well. DEAD 24H counts the deliveries that died in this
hour of the clock and the 23 before it, LAST OK says how long ago an attempt last
succeeded, ANSWER what the last one came to and how long ago, and WAITS for how
long no attempt starts. -o wide shows every column.

  active     events go out
  paused     by a person: "fantail resume" ends it
  held       by the daemon, because every event would fail; the reason says what
             to mend. It ends when the settings change, or with "fantail resume"
  disabled   enabled: false in the settings
  removed    no longer in the settings

Deliveries to a destination that is not active are kept and go out later. An
open breaker means that nothing has succeeded for a while: the daemon tries one
delivery at a time until one does. A destination that waits was asked to by its
far side (Retry-After): a success ends that, and "fantail resume", "retry" and
"test" try at once. Or it waits apart: the process died three times running while
it was served. Then it is tried with one delivery, after a minute at first and
after an hour at the most, and at once when its settings change. CHECK is what the
daemon's last check found: "fantail check" shows it.`,
		Example: `  fantail destinations
  fantail destinations --developer acme
  fantail destinations --state held --json
  fantail destinations --watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			return e.listDestinations(cmd.Context(), c, developer, state, l)
		},
	}
	cmd.Flags().StringVar(&developer, "developer", "", "only destinations of this developer")
	cmd.Flags().StringVar(&state, "state", "", "only active, paused, held, disabled or removed ones")
	l.flags(cmd, "worst", "name", "pending", "oldest", "dead", "success")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(
		[]string{"active", "paused", "held", "disabled", "removed"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// destinationOrder are the orders of a list of destinations.
var destinationOrder = map[string]func(a, b client.Destination) int{
	"worst": func(a, b client.Destination) int {
		return cmp.Or(cmp.Compare(badness(b), badness(a)), cmp.Compare(b.Dead24h, a.Dead24h))
	},
	"name":    func(a, b client.Destination) int { return cmp.Compare(a.Developer+"/"+a.Name, b.Developer+"/"+b.Name) },
	"pending": func(a, b client.Destination) int { return cmp.Compare(b.Pending, a.Pending) },
	"oldest":  func(a, b client.Destination) int { return later(a.OldestPending, b.OldestPending) },
	"dead":    func(a, b client.Destination) int { return cmp.Compare(b.Dead24h, a.Dead24h) },
	"success": func(a, b client.Destination) int { return later(a.LastSuccess, b.LastSuccess) },
}

// later orders times, with missing ones last.
func later(a, b time.Time) int {
	if a.IsZero() || b.IsZero() {
		return b.Compare(a)
	}
	return a.Compare(b)
}

// badness is how urgently somebody should look at d.
func badness(d client.Destination) int {
	switch {
	case d.State == "removed":
		return -1
	case d.State == "held":
		return 9
	case d.WaitsFor == "apart":
		return 8
	case d.WaitsFor == "breaker":
		return 7
	case d.Check != nil && d.Check.Result == "fail":
		return 6
	case d.FailedAttempts > 1:
		return 5
	case d.WaitsFor == "throttled":
		return 4
	case d.FailedAttempts > 0, d.Dead24h > 0:
		return 3
	case d.State == "paused":
		return 2
	case d.Check != nil && d.Check.Result == "warn":
		return 1
	}
	return 0
}

func (e *env) listDestinations(ctx context.Context, c *client.Client, developer, state string, l listFlags) error {
	list := listing[client.Destination]{
		env: e, listed: l, order: destinationOrder, usual: "worst", none: "No such destinations.",
		id: func(d client.Destination) string { return d.Developer + "/" + d.Name },
		items: func(ctx context.Context, _ int) iter.Seq2[client.Destination, error] {
			return c.Destinations(ctx, developer, state)
		},
		columns: []column{
			{head: "DESTINATION", least: 18}, {head: "KIND", least: 8, drop: 4}, {head: "STATE", least: 8}, {head: "PENDING"}, {head: "OLDEST", drop: 5}, {head: "IN FLIGHT", drop: 8},
			{head: "BREAKER", least: 7, drop: 7}, {head: "CHECK", drop: 6}, {head: "DEAD 24H"}, {head: "LAST OK"}, {head: "ANSWER", least: 8, drop: 1}, {head: "WAITS", drop: 2}, {head: "REASON", least: 22, fold: true},
		},
		row:     e.destinationRow,
		unknown: func(ctx context.Context) error { return e.recognise(ctx, c, named{developer: developer}) },
	}
	return list.run(ctx)
}

func (e *env) destinationRow(d client.Destination, wide bool) []cell {
	ago := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return about(e.now().Sub(t))
	}
	answer, waits := "-", "-"
	if a := d.LastAnswer; a != nil {
		answer = a.Class
		if a.Code != 0 {
			answer = fmt.Sprint(a.Code)
		}
		answer += ", " + ago(a.At)
		if wide && a.Answer != "" {
			answer += ": " + a.Answer
		}
	}
	if d.WaitsUntil.After(e.now()) {
		waits = span(d.WaitsUntil.Sub(e.now()).Truncate(time.Second))
	}
	cells := texts(d.Developer+"/"+d.Name, d.Kind, d.State, fmt.Sprint(d.Pending), ago(d.OldestPending), fmt.Sprint(d.InFlight), or(d.Breaker, "-"), checked(d.Check),
		fmt.Sprint(d.Dead24h), ago(d.LastSuccess), answer, waits, or(why(d), "-"))
	cells[2].colour = colourOf(d.State)
	if d.State == "active" && badness(d) > 1 {
		cells[2].colour = yellow
	}
	return cells
}

// reason says why nothing goes out to d; "" if something may.
func (e *env) reason(d client.Destination) string {
	if d.WaitsUntil.IsZero() {
		return d.Reason
	}
	return "waits until " + e.moment(d.WaitsUntil) + ": " + d.Reason
}

// why says what is wrong with d; "" when nothing is.
func why(d client.Destination) string {
	switch {
	case d.Reason != "":
		return d.Reason
	case d.Check != nil && d.Check.Result != "ok":
		for _, f := range d.Check.Findings {
			if f.Result == d.Check.Result {
				return f.Message
			}
		}
		return "its last check: " + d.Check.Result
	case d.Dead24h > 0:
		return "deliveries died; its last attempt succeeded"
	}
	return ""
}

// onDestination is a command on one destination, developer/name.
func (e *env) onDestination(do func(ctx context.Context, c *client.Client, developer, name string) (string, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		developer, name, ok := strings.Cut(args[0], "/")
		if !ok || developer == "" || name == "" {
			return usagef("%q is not of the form developer/destination, such as acme/app", args[0])
		}
		c, err := e.client()
		if err != nil {
			return err
		}
		text, err := do(cmd.Context(), c, developer, name)
		if err != nil {
			return err
		}
		if e.json {
			return e.printJSON(map[string]string{"developer": developer, "destination": name, "result": text})
		}
		_, err = fmt.Fprintf(e.out, "%s: %s\n", clean(args[0]), text)
		return err
	}
}
