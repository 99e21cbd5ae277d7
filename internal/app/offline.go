package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Checked is one destination of the settings and what its check found.
type Checked struct {
	*config.Destination
	Result check.Result
	Err    error // it could not be opened
}

// CheckSettings checks the destinations of the settings that want picks, without
// a daemon and without its store, over the same guard, and returns them by
// developer in the order of their file. found, which may be nil, is told of each as it is done.
func CheckSettings(ctx context.Context, o Options, snap *config.Snapshot, want func(*config.Destination) bool, found func()) (all []Checked, err error) {
	a := &App{
		kinds: o.Kinds, log: o.Log, version: o.Version, started: &snap.Daemon,
		metrics: prometheus.NewRegistry(), brand: snap.Daemon.Brand, catalogue: snap.Daemon.Catalogue,
	}
	defer func() { err = errors.Join(err, a.close(context.WithoutCancel(ctx))) }()
	if err := a.openEgress(ctx, &snap.Daemon, o); err != nil {
		return nil, err
	}
	// The folder of payloads is the daemon's, which may run: it stays closed.
	if snap.Daemon.Payloads.Dir != nil {
		a.payloads = payload.NewOperator(closedPayloads{}, a.metrics, a.log)
	} else if err := a.openPayloads(ctx, &snap.Daemon, o); err != nil {
		return nil, err
	}
	a.followPayloads(snap)
	a.current.Store(&state{snapshot: snap, keys: snap.Keys})
	for _, dev := range snap.Developers {
		for _, d := range dev.Destinations {
			if want(d) {
				all = append(all, Checked{Destination: d})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y Checked) int { return cmp.Compare(x.Developer, y.Developer) })
	targets := make([]check.Target, len(all))
	for i := range all {
		targets[i] = a.checkTarget(all[i].Destination)
	}
	check.Each(ctx, targets, func(i int, r check.Result, err error) {
		all[i].Result, all[i].Err = r, err
		if found != nil {
			found()
		}
	})
	return all, context.Cause(ctx)
}

// closedPayloads stands for the embedded payload store, whose links live as
// long as they are asked to.
type closedPayloads struct{}

var errClosed = errors.New("a check keeps no payloads")

func (closedPayloads) Put(context.Context, string, event.Payload) error { return errClosed }

func (closedPayloads) Link(_ context.Context, _, _ string, ttl time.Duration) (destination.Link, error) {
	return destination.Link{URL: "https://payloads.invalid/", Expires: time.Now().Add(ttl)}, nil
}
