package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

const (
	// checksAtATime bounds the checks that run, asked for or not: they share
	// sockets and resolver with deliveries.
	checksAtATime = 8
	// What was well is checked again after a day, so that the end of a
	// certificate that was renewed is known; what was not, after an hour.
	checkWell, checkIll = 24 * time.Hour, time.Hour
	// checkPass is how often somebody looks what is due.
	checkPass = 10 * time.Minute
)

// checks is what the daemon needs to check destinations.
type checks struct {
	board *check.Board
	slots chan struct{}
	due   chan struct{} // a token after a reload
}

func newChecks() checks {
	return checks{check.NewBoard(), make(chan struct{}, checksAtATime), make(chan struct{}, 1)}
}

// Check checks a destination of the settings in force.
func (a *App) Check(ctx context.Context, key store.DestinationKey) (check.Result, error) {
	cur := a.current.Load()
	d := cur.snapshot.Find(key.Developer, key.Name)
	if d == nil || d.Kind != key.Kind {
		return check.Result{}, store.ErrNotFound
	}
	return a.checkOne(ctx, cur, d)
}

// LastCheck returns the last result since the start.
func (a *App) LastCheck(key store.DestinationKey) (check.Result, bool) {
	return a.checks.board.Last(key)
}

// checkOne checks d when there is a slot. It opens it anew: what is open belongs to
// the scheduler, which may close it, and a check must not find a connection
// well that was made before a password changed.
func (a *App) checkOne(ctx context.Context, cur *state, d *config.Destination) (check.Result, error) {
	select {
	case a.checks.slots <- struct{}{}:
		defer func() { <-a.checks.slots }()
	case <-ctx.Done():
		return check.Result{}, context.Cause(ctx)
	}
	r := check.Unable(d.Kind)
	if cur.checkable[keyOf(d)] {
		end, why := a.scheduler.StartCheck(cur.ids[keyOf(d)])
		if end == nil {
			a.log.Warn("a destination is not checked", "developer", d.Developer, "destination", d.Name, "because", why)
			r = check.Withheld(why)
			a.checks.board.Post(keyOf(d), d.Hash, r)
			return r, nil
		}
		defer end()
		var err error
		if r, err = a.checkOpen(ctx, d, &cur.snapshot.Daemon); err != nil {
			return r, err
		}
	}
	a.checks.board.Post(keyOf(d), d.Hash, r)
	return r, nil
}

// checkOpen opens d, checks it and closes it.
func (a *App) checkOpen(ctx context.Context, d *config.Destination, daemon *config.Daemon) (check.Result, error) {
	dest, err := a.openNow(d, daemon)
	if err != nil {
		return check.Result{}, err
	}
	defer dest.Close()
	r := check.Run(ctx, dest, d.Kind)
	if ctx.Err() != nil { // half a check says nothing of the destination
		return r, context.Cause(ctx)
	}
	return r, nil
}

// checkable tells which destinations can be checked, from what was opened and,
// of what runs on, from before.
func checkable(old *state, wanted []*config.Destination, opened opening) map[store.DestinationKey]bool {
	can := make(map[store.DestinationKey]bool, len(wanted))
	for _, d := range wanted {
		if dest := opened[d]; dest != nil {
			_, can[keyOf(d)] = dest.(destination.Checker)
			if _, later := dest.(*deferred); later { // not known: its check opens it
				can[keyOf(d)] = true
			}
		} else if old != nil {
			can[keyOf(d)] = old.checkable[keyOf(d)]
		}
	}
	return can
}

// recheck has what changed checked soon.
func (a *App) recheck() {
	select {
	case a.checks.due <- struct{}{}:
	default:
	}
}

// checkAll checks every destination in the background until ctx ends: after the
// start, after a reload, and from time to time.
func (a *App) checkAll(ctx context.Context) {
	tick := time.NewTicker(checkPass)
	defer tick.Stop()
	for {
		a.checkDue(ctx)
		select {
		case <-a.checks.due:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// checkDue checks what is due. A reload ends the pass early, so that what
// changed does not wait behind thousands that do not answer.
func (a *App) checkDue(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	cur := a.current.Load()
	places := make(chan struct{}, checksAtATime/2) // the other half is for people
	for _, d := range a.dueChecks(cur, time.Now()) {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if a.current.Load() != cur {
			return
		}
		running.Go(func() {
			defer func() { <-places }()
			a.checkQuietly(ctx, cur, d)
		})
	}
}

// dueChecks lists what is enabled and due, that which was never checked first.
func (a *App) dueChecks(cur *state, now time.Time) (due []*config.Destination) {
	current := map[store.DestinationKey]uint64{}
	at := map[*config.Destination]time.Time{}
	for _, dev := range cur.snapshot.Developers {
		for _, d := range dev.Destinations {
			current[keyOf(d)] = d.Hash
			r, ok := a.checks.board.LastOf(keyOf(d), d.Hash)
			wait := checkIll
			if r.Level == check.OK {
				wait = checkWell
			}
			if d.Enabled && (!ok || now.Sub(r.At) >= wait) {
				at[d] = r.At
				due = append(due, d)
			}
		}
	}
	a.checks.board.Keep(current)
	slices.SortFunc(due, func(x, y *config.Destination) int { return at[x].Compare(at[y]) })
	return due
}

// checkQuietly checks d and logs a fault that is news.
func (a *App) checkQuietly(ctx context.Context, cur *state, d *config.Destination) {
	before, _ := a.checks.board.Last(keyOf(d))
	r, err := a.checkOne(ctx, cur, d)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.log.Warn("a destination could not be checked", "developer", d.Developer, "destination", d.Name, "err", err)
	case r.Level == check.Fail && r.Fault() != before.Fault():
		a.log.Warn("the check of a destination found a fault", "developer", d.Developer, "destination", d.Name, "fault", r.Fault())
	}
}
