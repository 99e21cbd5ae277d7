package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// opening holds destinations that are open and not in force yet.
type opening map[*config.Destination]destination.Destination

func (o opening) close() {
	for d := range o {
		o.drop(d)
	}
}

func (o opening) drop(d *config.Destination) {
	if dest := o[d]; dest != nil {
		dest.Close()
	}
	delete(o, d)
}

// openDeveloper opens those destinations of a developer that differ from what
// runs, all or none.
func (a *App) openDeveloper(ctx context.Context, opened opening, dev *config.Developer, daemon *config.Daemon) error {
	running := a.running(dev.ID)
	var faults []error
	for _, d := range dev.Destinations {
		if ctx.Err() != nil {
			faults = append(faults, context.Cause(ctx))
			break
		}
		// Settings that were good before may run with credentials that the
		// operator has taken back since.
		if hash, ok := running[keyOf(d)]; ok && hash == d.Hash && (!d.Ambient || listed(d, daemon)) {
			continue
		}
		dest, err := a.openLater(d, daemon)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		opened[d] = dest
	}
	if len(faults) > 0 {
		for _, d := range dev.Destinations {
			opened.drop(d)
		}
	}
	return errors.Join(faults...)
}

// running returns the fingerprint of what each destination of a developer runs on now.
func (a *App) running(developer string) map[store.DestinationKey]uint64 {
	running := make(map[store.DestinationKey]uint64)
	if cur := a.current.Load(); cur != nil && cur.developers[developer] != nil {
		for _, d := range cur.developers[developer].destinations {
			running[keyOf(d.Destination)] = d.Hash
		}
	}
	return running
}

func keyOf(d *config.Destination) store.DestinationKey {
	return store.DestinationKey{Developer: d.Developer, Name: d.Name, Kind: d.Kind}
}

// openLater sees that a destination can be opened, and returns it to be opened when
// it is first used.
func (a *App) openLater(d *config.Destination, daemon *config.Daemon) (dest destination.Destination, err error) {
	dest, err = a.open(d, daemon)
	if _, already := dest.(*deferred); already || err != nil {
		return dest, err
	}
	err = a.guarded(d, func() error {
		dest, err = deferredAs(dest, func() (destination.Destination, error) { return a.openInForce(d) }), dest.Close()
		if err != nil {
			a.log.Warn("closing a destination failed", "developer", d.Developer, "destination", d.Name, "error", err)
		}
		return nil
	})
	return dest, err
}

// openInForce opens one destination under the settings of the daemon that are in force then.
func (a *App) openInForce(d *config.Destination) (destination.Destination, error) {
	return a.openNow(d, &a.current.Load().snapshot.Daemon)
}

// open opens one destination, under a note in the flight record. Where the process died
// while it opened the destination, the first attempt opens it: the next crash then
// counts against that delivery.
func (a *App) open(d *config.Destination, daemon *config.Daemon) (destination.Destination, error) {
	end := a.flight.Opening(keyOf(d))
	if end == nil {
		a.log.Warn("the process died when a destination was opened; it is opened by its first attempt now", "developer", d.Developer, "destination", d.Name)
		return &deferred{checkable: true, open: func() (destination.Destination, error) {
			dest, err := a.openInForce(d)
			a.flight.Opened(keyOf(d))
			return dest, err
		}}, nil
	}
	defer end()
	return a.openNow(d, daemon)
}

// guarded calls a kind, which may come from anybody: one that panics costs its
// developer alone.
func (a *App) guarded(d *config.Destination, call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			// The text of a panic may hold anything, secrets too.
			a.log.Error("a destination panicked when it was opened", "developer", d.Developer, "destination", d.Name, "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			err = fmt.Errorf("open %s/%s: its kind panicked", d.Developer, d.Name)
		}
	}()
	return call()
}

// openNow opens one destination under the settings of the daemon that are, or are to
// be, in force. Frozen settings, and last good ones, may ask for what these no longer
// allow.
func (a *App) openNow(d *config.Destination, daemon *config.Daemon) (dest destination.Destination, err error) {
	deps := a.deps(d, daemon)
	switch {
	case d.Links && deps.Payloads == nil:
		return nil, fmt.Errorf("open %s/%s: it links to payloads, and there is no payload store: set payloads in fantail.yaml and start the daemon again", d.Developer, d.Name)
	case d.NeedsAmbient && !deps.Ambient:
		return nil, fmt.Errorf("open %s/%s: it needs the operator's own credentials, and ambient of fantail.yaml does not list it", d.Developer, d.Name)
	}
	err = a.guarded(d, func() error {
		if dest, err = d.Open(deps); err == nil && dest == nil {
			err = errors.New("its kind opened nothing")
		}
		if err != nil {
			return fmt.Errorf("open %s/%s: %w", d.Developer, d.Name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return dest, nil
}

// deps is what the engine lends to d.
func (a *App) deps(d *config.Destination, daemon *config.Daemon) destination.Deps {
	client := a.exchange.Client(d.Developer, nil)
	deps := destination.Deps{
		Log:      a.log.With("developer", d.Developer, "destination", d.Name),
		Exchange: client, HTTP: client.HTTP(), Dial: a.dial, Brand: a.brand, UserAgent: a.userAgent(), Catalogue: a.catalogue,
	}
	if a.payloads != nil { // an interface that holds a nil pointer is not nil
		deps.Payloads = a.payloads
	}
	// Being listed is not enough: settings that were frozen before that go without the
	// operator's credentials.
	if d.Ambient && listed(d, daemon) {
		deps.Ambient, deps.Metadata = true, a.metadata
	}
	return deps
}

// listed tells whether the operator lends d their own credentials.
func listed(d *config.Destination, daemon *config.Daemon) bool {
	return slices.Contains(daemon.Ambient, d.Developer+"/"+d.Name)
}
