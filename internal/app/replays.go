package app

import (
	"context"

	"github.com/seed-51f8da91/fantail/internal/replay"
)

// buildReplays reads the replays that the store keeps; Run goes on with them.
func (a *App) buildReplays(ctx context.Context) (err error) {
	a.replays, err = replay.New(ctx, replay.Options{
		Store: a.store, Scheduler: a.scheduler, Log: a.log, Metrics: a.metrics,
		Targets: func() *replay.Targets { return a.current.Load().targets },
		Ended:   a.replayEnded,
	})
	if err == nil {
		a.onStop("replays", func(context.Context) error { a.replays.Stop(); return nil })
	}
	return err
}

// replayTargets are the destinations that replays can go to.
func replayTargets(wanted []placed) *replay.Targets {
	list := make([]replay.Target, len(wanted))
	for i, w := range wanted {
		list[i] = replay.Target{ID: w.id, Developer: w.Developer, Name: w.Name, Matches: w.Matches}
	}
	return replay.NewTargets(list)
}
