package app

import (
	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

var _ api.Checks = (*check.Runner)(nil)

// checkTargets are the destinations that can be checked.
func (a *App) checkTargets(next *state) (targets []check.Target) {
	next.all(func(d *placed) {
		t := a.checkTarget(d.Destination)
		t.ID, t.Mute = d.id, d.mute
		targets = append(targets, t)
	})
	return targets
}

func (a *App) checkTarget(d *config.Destination) check.Target {
	return check.Target{
		Key: keyOf(d), Hash: d.Hash, Enabled: d.Enabled,
		Open: func() (destination.Destination, error) { return a.openInForce(d) },
	}
}
