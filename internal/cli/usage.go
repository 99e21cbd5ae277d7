package cli

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newUsage(e *env) *cobra.Command {
	var (
		f      client.UsageFilter
		within interval
		l      listFlags
	)
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "See what was accepted on which days, and what became of it",
		Long: `Counts deliveries by the day of acceptance, by developer or by destination:
accepted = delivered + pending + dead + cancelled, with the attempts at them and
the bytes of their bodies. Without --since it tells of the last 30 days.

Days are whole ones of UTC. What was accepted on a day counts there, whenever it
was delivered; a delivery that a replay made counts on the day of the replay. The
figures are the counters that "fantail audit" sums, kept for retention.attempts.

An older version did not count attempts and bytes: where some of it is from
before, both are "-" (null in JSON), and a line says from which day on they are
counted.`,
		Example: `  fantail usage
  fantail usage --by developer --since 2026-07-01 --until 2026-08-01 -o json
  fantail usage --developer acme --destination app --since 7d`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			c, err := e.client()
			if err != nil {
				return err
			}
			if f.Since, f.Until, err = within.read(e.now()); err != nil {
				return err
			}
			if f.Destination != "" && f.Developer == "" {
				return usagef("--destination needs --developer: names are each developer's own")
			}
			if _, there := usageHeads[f.By]; !there {
				return usagef("--by %s: want day, developer or destination", f.By)
			}
			return e.listUsage(cmd.Context(), c, f, l)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.By, "by", "day", "what a row is about: day, developer or destination")
	flags.StringVar(&f.Developer, "developer", "", "only of this developer")
	flags.StringVar(&f.Destination, "destination", "", "only of this destination of the developer")
	within.flags(cmd, "accepted")
	l.flags(cmd, "name", "accepted", "dead", "attempts", "bytes")
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{"day", "developer", "destination"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

var usageHeads = map[string]string{"day": "DAY", "developer": "DEVELOPER", "destination": "DESTINATION"}

// usageOrder are the orders of a list of usage. The daemon lists by name.
var usageOrder = map[string]func(a, b client.UsageRow) int{
	"name":     func(a, b client.UsageRow) int { return cmp.Compare(usageName(a), usageName(b)) },
	"accepted": func(a, b client.UsageRow) int { return cmp.Compare(b.Accepted, a.Accepted) },
	"dead":     func(a, b client.UsageRow) int { return cmp.Compare(b.Dead, a.Dead) },
	"attempts": func(a, b client.UsageRow) int { return cmp.Compare(known(b.Attempts), known(a.Attempts)) },
	"bytes":    func(a, b client.UsageRow) int { return cmp.Compare(known(b.Bytes), known(a.Bytes)) },
}

// usageName is the day, developer or destination that a row is about.
func usageName(r client.UsageRow) string {
	if r.Destination != "" {
		return r.Developer + "/" + r.Destination
	}
	return r.Day + r.Developer
}

// known gives figures that were not counted the last place in an order.
func known(n *int64) int64 {
	if n == nil {
		return -1
	}
	return *n
}

func (e *env) listUsage(ctx context.Context, c *client.Client, f client.UsageFilter, l listFlags) error {
	from := ""
	list := listing[client.UsageRow]{
		env: e, listed: l, order: usageOrder, none: "Nothing was accepted.", id: usageName,
		items: func(ctx context.Context, _ int) iter.Seq2[client.UsageRow, error] {
			return func(yield func(client.UsageRow, error) bool) {
				u, err := c.Usage(ctx, f)
				if err != nil {
					yield(client.UsageRow{}, err)
					return
				}
				from = u.Counted
				values(u.Items)(yield)
			}
		},
		columns: []column{
			{head: usageHeads[f.By], least: 18}, {head: "ACCEPTED"}, {head: "DELIVERED"}, {head: "PENDING"}, {head: "DEAD"},
			{head: "CANCELLED", drop: 2}, {head: "ATTEMPTS", drop: 1}, {head: "BYTES"},
		},
		row: func(r client.UsageRow, _ bool) []cell {
			attempts, bytes := "-", "-"
			if r.Attempts != nil {
				attempts = fmt.Sprint(*r.Attempts)
			}
			if r.Bytes != nil {
				bytes = size(*r.Bytes)
			}
			return texts(usageName(r), fmt.Sprint(r.Accepted), fmt.Sprint(r.Delivered), fmt.Sprint(r.Pending), fmt.Sprint(r.Dead),
				fmt.Sprint(r.Cancelled), attempts, bytes)
		},
		unknown: func(ctx context.Context) error {
			return e.recognise(ctx, c, named{developer: f.Developer, destination: f.Destination})
		},
	}
	err := list.run(ctx)
	if err == nil && from != "" {
		fmt.Fprintf(e.err, "Attempts and bytes are counted from %s on, not on all of these days: --since %s\n", clean(from), clean(from))
	}
	return err
}
