package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func newEvents(e *env) *cobra.Command {
	var (
		f      client.EventFilter
		l      listFlags
		within interval
		body   bool
	)
	cmd := &cobra.Command{
		Use:   "events [ID]",
		Short: "Find accepted events, or show one and its body",
		Long: `Lists accepted events, newest first. With an ID it shows that event and its
deliveries, and with --body its body, byte for byte as it was accepted (on a
terminal, control characters are shown as escapes).

Bodies are kept for retention.events, everything else for retention.attempts.`,
		Example: `  fantail events --developer acme --since 6h
  fantail events --developer acme --type activity --type sleep --limit 20
  fantail events --unmatched --since 2d                 events that no destination wanted
  fantail events 019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d
  fantail events 019c1f3e-7b2a-7000-8000-3f1e5a2b4c6d --body > event.json`,
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
				return e.showEvent(cmd.Context(), c, args[0], body)
			}
			if body {
				return usagef("--body goes with the ID of an event")
			}
			if f.Since, f.Until, err = within.read(e.now()); err != nil {
				return err
			}
			l.limited = cmd.Flags().Changed("limit")
			return e.listEvents(cmd.Context(), c, f, l)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Developer, "developer", "", "only events of this developer")
	flags.StringSliceVar(&f.Types, "type", nil, "only events of this type; may be given several times")
	flags.StringVar(&f.User, "user", "", "only events of this user")
	flags.BoolVar(&f.Unmatched, "unmatched", false, "only events that matched no destination")
	within.flags(cmd, "accepted")
	limitFlag(cmd, &l.limit)
	l.flags(cmd, "accepted", "developer", "type", "user", "size")
	flags.BoolVar(&body, "body", false, "with an ID: print the body and nothing else")
	return cmd
}

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", 50, "show at most this many; 0 for all, which is the default of -o json, jsonl and id")
}

// eventOrder are the orders of a list of events.
var eventOrder = map[string]func(a, b client.Event) int{
	"accepted":  func(a, b client.Event) int { return b.Accepted.Compare(a.Accepted) },
	"developer": func(a, b client.Event) int { return cmp.Compare(a.Developer, b.Developer) },
	"type":      func(a, b client.Event) int { return cmp.Compare(a.Type, b.Type) },
	"user":      func(a, b client.Event) int { return cmp.Compare(a.User, b.User) },
	"size":      func(a, b client.Event) int { return cmp.Compare(b.Size, a.Size) },
}

func (e *env) listEvents(ctx context.Context, c *client.Client, f client.EventFilter, l listFlags) error {
	var back time.Time
	if len(f.Types) > 0 || f.Unmatched || f.User != "" && f.Developer == "" {
		f.Pages, f.Looked = searchPages, func(t time.Time) { back = t }
	}
	list := listing[client.Event]{
		env: e, listed: l, order: eventOrder, none: "No such events.", id: func(ev client.Event) string { return ev.ID },
		items: func(ctx context.Context, limit int) iter.Seq2[client.Event, error] {
			f.Limit, back = limit, time.Time{}
			return c.Events(ctx, f)
		},
		columns: []column{
			{head: "AGE"}, {head: "ID"}, {head: "DEVELOPER", least: 16}, {head: "TYPE", least: 8}, {head: "USER", least: 6}, {head: "SIZE", drop: 1}, {head: "GOES TO", least: 10, fold: true},
		},
		row: e.eventRow,
		unknown: func(ctx context.Context) error {
			return e.recognise(ctx, c, named{developer: f.Developer, types: f.Types})
		},
		looked: func() time.Time { return back },
	}
	return list.run(ctx)
}

func (e *env) eventRow(ev client.Event, wide bool) []cell {
	age, id := "-", short(ev.ID)
	if wide {
		age, id = e.moment(ev.Accepted), ev.ID
	} else if !ev.Accepted.IsZero() {
		age = about(e.now().Sub(ev.Accepted))
	}
	goes := or(strings.Join(ev.Destinations, ", "), "nobody")
	if ev.Gone != "" {
		goes += " (" + ev.Gone + ")"
	}
	return texts(age, id, ev.Developer, ev.Type, or(ev.User, "-"), size(int64(ev.Size)), goes)
}

func (e *env) showEvent(ctx context.Context, c *client.Client, id string, body bool) error {
	if body {
		b, err := c.EventBody(ctx, id)
		if err != nil {
			return err
		}
		if e.outTerminal {
			b = append(bytes.TrimSuffix([]byte(lines(string(b))), []byte("\n")), '\n')
		}
		_, err = e.out.Write(b)
		return err
	}
	ev, err := c.Event(ctx, id)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(ev)
	}
	if err := e.facts(
		[2]string{"event", ev.ID}, [2]string{"developer", ev.Developer}, [2]string{"type", ev.Type}, [2]string{"version", ev.Version},
		[2]string{"user", ev.User}, [2]string{"reference", ev.Reference}, [2]string{"accepted", e.moment(ev.Accepted)},
		[2]string{"ordering", e.moment(ev.Ordering)}, [2]string{"body", bodyFact(ev)},
	); err != nil {
		return err
	}
	fmt.Fprintln(e.out)
	return e.listDeliveries(ctx, c, client.DeliveryFilter{Event: ev.ID}, listFlags{}, "It matched no destination. It is kept all the same.")
}

func bodyFact(ev client.Event) string {
	if ev.Gone != "" {
		return size(int64(ev.Size)) + ", " + ev.Gone
	}
	return size(int64(ev.Size))
}

// alone refuses filters beside an ID.
func alone(cmd *cobra.Command) error {
	for _, name := range []string{"developer", "destination", "type", "user", "state", "event", "since", "until", "unmatched", "limit", "all", "class", "code", "sort", "watch", "output"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return usagef("--%s selects from a list: leave it out when you name an ID", name)
		}
	}
	return nil
}
