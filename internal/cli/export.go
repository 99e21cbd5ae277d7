package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// fetching is how many events export asks for at a time.
const fetching = 8

type exportFlags struct {
	events      client.EventFilter
	destination string
	states      []string
	within      interval
	out         string
}

func newExport(e *env) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write events with bodies, references and ordering times, to be handed in elsewhere",
		Long: `Writes one line for each event, oldest first, in the form that "fantail send" and
POST /v1/events/batch read:

  {"dev_id":"acme","reference":"...","idempotency_key":"...",
   "ordering_timestamp":1767225600000.123,"event":{...}}

Bodies are those that were accepted, byte for byte; one that spans several lines
or has white space around it stands as base64 in "body" instead of "event".

Reference and ordering time are those of the event, so that what is handed in
elsewhere is as old as it was and overwrites nothing newer there. The
idempotency key is the event's id: handing in a file again stores nothing twice, as
long as the daemon knows its keys (setting "idempotency"). The daemon that it comes
from knows its own events as long as it keeps them, and answers "duplicate".

With --destination or --state it writes the events of such deliveries, each once.
Events whose bodies were erased or have expired are left out, and counted.`,
		Example: `  fantail export --developer acme --destination app --state dead > dead.ndjson
  fantail export --developer acme --since 7d --out acme.ndjson
  fantail export --unmatched | ssh elsewhere fantail send --ndjson -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			c, err := e.client()
			if err != nil {
				return err
			}
			if f.events.Since, f.events.Until, err = f.within.read(e.now()); err != nil {
				return err
			}
			switch {
			case f.destination != "" && f.events.Developer == "":
				return usagef("--destination needs --developer: names are each developer's own")
			case f.events.Unmatched && (f.destination != "" || len(f.states) > 0):
				return usagef("--unmatched events have no deliveries: leave out --destination and --state")
			case f.events.Limit < 0:
				return usagef("--limit %d: want 0 for all, or more", f.events.Limit)
			}
			return e.exportTo(cmd.Context(), c, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.events.Developer, "developer", "", "only events of this developer")
	flags.StringVar(&f.destination, "destination", "", "only events that go to this destination of the developer")
	flags.StringSliceVar(&f.states, "state", nil, "only events with a pending, delivered, dead or cancelled delivery; may be given several times")
	flags.StringSliceVar(&f.events.Types, "type", nil, "only events of this type; may be given several times")
	flags.StringVar(&f.events.User, "user", "", "only events of this user")
	flags.BoolVar(&f.events.Unmatched, "unmatched", false, "only events that matched no destination")
	f.within.flags(cmd, "accepted")
	flags.IntVar(&f.events.Limit, "limit", 0, "write at most this many, the newest; 0 for all")
	flags.StringVarP(&f.out, "out", "o", "", "write to this file, which must not exist, instead of the standard output")
	completeStates(cmd)
	return cmd
}

// exportTo opens what is written to. A failed export leaves what it has written, and says which lines
// are whole.
func (e *env) exportTo(ctx context.Context, c *client.Client, f exportFlags) (err error) {
	x := &export{env: e, client: c, flags: f, line: e.progress()}
	if f.out == "" {
		return x.run(ctx, bufio.NewWriter(e.out))
	}
	file, err := os.OpenFile(f.out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(x.run(ctx, bufio.NewWriter(file)), file.Close())
}

// export is one run of the command.
type export struct {
	env    *env
	client *client.Client
	flags  exportFlags
	line   *progress
	gone   int
}

// exported is one event as a line.
type exported struct {
	line []byte // nil: left out
	gone bool
	err  error
}

// run finds all events first and then fetches them, several at a time. Lists are newest first, but
// a later event must be handed in later.
func (x *export) run(ctx context.Context, out *bufio.Writer) error {
	defer x.line.clear()
	ids, err := x.find(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	flying := make(chan chan exported, fetching-1)
	go func() {
		defer close(flying)
		for _, id := range ids {
			one := make(chan exported, 1)
			select {
			case flying <- one:
			case <-ctx.Done():
				return
			}
			go func() { one <- x.fetch(ctx, id) }()
		}
	}()
	written, done := 0, 0
	for one := range flying {
		got := <-one
		if got.err != nil {
			return errors.Join(fmt.Errorf("after %d of %d events: %w", done, len(ids), got.err), out.Flush())
		}
		done++
		if got.gone {
			x.gone++
		}
		if got.line != nil {
			if x.env.outTerminal && x.flags.out == "" {
				got.line = append(bytes.TrimSuffix([]byte(lines(string(got.line))), []byte("\n")), '\n')
			}
			if _, err := out.Write(got.line); err != nil {
				return err
			}
			written++
		}
		x.line.show("%d of %d events", done, len(ids))
	}
	if err := errors.Join(ctx.Err(), out.Flush()); err != nil {
		return err
	}
	x.line.clear()
	x.summary(written)
	if written+x.gone == 0 {
		f := &x.flags
		return x.env.recognise(ctx, x.client, named{developer: f.events.Developer, destination: f.destination, types: f.events.Types})
	}
	return nil
}

func (x *export) summary(written int) {
	if x.flags.out != "" {
		fmt.Fprintf(x.env.err, "%s written to %s.\n", count(written, "event"), clean(x.flags.out))
	} else if !x.env.outTerminal { // on a terminal the events themselves are shown
		fmt.Fprintf(x.env.err, "%s written.\n", count(written, "event"))
	}
	if x.gone > 0 {
		fmt.Fprintf(x.env.err, "Left out, with a body that was erased or has expired: %s.\n", count(x.gone, "event"))
	}
}

// find returns the ids of the events, oldest first. They take 16 bytes each.
func (x *export) find(ctx context.Context) ([]event.ID, error) {
	var ids []event.ID
	take := func(text string) error {
		id, err := event.ParseID(text)
		ids = append(ids, id)
		x.line.show("finding events... %d", len(ids))
		return err
	}
	if x.flags.destination == "" && len(x.flags.states) == 0 {
		for ev, err := range x.client.Events(ctx, x.flags.events) {
			if err == nil {
				err = take(ev.ID)
			}
			if err != nil {
				return nil, err
			}
		}
	} else {
		f := client.DeliveryFilter{
			Developer: x.flags.events.Developer, Destination: x.flags.destination, States: x.flags.states,
			Since: x.flags.events.Since, Until: x.flags.events.Until,
		}
		for d, err := range x.client.Deliveries(ctx, f) {
			if err == nil {
				err = take(d.Event)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(ids, func(a, b event.ID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	if n := x.flags.events.Limit; n > 0 && len(ids) > n {
		ids = ids[len(ids)-n:]
	}
	return ids, nil
}

// fetch makes the line of one event.
func (x *export) fetch(ctx context.Context, id event.ID) exported {
	ev, err := x.client.Event(ctx, id.String())
	if err != nil {
		return left(err)
	}
	f := &x.flags.events
	if len(f.Types) > 0 && !slices.Contains(f.Types, ev.Type) || f.User != "" && f.User != ev.User {
		return exported{}
	}
	if ev.Gone != "" {
		return exported{gone: true}
	}
	body, err := x.client.EventBody(ctx, ev.ID)
	if err != nil {
		return left(err)
	}
	line, err := client.AppendLine(nil, client.SendRequest{
		Developer: ev.Developer, Reference: ev.Reference, Ordering: ev.Ordering.Truncate(time.Microsecond), IdempotencyKey: ev.ID, Body: body,
	})
	return exported{line: line, err: err}
}

// left tells an event that was removed since it was listed from one that failed.
func left(err error) exported {
	if refused, ok := errors.AsType[*client.Error](err); ok && (refused.Status == 410 || refused.Status == 404) {
		return exported{gone: true}
	}
	return exported{err: err}
}
