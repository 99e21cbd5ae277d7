package check

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

const (
	// atATime bounds the checks that run, whether somebody asked for them or not: they share sockets
	// and the resolver with deliveries.
	atATime = 8
	// A destination that was well is checked again after a day, so that a renewed certificate is
	// noticed. One that was not is checked again after an hour.
	afterWell, afterIll = 24 * time.Hour, time.Hour
	// pass is how often the Runner looks which checks are due.
	pass = 10 * time.Minute
	// crowd is how many checks leave enough garbage to collect it at once.
	crowd = 1000
)

// Target is a destination that can be checked.
type Target struct {
	Key     store.DestinationKey
	ID      uint32 // in the store
	Hash    uint64 // fingerprint of its settings
	Enabled bool   // one that is not is checked only when somebody asks
	Mute    bool   // its kind has no check
	// Open opens the destination for one check. A check cannot use the one that is open already: the
	// scheduler may close it. Besides, a connection from before a change of password would look well.
	Open func() (destination.Destination, error)
}

// check opens t, checks it and closes it.
func (t *Target) check(ctx context.Context) (Result, error) {
	dest, err := t.Open()
	if err != nil {
		return Result{}, err
	}
	defer dest.Close()
	r := Run(ctx, dest, t.Key.Kind)
	if ctx.Err() != nil { // half a check says nothing of the destination
		return r, context.Cause(ctx)
	}
	return r, nil
}

// Each checks targets, a few at a time, and calls done with the place of each in
// the list and what came of it, or why it could not be opened. Calls do not overlap.
func Each(ctx context.Context, targets []Target, done func(i int, r Result, err error)) {
	var running sync.WaitGroup
	defer running.Wait()
	var mu sync.Mutex
	slots := make(chan struct{}, atATime)
	for i := range targets {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			r, err := targets[i].check(ctx)
			mu.Lock()
			defer mu.Unlock()
			done(i, r, err)
		})
	}
}

// Options build a Runner.
type Options struct {
	// Begin is called before each check; the check calls end when it is over. When the check must not
	// be made, end is nil, and why gives the reason in one sentence.
	Begin func(destination uint32) (end func(), why string)
	// Mine tells whether this daemon has to check what nobody asked for; nil: it has.
	Mine func(context.Context) bool
	Log  *slog.Logger
}

// Runner checks the destinations of the settings in force: one when somebody asks, and each from
// time to time.
type Runner struct {
	Options
	Board *Board // the last result of each

	slots   chan struct{}
	changed chan struct{} // a token after SetTargets
	targets atomic.Pointer[[]Target]
}

// NewRunner makes a Runner without targets.
func NewRunner(o Options) *Runner {
	r := &Runner{Options: o, Board: NewBoard(), slots: make(chan struct{}, atATime), changed: make(chan struct{}, 1)}
	r.targets.Store(new([]Target))
	return r
}

// SetTargets replaces what is checked; targets that changed are checked soon.
func (r *Runner) SetTargets(ts []Target) {
	r.targets.Store(&ts)
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Check checks a target now; store.ErrNotFound if there is no such target.
func (r *Runner) Check(ctx context.Context, key store.DestinationKey) (Result, error) {
	ts := *r.targets.Load()
	i := slices.IndexFunc(ts, func(t Target) bool { return t.Key == key })
	if i < 0 {
		return Result{}, store.ErrNotFound
	}
	return r.one(ctx, &ts[i])
}

// LastCheck returns the last result since the start.
func (r *Runner) LastCheck(key store.DestinationKey) (Result, bool) { return r.Board.Last(key) }

// one checks t once a slot is free.
func (r *Runner) one(ctx context.Context, t *Target) (Result, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	result := Unable(t.Key.Kind)
	if !t.Mute {
		end, why := r.Begin(t.ID)
		if end == nil {
			r.Log.Warn("a destination is not checked", "developer", t.Key.Developer, "destination", t.Key.Name, "because", why)
			result = Withheld(why)
			r.Board.Post(t.Key, t.Hash, result)
			return result, nil
		}
		defer end()
		var err error
		if result, err = t.check(ctx); err != nil {
			return result, err
		}
	}
	r.Board.Post(t.Key, t.Hash, result)
	return result, nil
}

// Run checks every target that is enabled until ctx ends: after the start, when the
// targets change, and from time to time.
func (r *Runner) Run(ctx context.Context) {
	tick := time.NewTicker(pass)
	defer tick.Stop()
	for {
		r.round(ctx)
		select {
		case <-r.changed:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// round checks what is due. New targets end it early: a changed target would otherwise wait behind
// thousands that do not answer.
func (r *Runner) round(ctx context.Context) {
	if r.Mine != nil && !r.Mine(ctx) {
		return
	}
	now := r.targets.Load()
	due := r.due(*now, time.Now())
	if len(due) >= crowd {
		defer debug.FreeOSMemory() // memory that thousands of checks took is not needed again for hours
	}
	faults := &tale{log: r.Log}
	defer faults.end()
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, atATime/2) // the other half is for people
	for _, t := range due {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if r.targets.Load() != now {
			return
		}
		running.Go(func() {
			defer func() { <-places }()
			r.quietly(ctx, t, faults)
		})
	}
}

// due lists the targets that are enabled and due, those never checked first.
func (r *Runner) due(ts []Target, now time.Time) (due []*Target) {
	current := make(map[store.DestinationKey]uint64, len(ts))
	at := map[*Target]time.Time{}
	for i := range ts {
		t := &ts[i]
		current[t.Key] = t.Hash
		last, ok := r.Board.LastOf(t.Key, t.Hash)
		wait := afterIll
		if last.Level == OK {
			wait = afterWell
		}
		if t.Enabled && (!ok || now.Sub(last.At) >= wait) {
			at[t] = last.At
			due = append(due, t)
		}
	}
	r.Board.Keep(current)
	slices.SortFunc(due, func(x, y *Target) int { return at[x].Compare(at[y]) })
	return due
}

// quietly checks t, and reports a fault that was not there before.
func (r *Runner) quietly(ctx context.Context, t *Target, faults *tale) {
	before, _ := r.Board.Last(t.Key)
	result, err := r.one(ctx, t)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		faults.fault("a destination could not be checked", "developer", t.Key.Developer, "destination", t.Key.Name, "error", err)
	case result.Level == Fail && result.Fault() != before.Fault():
		faults.fault("the check of a destination found a fault", "developer", t.Key.Developer, "destination", t.Key.Name, "fault", result.Fault())
	}
}
