package cli

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newChanges(e *env) *cobra.Command {
	var (
		f      client.ChangeFilter
		l      listFlags
		within interval
	)
	cmd := &cobra.Command{
		Use:   "changes",
		Short: "See who did what, when and why",
		Long: `Lists what was changed, and who read bodies or made links, newest first. BY is the
name of the token: "local" without tokens, or without a daemon (restore, backup
--offline), "daemon" for what the engine decided by itself, "signal" for a reload
that a signal asked for. DID is the call of the API,
as openapi.yaml names it. What is only read, and whatever was refused, is one row a
minute for a token and developer; COUNT says how many there were. Refused log-ins
name the network that they came from.

Every command that changes something, or reads a body, takes --reason: it stands
here. Acts are kept for retention.changes. A token for some developers sees theirs.`,
		Example: `  fantail changes --since 7d --developer acme --by support
  fantail changes --call eraseUser -o wide
  fantail changes --watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			c, err := e.client()
			if err != nil {
				return err
			}
			if f.Since, f.Until, err = within.read(e.now()); err != nil {
				return err
			}
			l.limited = cmd.Flags().Changed("limit")
			return e.listChanges(cmd.Context(), c, f, l)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Developer, "developer", "", "only acts that are about this developer")
	flags.StringVar(&f.By, "by", "", "only acts of the token with this name; local, daemon or signal")
	flags.StringVar(&f.Call, "call", "", "only this call, such as pauseDestination, eraseUser or getEventBody; logIn for those that were refused")
	within.flags(cmd, "done")
	limitFlag(cmd, &l.limit)
	l.flags(cmd, "done", "by", "call")
	return cmd
}

// changeOrder are the orders of a list of acts.
var changeOrder = map[string]func(a, b client.Act) int{
	"done": func(a, b client.Act) int { return b.At.Compare(a.At) },
	"by":   func(a, b client.Act) int { return cmp.Compare(a.By, b.By) },
	"call": func(a, b client.Act) int { return cmp.Compare(a.Call, b.Call) },
}

func (e *env) listChanges(ctx context.Context, c *client.Client, f client.ChangeFilter, l listFlags) error {
	list := listing[client.Act]{
		env: e, listed: l, order: changeOrder, none: "Nothing was done, as far as that goes.",
		id: func(a client.Act) string {
			return fmt.Sprintf("%s %s %s %s", a.At.UTC().Format(time.RFC3339Nano), or(a.By, "-"), a.Call, place(a))
		},
		items: func(ctx context.Context, limit int) iter.Seq2[client.Act, error] {
			f.Limit = limit
			return c.Changes(ctx, f)
		},
		columns: []column{
			{head: "AGE"}, {head: "BY", least: 10}, {head: "DID", least: 12}, {head: "TO", least: 12}, {head: "COUNT", drop: 2}, {head: "RESULT", least: 6, drop: 1}, {head: "REASON", least: 18, fold: true},
		},
		row: e.changeRow,
	}
	return list.run(ctx)
}

// place is what an act was done to.
func place(a client.Act) string {
	switch {
	case a.Developer != "" && a.Object != "":
		return a.Developer + "/" + a.Object
	case a.Developer+a.Object != "":
		return a.Developer + a.Object
	}
	return "-"
}

func (e *env) changeRow(a client.Act, wide bool) []cell {
	age, by := "-", or(a.By, or(a.From, "-"))
	if wide {
		age = e.moment(a.At)
		if a.Via != "" {
			by += " over " + a.Via
		}
	} else if !a.At.IsZero() {
		age = about(e.now().Sub(a.At))
	}
	cells := texts(age, by, a.Call, place(a), fmt.Sprint(a.Count), a.Result, or(a.Reason, "-"))
	if a.Result != "ok" {
		cells[5].colour = red
	}
	return cells
}
