package app

import (
	"context"
	"errors"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/trail"
)

// tell passes on a notice of the scheduler, and has the trail keep what it decided of a
// destination by itself.
func (a *App) tell(n delivery.Notice) {
	a.notices.Tell(n)
	state := map[string]string{
		delivery.DestinationHeld: "held", delivery.DestinationResumed: "active", delivery.DestinationFailing: "failing",
	}[n.Name]
	if state == "" || n.Reason == delivery.ByHand { // whoever resumed it has an act of their own
		return
	}
	a.trail.Tell(store.Act{
		By: trail.Daemon, Call: n.Name, Developer: n.Destination.Developer, Object: n.Destination.Name, Reason: n.Reason, Result: "ok", State: state,
	})
}

// standing is the state that the settings give a destination.
func standing(d *config.Destination) string {
	switch {
	case d == nil:
		return "removed"
	case !d.Enabled:
		return "disabled"
	}
	return "active"
}

// noteStates keeps which destinations a change of the settings moved to another state,
// and who made it. What differs from a process before this one is not known.
func (a *App) noteStates(ctx context.Context, old, now *config.Snapshot) {
	var acts []store.Act
	add := func(developer, name, state string) {
		acts = append(acts, store.Act{By: trail.Who(ctx), Call: "reload", Developer: developer, Object: name, Result: "ok", State: state})
	}
	for id, dev := range now.Developers {
		if old.Developers[id] == dev {
			continue
		}
		for _, d := range dev.Destinations {
			if state := standing(d); state != standing(old.Find(id, d.Name)) {
				add(id, d.Name, state)
			}
		}
	}
	for id, dev := range old.Developers {
		if now.Developers[id] == dev {
			continue
		}
		for _, d := range dev.Destinations {
			if now.Find(id, d.Name) == nil && now.Broken[id] == nil {
				add(id, d.Name, "removed")
			}
		}
	}
	if len(acts) == 0 {
		return
	}
	if err := a.trail.Note(ctx, acts...); err != nil {
		a.log.Error("which destinations the settings changed could not be noted", "destinations", len(acts), "error", err)
	}
}

// ReloadForSignal reloads for whoever sent a signal, which the trail keeps as an act of theirs.
func (a *App) ReloadForSignal(ctx context.Context) (waiting []string, err error) {
	ctx = trail.As(ctx, trail.Signal)
	waiting, err = a.Reload(ctx)
	act := store.Act{By: trail.Signal, Call: "reload", Result: "ok"}
	if err != nil {
		act.Result, act.Reason = "invalid_settings", err.Error()
		if _, partly := errors.AsType[*api.Refused](err); partly {
			act.Result = "developers_refused"
		}
	}
	if noted := a.trail.Note(ctx, act); noted != nil {
		a.log.Error("the reload could not be noted", "error", noted)
	}
	return waiting, err
}
