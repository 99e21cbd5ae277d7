package app

import (
	"context"
	"fmt"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/explain"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Explain says what each destination of a developer would do with an event, in the order
// of their file.
func (a *App) Explain(ctx context.Context, developer string, ev *event.Event) ([]explain.Result, error) {
	cur := a.current.Load()
	dev := cur.snapshot.Developers[developer]
	if dev == nil {
		return nil, store.ErrNotFound
	}
	all := make([]explain.Result, 0, len(dev.Destinations))
	for i, d := range dev.Destinations {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		all = append(all, explain.One(&cur.snapshot.Daemon, d, uint32(i+1), ev, a.userAgent()))
	}
	return all, nil
}

// ExplainDelivery says what request an attempt at a delivery makes.
func (a *App) ExplainDelivery(ctx context.Context, key store.DestinationKey, hash uint64, id store.DeliveryID, ev *event.Event) (explain.Result, bool, error) {
	cur := a.current.Load()
	if hash != 0 {
		if d, err := a.frozen(ctx, hash); err == nil {
			return explain.Delivery(&cur.snapshot.Daemon, d, id.String(), ev, a.userAgent()), true, nil
		}
	}
	d := cur.snapshot.Find(key.Developer, key.Name)
	if d == nil || d.Kind != key.Kind {
		return explain.Result{}, false, store.ErrNotFound
	}
	return explain.Delivery(&cur.snapshot.Daemon, d, id.String(), ev, a.userAgent()), false, nil
}

// Effective returns fantail.yaml as it counts, secrets taken out.
func (a *App) Effective() map[string]any { return a.current.Load().snapshot.Effective() }

// EffectiveOf returns the settings of a destination as they count, secrets taken out.
func (a *App) EffectiveOf(key store.DestinationKey) (map[string]any, error) {
	cur := a.current.Load()
	d := cur.snapshot.Find(key.Developer, key.Name)
	if d == nil || d.Kind != key.Kind {
		return nil, store.ErrNotFound
	}
	return d.Effective(a.kinds)
}

// FrozenSettings returns what deliveries are frozen to, secrets taken out.
func (a *App) FrozenSettings(ctx context.Context, hash uint64) (map[string]any, error) {
	d, err := a.frozen(ctx, hash)
	if err != nil {
		return nil, err
	}
	return d.Effective(a.kinds)
}

// frozen reads settings that deliveries are frozen to.
func (a *App) frozen(ctx context.Context, hash uint64) (*config.Destination, error) {
	sealed, err := a.store.Settings(ctx, hash)
	if err != nil {
		return nil, err
	}
	cur := a.current.Load()
	clear, err := cur.keys.Open(sealSettings, sealed)
	if err != nil {
		return nil, fmt.Errorf("open frozen settings: %w", err)
	}
	d, err := config.Thaw(clear, a.kinds, cur.keys)
	if err != nil {
		return nil, fmt.Errorf("read frozen settings: %w", err)
	}
	return d, nil
}
