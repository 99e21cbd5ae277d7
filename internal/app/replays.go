package app

import (
	"context"

	"github.com/seed-51f8da91/fantail/internal/replay"
)

// buildReplays reads the replays that the store keeps; Run goes on with them.
func (a *App) buildReplays(ctx context.Context) (err error) {
	o := replay.Options{
		Store: a.store, Scheduler: a.scheduler, Log: a.log, Metrics: a.metrics,
		Targets: func() *replay.Targets { return a.current.Load().targets },
		Ended:   a.replayEnded,
	}
	if a.shared != nil {
		o.Mine = a.duty(dutyReplays)
	}
	a.replays, err = replay.New(ctx, o)
	if err == nil {
		a.onStop("replays", func(context.Context) error { a.replays.Stop(); return nil })
	}
	return err
}

// replayTargets are the destinations that replays can go to.
func replayTargets(next *state) *replay.Targets {
	var list []replay.Target
	next.all(func(d *placed) {
		list = append(list, replay.Target{ID: d.id, Developer: d.Developer, Name: d.Name, Matches: d.Matches})
	})
	return replay.NewTargets(list)
}
