package app

import (
	"context"
	"runtime/debug"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// start applies the first reading of the settings.
func (a *App) start(ctx context.Context, snap *config.Snapshot, made []config.Text) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	refused, err := a.takeOver(ctx, snap, made)
	if err == nil && len(refused) > 0 {
		a.reloads.ended(refusedError(refused))
	} else {
		a.reloads.ended(err)
	}
	return err
}

// takeOver puts a reading of the settings in force, and returns which developers'
// are not used. made are documents of it that are not in the store yet.
func (a *App) takeOver(ctx context.Context, snap *config.Snapshot, made []config.Text) ([]refusal, error) {
	a.note(snap.Notes)
	opened, refused, err := a.admit(ctx, snap)
	a.tellRefused(refused)
	if err == nil {
		err = a.keepDocuments(ctx, snap, made)
	}
	if err == nil {
		err = a.apply(ctx, snap, opened, refused)
	}
	if err != nil {
		opened.close()
		return nil, err
	}
	return refused, nil
}

// note logs what is allowed in the settings but worth saying.
func (a *App) note(notes []config.Fault) {
	for _, n := range notes {
		a.log.Warn("settings", "note", n.Error())
	}
}

// apply puts the settings in force, with the destinations of them that are
// opened; the others run already. It does everything that can fail before it
// touches what runs.
func (a *App) apply(ctx context.Context, snap *config.Snapshot, opened opening, refused []refusal) error {
	broken, problems := brokenBy(refused)
	cur := a.current.Load()
	var registered []store.Destination // at the start: all of them
	if cur == nil {
		var err error
		if cur, registered, err = a.nothing(ctx); err != nil {
			return err
		}
	}
	d := cur.difference(snap, broken)
	made, names, err := a.place(ctx, cur, d.changed, opened)
	if err != nil {
		return err
	}
	replaced, err := a.remember(ctx, snap.Keys, made, broken)
	if err != nil {
		return err
	}

	if err := a.api.SetTokens(tokens(&snap.Daemon)); err != nil {
		return err
	}
	a.followPayloads(snap)
	a.followConsole(snap.Daemon.Console)
	next := &state{snapshot: snap, keys: snap.Keys, problems: problems, refused: refused, names: names, developers: cur.with(&d, made), targets: cur.targets, files: filesPrint(snap)}
	if len(d.changed)+len(d.gone) > 0 {
		next.targets = replayTargets(next)
	}
	old := a.current.Swap(next) // before an attempt may open one of them
	a.scheduler.Apply(deliveryTargets(snap, next, &d, registered, opened))
	a.ingest.SetRoutes(routes(next))
	a.followNotices(&snap.Daemon, next)
	a.checks.SetTargets(a.checkTargets(next))
	a.broken.Reset()
	for _, id := range broken {
		a.broken.WithLabelValues(id).Set(1)
	}
	if old != nil {
		a.noteStates(ctx, "reload", between(old.snapshot, snap))
	} else if len(registered) > 0 { // the very first start moves nothing
		a.noteStates(ctx, "start", a.sinceBefore(ctx, next, replaced, d.gone))
	}
	a.forget(ctx, d.gone)
	if len(d.changed) >= crowd {
		go debug.FreeOSMemory() // what parsing them took is given back, and not kept as peak
	}
	return nil
}

// crowd is how many developers leave so much behind, once they are read, that it is
// worth a collection of garbage at once.
const crowd = 1000

// deliveryTargets are the destinations of developers that differ, to which deliveries
// may go, or went before they were removed. known has the state of those that were
// registered before the start.
func deliveryTargets(snap *config.Snapshot, next *state, d *delta, known []store.Destination, opened opening) (targets []delivery.Target) {
	stored := make(map[uint32]*store.Destination, len(known))
	for i := range known {
		stored[known[i].ID] = &known[i]
	}
	of := func(developer string) {
		current := map[uint32]*config.Destination{}
		if dev := next.developers[developer]; dev != nil {
			for i := range dev.destinations {
				current[dev.destinations[i].id] = dev.destinations[i].Destination
			}
		}
		for _, r := range next.names.Of(developer) {
			t := delivery.Target{ID: r.ID, Key: r.DestinationKey}
			if s := stored[r.ID]; s != nil {
				t.State, t.Last = s.State, s.Last
			}
			if d := current[r.ID]; d != nil {
				t.Current, t.Disabled = settingsOf(d, &snap.Daemon), !d.Enabled
				t.Current.Destination = opened[d] // nil: the scheduler has it already
			} else {
				t.Removed = true
			}
			targets = append(targets, t)
		}
	}
	for _, dev := range d.changed {
		of(dev.ID)
	}
	for _, id := range d.gone {
		of(id)
	}
	return targets
}

// settingsOf returns what d is delivered with. The operator's shortest wait holds
// for settings that were frozen, or good, before it was set, too.
func settingsOf(d *config.Destination, daemon *config.Daemon) *delivery.Settings {
	return &delivery.Settings{
		Hash: d.Hash, Schedule: d.Schedule.AtLeast(daemon.Limits.PerDeveloper.ShortestWait), Timeout: d.Timeout, Frozen: d.Frozen, MaxInFlight: d.MaxInFlight, Rate: d.Rate, Serial: d.Serial,
	}
}

// routes builds what ingest matches against.
func routes(next *state) *ingest.Routes {
	r := &ingest.Routes{Developers: make(map[string]*ingest.Developer, len(next.developers))}
	for id, dev := range next.developers {
		if dev.route == nil {
			dev.route = &ingest.Developer{ID: id}
			for _, d := range next.names.Of(id) {
				dev.route.All = append(dev.route.All, d.ID)
			}
			for _, d := range dev.destinations {
				dev.route.Destinations = append(dev.route.Destinations, ingest.Route{ID: d.id, Matches: d.Matches})
			}
		}
		r.Developers[id] = dev.route
	}
	return r
}
