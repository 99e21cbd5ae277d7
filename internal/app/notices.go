package app

import (
	"context"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/healthcheck"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/notices"
	"github.com/seed-51f8da91/fantail/internal/replay"
)

// buildNotices builds what makes events of the daemon's own. The ingest that
// takes them comes later: nothing is handed in before Run.
func (a *App) buildNotices() {
	a.notices = notices.New(a.acceptOwn, a.log)
	a.health = healthcheck.New(healthcheck.Options{Store: a.store, Accept: a.acceptOwn, Active: a.active, Mine: a.duty(dutyHealthcheck), Log: a.log})
}

func (a *App) acceptOwn(ctx context.Context, rs []ingest.Request) []ingest.Result {
	return a.ingest.Accept(ctx, rs)
}

// active returns the destinations that deliveries go out to now.
func (a *App) active() map[uint32]bool {
	active := map[uint32]bool{}
	for _, s := range a.scheduler.Status() {
		active[s.ID] = s.State == "active"
	}
	return active
}

// followNotices takes over who is told of what, and who gets healthchecks.
func (a *App) followNotices(d *config.Daemon, next *state) {
	rules := notices.Rules{Events: d.Notices.Events}
	for _, listed := range d.Notices.Destinations {
		developer, name, _ := strings.Cut(listed, "/")
		if p := next.find(developer, name); p != nil {
			rules.Targets = append(rules.Targets, notices.Target{Developer: developer, Name: name, ID: p.id})
		}
	}
	var targets []healthcheck.Target
	if d.Healthcheck.Every > 0 {
		next.all(func(p *placed) {
			if slices.Contains(d.Healthcheck.Kinds, p.Kind) {
				targets = append(targets, healthcheck.Target{ID: p.id, Developer: p.Developer, Name: p.Name})
			}
		})
	}
	a.notices.SetRules(rules)
	a.health.SetTargets(d.Healthcheck.Every, targets)
}

func (a *App) replayEnded(r replay.Replay) {
	a.notices.Replayed(r.Developer, r.Destination, r.Ended, "id", r.ID, "state", string(r.State), "by", r.By, "dry_run", r.DryRun,
		"found", r.Found, "made", r.Made, "pending", r.Pending, "gone", r.Gone, "error", r.Error)
}
