package app

import (
	"cmp"
	"context"
	"errors"
	"slices"

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
func standing(dev *config.Developer, name string) string {
	if dev != nil {
		for _, d := range dev.Destinations {
			switch {
			case d.Name != name:
			case !d.Enabled:
				return "disabled"
			default:
				return "active"
			}
		}
	}
	return "removed"
}

// differing are developers whose settings were others before; nil: they had none, or have none.
type differing map[string]struct{ was, is *config.Developer }

func (d differing) add(id string, was, is *config.Developer) {
	d[id] = struct{ was, is *config.Developer }{was, is}
}

// between returns who differs between two readings of the settings.
func between(old, now *config.Snapshot) differing {
	all := differing{}
	for id, dev := range now.Developers {
		if old.Developers[id] != dev {
			all.add(id, old.Developers[id], dev)
		}
	}
	for id, dev := range old.Developers {
		if now.Developers[id] == nil && now.Broken[id] == nil {
			all.add(id, dev, nil)
		}
	}
	return all
}

// sinceBefore returns who differs from what a process before this one ran on: replaced are
// the values of their last good settings, gone who has none any more.
func (a *App) sinceBefore(ctx context.Context, now *state, replaced map[string][]byte, gone []string) differing {
	all := differing{}
	for id, value := range replaced {
		was, err := a.openGood(value, now.keys)
		if err != nil && value != nil {
			continue // under a key that is gone: nobody knows what it was
		}
		all.add(id, was, now.snapshot.Developers[id])
	}
	for _, id := range gone {
		if was, err := a.lastGood(ctx, now.keys, id); err == nil {
			all.add(id, was, nil)
		}
	}
	return all
}

// followsKey marks what another daemon has done first: that one has noted it.
type followsKey struct{}

func follows(ctx context.Context) context.Context { return context.WithValue(ctx, followsKey{}, true) }

// noteStates keeps which destinations a change of the settings moved to another state, and
// who made it. Where nobody called for it, call says what it was: a reload, or a start.
func (a *App) noteStates(ctx context.Context, call string, all differing) {
	if ctx.Value(followsKey{}) != nil {
		return
	}
	var acts []store.Act
	who := trail.Who(ctx)
	call = cmp.Or(who.Call, call)
	for id, dev := range all {
		names := map[string]bool{}
		for _, one := range []*config.Developer{dev.was, dev.is} {
			if one == nil {
				continue
			}
			for _, d := range one.Destinations {
				if state := standing(dev.is, d.Name); !names[d.Name] && state != standing(dev.was, d.Name) {
					acts = append(acts, store.Act{By: who.By, Via: who.Via, Call: call, Developer: id, Object: d.Name, Result: "ok", State: state})
				}
				names[d.Name] = true
			}
		}
	}
	if len(acts) == 0 {
		return
	}
	a.asTheyAre(acts)
	for some := range slices.Chunk(acts, 1000) {
		if err := a.trail.Note(ctx, some...); err != nil {
			a.log.Error("which destinations the settings changed could not be noted", "destinations", len(some), "error", err)
		}
	}
}

// asTheyAre corrects what becomes active: it may be paused, or held.
func (a *App) asTheyAre(acts []store.Act) {
	states := map[[2]string]string{}
	for _, s := range a.scheduler.Status() {
		if s.State != "removed" { // under another kind
			states[[2]string{s.Key.Developer, s.Key.Name}] = s.State
		}
	}
	for i := range acts {
		if state := states[[2]string{acts[i].Developer, acts[i].Object}]; acts[i].State == "active" && state != "" {
			acts[i].State = state
		}
	}
}

// ReloadForSignal reloads for whoever sent a signal, which the trail keeps as an act of theirs.
func (a *App) ReloadForSignal(ctx context.Context) (waiting []string, err error) {
	ctx = trail.As(ctx, trail.Actor{By: trail.Signal})
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
