package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

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

// chunk is how much of settings one commit takes, in bytes.
const chunk = 4 << 20

// remember stores, sealed, what must outlive the process: the settings that a delivery
// may be frozen to, before any attempt uses them, and each developer's last good
// settings. Those of a developer who was refused are sealed anew, as the keys may have
// changed, unless they are only a stand-in without destinations. What is stored already
// is left alone. At the start it returns what it replaced, by developer; nil: nothing.
func (a *App) remember(ctx context.Context, keys *keyring.Ring, made []*developer, broken []string) (replaced map[string][]byte, err error) {
	var frozen []uint64
	by := map[uint64]*config.Destination{}
	for _, dev := range made {
		for _, d := range dev.destinations {
			if d.Frozen {
				frozen, by[d.Hash] = append(frozen, d.Hash), d.Destination
			}
		}
	}
	frozen, err = a.store.WithoutSettings(ctx, frozen)
	if err != nil {
		return nil, fmt.Errorf("look for frozen settings: %w", err)
	}
	replaced = map[string][]byte{}
	settings, values, size := map[uint64][]byte{}, map[string][]byte{}, 0
	flush := func(least int) error {
		if size <= least {
			return nil
		}
		if err := a.store.PutSettings(ctx, settings, values); err != nil {
			return fmt.Errorf("remember settings: %w", err)
		}
		clear(settings)
		clear(values)
		size = 0
		return nil
	}
	for _, hash := range frozen {
		settings[hash] = keys.Seal(sealSettings, by[hash].Freeze())
		size += len(settings[hash])
		if err := flush(chunk); err != nil {
			return nil, err
		}
	}
	for _, dev := range made {
		if len(dev.destinations) == 0 && slices.Contains(broken, dev.settings.ID) {
			continue
		}
		key := developerKey(dev.settings.ID)
		text := dev.settings.Freeze()
		value := binary.BigEndian.AppendUint64(nil, keys.Fingerprint(text))
		old, err := a.store.Get(ctx, key)
		if err == nil && bytes.HasPrefix(old, value) {
			continue
		}
		if a.current.Load() == nil && (err == nil || errors.Is(err, store.ErrNotFound)) {
			replaced[dev.settings.ID] = old
		}
		values[key] = append(value, keys.Seal(sealDeveloper, text)...) // fingerprint, then the sealed text
		size += len(values[key])
		if err := flush(chunk); err != nil {
			return nil, err
		}
	}
	return replaced, flush(0)
}

func (a *App) lastGood(ctx context.Context, keys *keyring.Ring, id string) (*config.Developer, error) {
	value, err := a.store.Get(ctx, developerKey(id))
	if err != nil {
		return nil, err
	}
	return a.openGood(value, keys)
}

// openGood opens the value that a developer's last good settings are kept as.
func (a *App) openGood(value []byte, keys *keyring.Ring) (*config.Developer, error) {
	clear, err := keys.Open(sealDeveloper, value[min(8, len(value)):])
	if err != nil {
		return nil, err
	}
	return config.ThawDeveloper(clear, a.kinds, keys)
}

// forget deletes the last good settings of developers who are gone from the
// settings: nothing that is faulty later may bring them back.
func (a *App) forget(ctx context.Context, gone []string) {
	for _, id := range gone {
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

// keepSettings has what deliveries may be frozen to kept, however long ago it was stored: of
// several daemons one collects what nobody needs, and knows its own needs alone. What is not
// there any more, as after a failover that lost it, is stored again.
func (a *App) keepSettings(ctx context.Context) error {
	if a.shared == nil {
		return nil
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	cur := a.current.Load()
	by := map[uint64]*config.Destination{}
	cur.all(func(d *placed) {
		if d.Frozen {
			by[d.Hash] = d.Destination
		}
	})
	missing, err := a.store.WithoutSettings(ctx, append(hashes(cur), a.scheduler.SettingsInFlight()...))
	if err != nil {
		return err
	}
	again := map[uint64][]byte{}
	for _, hash := range missing {
		if d := by[hash]; d != nil {
			again[hash] = cur.keys.Seal(sealSettings, d.Freeze())
		}
	}
	return a.store.PutSettings(ctx, again, nil)
}
