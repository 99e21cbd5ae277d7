package app

import (
	"context"
	"fmt"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// start applies the first reading of the settings.
func (a *App) start(ctx context.Context, snap *config.Snapshot) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	_, err := a.takeOver(ctx, snap)
	return err
}

// Reload reads the settings again. fantail.yaml is taken over as a whole or, when
// it has a fault, nothing changes (config.Faults). Developers are taken over each
// for themselves; when some are refused the error is *api.Refused and all others
// are in force. waiting names what was built in at the start and differs now.
func (a *App) Reload(ctx context.Context) (waiting []string, err error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	snap, err := a.loader.Load(ctx)
	if snap == nil {
		return nil, err
	}
	cert, err := readCertificate(&snap.Daemon)
	if err != nil {
		return nil, err
	}
	refused, err := a.takeOver(ctx, snap)
	if err != nil {
		return nil, err
	}
	if cert != nil {
		a.cert.Store(cert)
	}
	waiting = needRestart(a.started, &snap.Daemon)
	for _, key := range waiting {
		a.log.Warn("a changed setting takes effect at the next start", "setting", key)
	}
	a.log.Info("settings reloaded", "developers", len(snap.Developers), "refused", len(refused))
	if len(refused) > 0 {
		return waiting, refusedError(refused)
	}
	return waiting, nil
}

// takeOver puts a reading of the settings in force, and returns which developers'
// are not used.
func (a *App) takeOver(ctx context.Context, snap *config.Snapshot) ([]refusal, error) {
	a.note(snap)
	opened, refused, err := a.admit(ctx, snap)
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
func (a *App) note(snap *config.Snapshot) {
	for _, n := range snap.Notes {
		a.log.Warn("settings", "note", n.Error())
	}
}

// apply puts the settings in force, with the destinations of them that are
// opened; the others run already. It does everything that can fail before it
// touches what runs.
func (a *App) apply(ctx context.Context, snap *config.Snapshot, opened opening, refused []refusal) error {
	broken, problems := brokenBy(refused)
	wanted, err := a.place(ctx, snap)
	if err != nil {
		return err
	}
	registered, err := a.store.Destinations(ctx)
	if err != nil {
		return fmt.Errorf("list destinations: %w", err)
	}
	if err := a.remember(ctx, snap, wanted, broken); err != nil {
		return err
	}

	if err := a.api.SetTokens(tokens(&snap.Daemon)); err != nil {
		return err
	}
	a.followPayloads(snap)
	next := &state{
		snapshot: snap, keys: snap.Keys, problems: problems, names: api.NewNames(registered), targets: replayTargets(wanted),
		checkable: checkable(a.current.Load(), wanted, opened),
	}
	a.scheduler.Apply(deliveryTargets(snap, registered, wanted, opened))
	a.ingest.SetRoutes(routes(snap, registered, wanted))
	a.followNotices(&snap.Daemon, wanted)
	old := a.current.Swap(next)
	a.checks.SetTargets(a.checkTargets(next, wanted))
	a.broken.Reset()
	for _, id := range broken {
		a.broken.WithLabelValues(id).Set(1)
	}
	a.forgetRemoved(ctx, snap, registered)
	if old != nil {
		a.noteStates(ctx, old.snapshot, snap)
	}
	return nil
}

// placed is a destination of the settings, and its id in the store.
type placed struct {
	*config.Destination
	id uint32
}

// place registers every destination of the settings, and lists them in one order.
func (a *App) place(ctx context.Context, snap *config.Snapshot) (all []placed, err error) {
	var keys []store.DestinationKey
	for _, dev := range snap.Developers {
		for _, d := range dev.Destinations {
			keys = append(keys, keyOf(d))
			all = append(all, placed{Destination: d})
		}
	}
	ids, err := a.store.Register(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("register destinations: %w", err)
	}
	for i, id := range ids {
		all[i].id = id
	}
	return all, nil
}

// deliveryTargets are the destinations that deliveries may go to, or went to before they were removed.
func deliveryTargets(snap *config.Snapshot, registered []store.Destination, wanted []placed, opened opening) []delivery.Target {
	byID := make(map[uint32]*config.Destination, len(wanted))
	for _, w := range wanted {
		byID[w.id] = w.Destination
	}
	targets := make([]delivery.Target, len(registered))
	for i, r := range registered {
		t := &targets[i]
		*t = delivery.Target{ID: r.ID, Key: r.DestinationKey, State: r.State, Last: r.Last}
		d := byID[r.ID]
		if d == nil {
			t.Removed = true
			continue
		}
		t.Current, t.Disabled = settingsOf(d, &snap.Daemon), !d.Enabled
		t.Current.Destination = opened[d] // nil: the scheduler has it open already
	}
	return targets
}

// settingsOf returns what d is delivered with. The operator's shortest wait holds
// for settings that were frozen, or good, before it was set, too.
func settingsOf(d *config.Destination, daemon *config.Daemon) *delivery.Settings {
	return &delivery.Settings{
		Hash: d.Hash, Schedule: d.Schedule.AtLeast(daemon.Limits.PerDeveloper.ShortestWait), Timeout: d.Timeout, Frozen: d.Frozen, MaxInFlight: d.MaxInFlight, Rate: d.Rate,
	}
}

// routes builds what ingest matches against.
func routes(snap *config.Snapshot, registered []store.Destination, wanted []placed) *ingest.Routes {
	r := &ingest.Routes{Developers: make(map[string]*ingest.Developer, len(snap.Developers))}
	for id := range snap.Developers {
		r.Developers[id] = &ingest.Developer{ID: id}
	}
	for _, d := range registered {
		if dev := r.Developers[d.Developer]; dev != nil {
			dev.All = append(dev.All, d.ID)
		}
	}
	for _, w := range wanted {
		dev := r.Developers[w.Developer]
		dev.Destinations = append(dev.Destinations, ingest.Route{ID: w.id, Matches: w.Matches})
	}
	return r
}
