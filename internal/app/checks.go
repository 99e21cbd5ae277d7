package app

import (
	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

var _ api.Checks = (*check.Runner)(nil)

// checkTargets are the destinations that can be checked.
func (a *App) checkTargets(next *state, wanted []placed) []check.Target {
	targets := make([]check.Target, len(wanted))
	for i, w := range wanted {
		targets[i] = a.checkTarget(w.Destination, &next.snapshot.Daemon)
		targets[i].ID, targets[i].Mute = w.id, !next.checkable[keyOf(w.Destination)]
	}
	return targets
}

func (a *App) checkTarget(d *config.Destination, daemon *config.Daemon) check.Target {
	return check.Target{
		Key: keyOf(d), Hash: d.Hash, Enabled: d.Enabled,
		Open: func() (destination.Destination, error) { return a.openNow(d, daemon) },
	}
}

// checkable tells which destinations can be checked, from what was opened and,
// of what runs on, from before.
func checkable(old *state, wanted []placed, opened opening) map[store.DestinationKey]bool {
	can := make(map[store.DestinationKey]bool, len(wanted))
	for _, w := range wanted {
		key := keyOf(w.Destination)
		if dest := opened[w.Destination]; dest != nil {
			_, can[key] = dest.(destination.Checker)
			if _, later := dest.(*deferred); later { // not known: its check opens it
				can[key] = true
			}
		} else if old != nil {
			can[key] = old.checkable[key]
		}
	}
	return can
}
