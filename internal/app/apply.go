package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Labels bind what is sealed to its use.
const (
	sealSettings  = "settings"
	sealDeveloper = "developer"
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
	snap, err := config.LoadContext(ctx, a.config, a.kinds)
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
	keys, wanted := entries(snap)
	ids, err := a.store.Register(ctx, keys)
	if err != nil {
		return fmt.Errorf("register destinations: %w", err)
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
	next := &state{snapshot: snap, keys: snap.Keys, problems: problems, names: api.NewNames(registered), targets: replayTargets(wanted, ids), checkable: checkable(a.current.Load(), wanted, opened)}
	byID := make(map[uint32]int, len(ids))
	next.ids = make(map[store.DestinationKey]uint32, len(ids))
	for i, id := range ids {
		byID[id], next.ids[keys[i]] = i, id
	}
	targets := make([]delivery.Target, len(registered))
	for n, r := range registered {
		targets[n] = delivery.Target{ID: r.ID, Key: r.DestinationKey, State: r.State, Last: r.Last}
		if i, ok := byID[r.ID]; ok {
			targets[n].Current, targets[n].Disabled = settingsOf(wanted[i], &snap.Daemon), !wanted[i].Enabled
			targets[n].Current.Destination = opened[wanted[i]] // nil: the scheduler has it open already
		} else {
			targets[n].Removed = true
		}
	}
	a.scheduler.Apply(targets)
	a.ingest.SetRoutes(routes(snap, registered, wanted, ids))
	a.followNotices(&snap.Daemon, wanted, ids)
	a.current.Store(next)
	a.recheck()
	a.broken.Reset()
	for _, id := range broken {
		a.broken.WithLabelValues(id).Set(1)
	}
	a.forgetRemoved(ctx, snap, registered)
	return nil
}

// entries lists every destination of the settings with its key, in one order.
func entries(snap *config.Snapshot) (keys []store.DestinationKey, wanted []*config.Destination) {
	for _, dev := range snap.Developers {
		for _, d := range dev.Destinations {
			keys = append(keys, store.DestinationKey{Developer: d.Developer, Name: d.Name, Kind: d.Kind})
			wanted = append(wanted, d)
		}
	}
	return keys, wanted
}

// settingsOf returns what d is delivered with. The operator's shortest wait holds
// for settings that were frozen, or good, before it was set, too.
func settingsOf(d *config.Destination, daemon *config.Daemon) *delivery.Settings {
	return &delivery.Settings{
		Hash: d.Hash, Schedule: d.Schedule.AtLeast(daemon.Limits.PerDeveloper.ShortestWait), Timeout: d.Timeout, Frozen: d.Frozen, MaxInFlight: d.MaxInFlight, Rate: d.Rate,
	}
}

// remember stores, sealed, what must outlive the process: the settings that a
// delivery may be frozen to, before any attempt uses them, and each developer's
// last good settings: of one who was refused they are the same, under keys that
// may be others, and a stand-in for none is not good.
func (a *App) remember(ctx context.Context, snap *config.Snapshot, wanted []*config.Destination, broken []string) error {
	var writes []func() error
	for _, d := range wanted {
		if d.Frozen {
			writes = append(writes, func() error {
				if _, err := a.store.Settings(ctx, d.Hash); err == nil {
					return nil
				}
				return a.store.PutSettings(ctx, d.Hash, snap.Keys.Seal(sealSettings, d.Freeze()))
			})
		}
	}
	for id, dev := range snap.Developers {
		if len(dev.Destinations) > 0 || !slices.Contains(broken, id) {
			writes = append(writes, func() error { return a.keepDeveloper(ctx, snap.Keys, dev) })
		}
	}
	return together(64, writes)
}

// keepDeveloper stores dev as the last good settings unless they are stored
// already: fingerprint, then the sealed text.
func (a *App) keepDeveloper(ctx context.Context, keys *keyring.Ring, dev *config.Developer) error {
	clear := dev.Freeze()
	value := binary.BigEndian.AppendUint64(nil, keys.Fingerprint(clear))
	if old, err := a.store.Get(ctx, developerKey(dev.ID)); err == nil && bytes.HasPrefix(old, value) {
		return nil
	}
	return a.store.Put(ctx, developerKey(dev.ID), append(value, keys.Seal(sealDeveloper, clear)...))
}

func (a *App) lastGood(ctx context.Context, keys *keyring.Ring, id string) (*config.Developer, error) {
	value, err := a.store.Get(ctx, developerKey(id))
	if err != nil {
		return nil, err
	}
	clear, err := keys.Open(sealDeveloper, value[min(8, len(value)):])
	if err != nil {
		return nil, err
	}
	return config.ThawDeveloper(clear, a.kinds, keys)
}

// forgetRemoved deletes the last good settings of developers who are gone from
// the settings: nothing that is faulty later may bring them back.
func (a *App) forgetRemoved(ctx context.Context, snap *config.Snapshot, registered []store.Destination) {
	gone := map[string]bool{}
	for _, d := range registered {
		if snap.Developers[d.Developer] == nil {
			gone[d.Developer] = true
		}
	}
	for id := range gone {
		_, err := a.store.Get(ctx, developerKey(id))
		if err == nil {
			err = a.store.Delete(ctx, developerKey(id))
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			a.log.Warn("the last good settings of a removed developer were not deleted", "developer", id, "err", err)
		}
	}
}

func developerKey(id string) string { return "developer/" + id }

// thaw opens settings that deliveries are frozen to.
func (a *App) thaw(ctx context.Context, dest uint32, hash uint64) (*delivery.Settings, error) {
	sealed, err := a.store.Settings(ctx, hash)
	if err != nil {
		return nil, err
	}
	cur := a.current.Load()
	clear, err := cur.keys.Open(sealSettings, sealed)
	if err != nil {
		return nil, fmt.Errorf("open frozen settings of destination %d: %w", dest, err)
	}
	d, err := config.Thaw(clear, a.kinds, cur.keys)
	if err != nil {
		return nil, fmt.Errorf("read frozen settings of destination %d: %w", dest, err)
	}
	s := settingsOf(d, &cur.snapshot.Daemon)
	s.Hash = hash // the key that made the fingerprint may have been rotated out since
	s.Destination, err = a.open(d, &cur.snapshot.Daemon)
	return s, err
}

// routes builds what ingest matches against.
func routes(snap *config.Snapshot, registered []store.Destination, wanted []*config.Destination, ids []uint32) *ingest.Routes {
	r := &ingest.Routes{Developers: make(map[string]*ingest.Developer, len(snap.Developers))}
	for id := range snap.Developers {
		r.Developers[id] = &ingest.Developer{ID: id}
	}
	for _, d := range registered {
		if dev := r.Developers[d.Developer]; dev != nil {
			dev.All = append(dev.All, d.ID)
		}
	}
	for i, d := range wanted {
		dev := r.Developers[d.Developer]
		dev.Destinations = append(dev.Destinations, ingest.Route{ID: ids[i], Matches: d.Matches})
	}
	return r
}

// together runs the writes at most n at a time, so that they share commits.
func together(n int, writes []func() error) error {
	var wg sync.WaitGroup
	slots := make(chan struct{}, n)
	errs := make([]error, len(writes))
	for i, write := range writes {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = write()
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
