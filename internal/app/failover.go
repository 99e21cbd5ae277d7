package app

import (
	"context"
	"fmt"
	"time"
)

// failedOver is told that another server of the store has become the primary. It may lack what was stored last.
func (a *App) failedOver() {
	a.failovers.Add(1)
	select {
	case a.failover <- struct{}{}:
	default:
	}
}

// followFailovers brings memory and the new primary together after each failover, until ctx ends.
// Documents are followDocuments' part.
func (a *App) followFailovers(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-a.failover:
		case <-again:
		case <-ctx.Done():
			return
		}
		again = nil
		if err := a.comeTogether(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("what a failover has lost was not found out; trying again", "error", err)
			again = time.After(time.Second)
		}
	}
}

// comeTogether stores settings again that the new primary lacks, and takes from it what people did to
// destinations: a pause that it has not got is over, at every daemon.
func (a *App) comeTogether(ctx context.Context) error {
	a.scheduler.ForgetVersions()
	all, err := a.store.Destinations(ctx)
	if err != nil {
		return fmt.Errorf("read destinations: %w", err)
	}
	a.scheduler.Changed(all)
	if err := a.keepSettings(ctx); err != nil {
		return fmt.Errorf("keep settings: %w", err)
	}
	return nil
}
