package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Labels bind what is sealed to its use.
const (
	sealSettings  = "settings"
	sealDeveloper = "developer"
)

// remember stores, sealed, what must outlive the process: the settings that a
// delivery may be frozen to, before any attempt uses them, and each developer's
// last good settings: of one who was refused they are the same, under keys that
// may be others, and a stand-in for none is not good.
func (a *App) remember(ctx context.Context, snap *config.Snapshot, wanted []placed, broken []string) error {
	var writes []func() error
	for _, w := range wanted {
		if w.Frozen {
			writes = append(writes, func() error {
				if _, err := a.store.Settings(ctx, w.Hash); err == nil {
					return nil
				}
				return a.store.PutSettings(ctx, w.Hash, snap.Keys.Seal(sealSettings, w.Freeze()))
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
			a.log.Warn("the last good settings of a removed developer were not deleted", "developer", id, "error", err)
		}
	}
}

func developerKey(id string) string { return "developer/" + id }

// thaw opens settings that deliveries are frozen to.
func (a *App) thaw(ctx context.Context, dest uint32, hash uint64) (*delivery.Settings, error) {
	d, err := a.frozen(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("destination %d: %w", dest, err)
	}
	cur := a.current.Load()
	s := settingsOf(d, &cur.snapshot.Daemon)
	s.Hash = hash // the key that made the fingerprint may have been rotated out since
	s.Destination, err = a.open(d, &cur.snapshot.Daemon)
	return s, err
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
