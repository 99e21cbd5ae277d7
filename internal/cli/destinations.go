package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newDestinations(e *env) *cobra.Command {
	var developer, state string
	cmd := &cobra.Command{
		Use:   "destinations",
		Short: "See all destinations and how they are",
		Long: `Lists destinations with their state, what waits for them and what is being sent.

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
  fantail destinations --state held --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			return printList(e, c.Destinations(cmd.Context(), developer, state), 0,
				[]string{"DESTINATION", "KIND", "STATE", "PENDING", "OLDEST", "IN FLIGHT", "BREAKER", "CHECK", "REASON"},
				e.destinationRow, "No such destinations.")
		},
	}
	cmd.Flags().StringVar(&developer, "developer", "", "only destinations of this developer")
	cmd.Flags().StringVar(&state, "state", "", "only active, paused, held, disabled or removed ones")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(
		[]string{"active", "paused", "held", "disabled", "removed"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (e *env) destinationRow(d client.Destination) []string {
	oldest := "-"
	if !d.OldestPending.IsZero() {
		oldest = span(e.now().Sub(d.OldestPending))
	}
	return []string{d.Developer + "/" + d.Name, d.Kind, d.State, fmt.Sprint(d.Pending), oldest,
		fmt.Sprint(d.InFlight), or(d.Breaker, "-"), checked(d.Check), cut(e.reason(d), 100)}
}

// reason says why nothing goes out to d; "" if something may.
func (e *env) reason(d client.Destination) string {
	if d.WaitsUntil.IsZero() {
		return d.Reason
	}
	return "waits until " + e.moment(d.WaitsUntil) + ": " + d.Reason
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
