// Package demo shows the main job on real input: the real daemon in a temporary
// folder, local receivers that check every signature and byte with code of
// their own, every sample body, and an audit that must add up.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-51f8da91/fantail/internal/app"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// Options say how to run the demo.
type Options struct {
	Out     io.Writer
	Live    bool // Out is a terminal: the picture is redrawn in place
	Kinds   destination.Registry
	Version string
	Keep    bool // leave the daemon running until ctx ends
	Corrupt bool // one receiver holds another secret than the sender: the demo must fail
}

// patience is how long all deliveries may take; the schedules end within 15 s.
const patience = time.Minute

// Run runs the demo. Its error says what did not add up.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "fantail-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(o.Out, "Starting the daemon, in %s, and four receivers. All of it takes some 10 s, most of them waits between retries.\n", dir)
	cast := newCast(o.Corrupt)
	defer cast.close()
	config, err := cast.writeSettings(dir)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "fantail.log"))
	if err != nil {
		return err
	}
	defer log.Close()

	daemon, err := app.New(ctx, app.Options{
		Config: config, Kinds: o.Kinds, Version: o.Version, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- daemon.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-stopped)
	}()

	fmt.Fprintf(o.Out, "Fantail runs at %s.\n", daemon.URL())
	fmt.Fprintln(o.Out, "Two developers, four webhooks. Retries here wait seconds; the default schedule waits 30 s to 18 h, just over a day in all.")
	api, err := client.New(daemon.URL(), "", nil)
	if err != nil {
		return err
	}
	accepted, err := sendSamples(ctx, api, cast)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "Sent %d events: every sample body once to each developer. Each was on disk before it was acknowledged.\n\n", accepted)
	if err := watch(ctx, api, o, cast); err != nil {
		return err
	}
	if err := report(ctx, api, o.Out, cast); err != nil {
		return err
	}
	if o.Keep {
		fmt.Fprintf(o.Out, "\nStill running, and an event a second goes on: acme/crm fails now and then and recovers, globex/legacy hangs.\n"+
			"Open the console: %s/console/\nOr try: fantail deliveries --server %s --state dead\nStop it with Ctrl-C.\n", daemon.URL(), daemon.URL())
		return goOn(ctx, api, cast)
	}
	return nil
}

// failsAgain is how often a receiver that recovers refuses again, in the seconds of goOn.
const failsAgain = 20

// goOn sends a sample a second, so that there is something to look at, until ctx ends.
func goOn(ctx context.Context, api *client.Client, c *cast) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	names, developers := samples.Names(), c.developers()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if n%failsAgain == 0 {
			c.refuseAgain()
		}
		name := names[n/len(developers)%len(names)]
		body, err := samples.Read(name)
		if err != nil {
			return err
		}
		_, err = api.Send(ctx, client.SendRequest{Developer: developers[n%len(developers)], Reference: "demo-" + name, Body: body})
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("send %s: %w", name, err)
		}
	}
}

func sendSamples(ctx context.Context, api *client.Client, c *cast) (n int, err error) {
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			return n, err
		}
		c.expect(name, body)
		for _, developer := range c.developers() {
			if _, err := api.Send(ctx, client.SendRequest{Developer: developer, Reference: "demo-" + name, Body: body}); err != nil {
				return n, fmt.Errorf("send %s to %s: %w", name, developer, err)
			}
			n++
		}
	}
	return n, nil
}
