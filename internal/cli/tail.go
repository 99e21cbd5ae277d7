package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newTail(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "tail [DEVELOPER[/DESTINATION]]",
		Short: "See attempts as they happen",
		Long: `Prints each attempt when it has ended, until Ctrl-C: when, of which delivery, what
the far side answered, and what becomes of the delivery. What happened before is
in "fantail deliveries".

When attempts come faster than they can be shown some are left out, and a line
says how many.`,
		Example: `  fantail tail
  fantail tail acme/app
  fantail tail acme --json | jq .code`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			developer, name, err := destinationArg(args)
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			t := tail{env: e}
			for a, err := range c.Follow(cmd.Context(), developer, name) {
				if err != nil {
					return e.orNearest(cmd.Context(), c, developer, name, err)
				}
				if err := t.show(a); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// tail prints attempts in columns of fixed width.
type tail struct {
	env  *env
	grid *grid
}

func (t *tail) show(a client.LiveAttempt) error {
	e := t.env
	if e.json {
		return e.printJSON(a)
	}
	if a.Lost > 0 {
		fmt.Fprintf(e.err, "%s missing here: they came too fast. \"fantail deliveries\" has them.\n", count(a.Lost, "attempt"))
	}
	if a.Delivery == "" {
		return nil
	}
	if t.grid == nil {
		room := e.columns()
		t.grid = e.grid(room, column{head: "TIME", fixed: 8}, column{head: "ID", fixed: 21}, column{head: "DESTINATION", fixed: max(11, min(24, room/6))},
			column{head: "TYPE", fixed: max(4, min(16, room/9))}, column{head: "WHAT CAME OF IT", least: 15, fold: e.outTerminal})
	}
	cells := texts(a.At.UTC().Format("15:04:05"), short(a.Delivery), a.Developer+"/"+a.Destination, or(a.Type, "-"), e.came(a))
	cells[4].colour = colourOf(a.State)
	t.grid.add(cells)
	return t.grid.flush()
}

// came says what came of an attempt.
func (e *env) came(a client.LiveAttempt) string {
	what := a.Class
	if a.Code != 0 {
		what = fmt.Sprint(a.Code)
	}
	what += " in " + span(time.Duration(a.Millis)*time.Millisecond)
	switch {
	case a.State == "delivered":
		return "delivered, " + what
	case a.State == "pending":
		if a.Due.After(a.At) {
			what += ", again in " + span(a.Due.Sub(a.At).Round(time.Second))
		}
		if a.Fault != "" {
			what += ": " + a.Fault
		}
		return what
	}
	return a.State + ", " + what + ": " + or(a.Reason, a.Fault)
}
