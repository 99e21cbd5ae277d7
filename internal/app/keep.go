package app

import (
	"context"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// keepEvery is how often retention runs. Days are its unit, so an hour is fine
// enough, and what one run removes stays small.
const keepEvery = time.Hour

// keep applies retention and collects settings nobody needs, until ctx ends.
func (a *App) keep(ctx context.Context) {
	timer := time.NewTimer(keepEvery)
	defer timer.Stop()
	for {
		a.retain(ctx)
		timer.Reset(keepEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

func (a *App) retain(ctx context.Context) {
	r := a.current.Load().snapshot.Daemon.Retention
	a.retainPayloads(ctx, r.Payloads)
	if err := a.keepSettings(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("settings that retries are frozen to were not kept", "error", err)
	}
	if !a.duty(dutyRetention)(ctx) {
		return
	}
	report, err := a.store.Retain(ctx, time.Now(), store.Retention{
		Events: r.Events, Attempts: r.Attempts, Idempotency: r.Idempotency, Acts: r.Changes,
	}, a.scheduler.Moved)
	switch {
	case err != nil && ctx.Err() == nil:
		a.log.Error("retention did not end; it is tried again in an hour", "error", err)
	case report.Expired > 0:
		a.log.Warn("pending deliveries outlived retention.events and are dead", "deliveries", report.Expired)
	}
	if err := a.collect(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("settings that nobody needs were not removed", "error", err)
	}
}

// collect removes settings that nobody needs. A reload stores its settings
// before they are current: it must not run meanwhile, or they would be removed
// and what is frozen to them rebound.
func (a *App) collect(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	keep := append(hashes(a.current.Load()), a.scheduler.SettingsInFlight()...)
	_, err := a.store.CollectSettings(ctx, keep)
	return err
}

// hashes lists what is current: it must be there when a delivery is frozen to it.
func hashes(cur *state) []uint64 {
	var keep []uint64
	cur.all(func(d *placed) { keep = append(keep, d.Hash) })
	return keep
}
