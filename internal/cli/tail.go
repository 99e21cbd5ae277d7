package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// Waits before a stream that has ended is asked for again: each is twice the one before.
const (
	firstTailWait = time.Second
	maxTailWait   = 15 * time.Second
)

func newTail(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "tail [DEVELOPER[/DESTINATION]]",
		Short: "See attempts as they happen",
		Long: `Prints each attempt when it has ended, until Ctrl-C: when, of which delivery, what
the far side answered, and what becomes of the delivery. What happened before is
in "fantail deliveries".

When attempts come faster than they can be shown some are left out, and a line
says how many. When the daemon stops or the connection breaks, a line says so, and
the daemon is asked again until it is back.`,
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
			t := tail{env: e, client: c, developer: developer, destination: name, wait: firstTailWait}
			return t.run(cmd.Context())
		},
	}
}

// tail prints attempts in columns of fixed width, over stops of the daemon.
type tail struct {
	env                    *env
	client                 *client.Client
	developer, destination string
	grid                   *grid

	followed bool // the daemon has begun a stream: it is there, and the names are right
	away     bool // a line says that the stream has ended
	wait     time.Duration
}

// run ends with ctx, or with an error that asking again does not mend.
func (t *tail) run(ctx context.Context) error {
	t.client.Following = func() {
		t.followed = true
		if t.away {
			t.away = false
			fmt.Fprintln(t.env.err, "Connected again. What happened in between is in \"fantail deliveries\".")
		}
	}
	for {
		ended, err := t.follow(ctx)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !t.followed || !passes(ended):
			return t.env.orNearest(ctx, t.client, t.developer, t.destination, ended)
		}
		if !t.away {
			t.away = true
			fmt.Fprintf(t.env.err, "%s. Waiting until it is back; Ctrl-C ends this.\n", t.loss(ended))
		}
		if !t.env.pause(ctx, t.wait) {
			return context.Cause(ctx)
		}
		t.wait = min(2*t.wait, maxTailWait)
	}
}

// follow shows one stream until it ends, and returns why; err is of the output.
func (t *tail) follow(ctx context.Context) (ended, err error) {
	for a, err := range t.client.Follow(ctx, t.developer, t.destination) {
		if err != nil {
			ended = err
			break
		}
		t.wait = firstTailWait
		if err := t.show(a); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// loss says why a stream has ended.
func (t *tail) loss(ended error) string {
	if isStopping(ended) {
		return "The daemon has stopped"
	}
	why, _, _ := strings.Cut(t.env.advise(ended), "\n")
	return "The connection to the daemon broke (" + clean(why) + ")"
}

func isStopping(ended error) bool {
	said, ok := errors.AsType[*client.Error](ended)
	return ok && said.Code == "stopping"
}

// passes tells whether a stream that ended in this way may work again later. It may not when the
// daemon, or a proxy before it, refuses it.
func passes(ended error) bool {
	refused, ok := errors.AsType[*client.Error](ended)
	return !ok || isStopping(ended) || refused.Temporary() || refused.Status >= http.StatusInternalServerError
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
		t.grid = e.grid(room, column{head: "TIME", fixed: 8}, column{head: "ID", fixed: 21, whole: true}, column{head: "DESTINATION", fixed: max(11, min(24, room/6))},
			column{head: "TYPE", fixed: max(4, min(16, room/9))}, column{head: "WHAT CAME OF IT", least: 10, fold: e.outTerminal})
	}
	cells := texts(a.At.UTC().Format("15:04:05"), short(a.Delivery), a.Developer+"/"+a.Destination, or(a.Type, "-"), e.came(a))
	cells[4].colour = colourOf(a.State)
	t.grid.add(cells)
	return t.grid.flush()
}

// came says how an attempt ended.
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
