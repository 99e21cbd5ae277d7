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

func newDaemons(e *env) *cobra.Command {
	var l listFlags
	cmd := &cobra.Command{
		Use:   "daemons",
		Short: "See which daemons work on a shared store",
		Long: `Lists the daemons that work on one PostgreSQL: those that are alive, and those that
ended without giving their slots back, as long as that is known. The one that answers
has an asterisk. SLOTS counts
the slots that a daemon owns: what is pending lies in them. CLOCK is how far its clock
is from that of the database: above 100 ms "readyz" warns, above 5 s the daemon takes no
events. DIFFERS names what a daemon has that the one that answers has not: keys, or
files (fantail.yaml, the developers' folder).

With the embedded store there is one daemon, and the list is empty.`,
		Example: `  fantail daemons
  fantail daemons --json
  fantail daemons --watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			list := listing[client.Daemon]{
				env: e, listed: l, order: daemonOrder, usual: "name", none: "No daemons: the store is the embedded one, which is one daemon's own.",
				id: func(d client.Daemon) string { return d.ID },
				items: func(ctx context.Context, _ int) iter.Seq2[client.Daemon, error] {
					return func(yield func(client.Daemon, error) bool) {
						all, err := c.Daemons(ctx)
						for _, d := range all {
							if !yield(d, nil) {
								return
							}
						}
						if err != nil {
							yield(client.Daemon{}, err)
						}
					}
				},
				columns: []column{
					{head: "DAEMON", least: 12}, {head: "STATE", least: 6}, {head: "VERSION", drop: 3}, {head: "STARTED"}, {head: "SEEN"}, {head: "SLOTS"}, {head: "CLOCK", drop: 2}, {head: "DIFFERS"}, {head: "API", drop: 1},
				},
				row: e.daemonRow,
			}
			return list.run(cmd.Context())
		},
	}
	l.flags(cmd, "name", "started", "slots")
	return cmd
}

var daemonOrder = map[string]func(a, b client.Daemon) int{
	"name":    func(a, b client.Daemon) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) },
	"started": func(a, b client.Daemon) int { return later(a.Started, b.Started) },
	"slots":   func(a, b client.Daemon) int { return cmp.Compare(len(b.Slots), len(a.Slots)) },
}

func (e *env) daemonRow(d client.Daemon, _ bool) []cell {
	state := "alive"
	if !d.Alive {
		state = "gone"
	}
	var differs []string
	if !d.SameKeys {
		differs = append(differs, "keys")
	}
	if !d.SameFiles {
		differs = append(differs, "files")
	}
	name := d.Name
	if d.Self {
		name += " *"
	}
	clock := time.Duration(d.Offset * float64(time.Millisecond)).Round(time.Millisecond)
	cells := texts(name, state, d.Version, about(e.now().Sub(d.Started)), about(e.now().Sub(d.Seen)), fmt.Sprint(len(d.Slots)), clock.String(), or(strings.Join(differs, ", "), "-"), or(d.API, "-"))
	if !d.Alive || len(differs) > 0 {
		cells[1].colour = yellow
	}
	return cells
}
