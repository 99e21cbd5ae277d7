package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Where several daemons share a store, each creates, shows and cancels replays, and the one whose duty
// it is runs them. Everybody reads the list, and the records of those that run, from the store every
// second; a cancellation is a value that whoever runs the replay looks for.

// lookEvery is how often that is.
const lookEvery = time.Second

// Sequence gives out numbers that no daemon gets twice.
type Sequence interface {
	// Number returns the next number above `above` of the sequence of that name.
	Number(ctx context.Context, name string, above uint32) (uint32, error)
}

func cancelKey(id uint32) string { return fmt.Sprintf("replay/%d/cancel", id) }

// follow looks until ctx ends.
func (r *Runner) follow(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.log.Debug("what other daemons do of replays was not found out; it is looked at again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look takes over what the store has, and begins or leaves what is this daemon's duty, or is not any more.
func (r *Runner) look(ctx context.Context) error {
	mine := r.mine(ctx)
	r.changes.Lock()
	defer r.changes.Unlock()
	list := index{Next: 1}
	if err := r.get(ctx, indexKey, &list); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	r.mu.Lock()
	var read []uint32
	for _, id := range list.IDs {
		if j := r.jobs[id]; j == nil || j.now.State == Running && j.ended == nil {
			read = append(read, id)
		}
	}
	r.mu.Unlock()
	for _, id := range read {
		rec := record{}
		if err := r.get(ctx, recordKey(id), &rec); errors.Is(err, store.ErrNotFound) {
			continue // forgotten at this moment
		} else if err != nil {
			return err
		}
		r.mu.Lock()
		if j := r.jobs[id]; j == nil {
			r.jobs[id] = &job{now: rec, safe: rec}
		} else if j.ended == nil {
			j.now, j.safe = rec, rec
		}
		r.mu.Unlock()
	}
	return r.take(ctx, list, mine)
}

// take takes the list, and runs what is to be run here.
func (r *Runner) take(ctx context.Context, list index, mine bool) error {
	r.mu.Lock()
	r.index.Next = max(r.index.Next, list.Next)
	r.index.IDs = slices.DeleteFunc(slices.Clone(list.IDs), func(id uint32) bool { return r.jobs[id] == nil })
	for id := range r.jobs {
		if !slices.Contains(r.index.IDs, id) && r.jobs[id].ended == nil {
			delete(r.jobs, id)
		}
	}
	var running []uint32
	for _, id := range r.index.IDs {
		switch j := r.jobs[id]; {
		case j.now.State != Running:
		case mine && j.ended == nil:
			r.launch(j)
		case mine:
			running = append(running, id)
		case j.ended != nil:
			j.cancel(errLeft)
		}
	}
	r.mu.Unlock()
	for _, id := range running {
		if _, err := r.store.Get(ctx, cancelKey(id)); errors.Is(err, store.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		r.mu.Lock()
		if j := r.jobs[id]; j != nil && j.cancel != nil {
			j.cancel(errCancelled)
		}
		r.mu.Unlock()
	}
	return nil
}

// cancelElsewhere has the daemon that runs a replay end it, and waits until it has.
func (r *Runner) cancelElsewhere(ctx context.Context, id uint32) (Replay, error) {
	if err := r.store.Put(ctx, cancelKey(id), []byte{1}); err != nil {
		return Replay{}, err
	}
	tick := time.NewTicker(lookEvery / 2)
	defer tick.Stop()
	for {
		rec := record{}
		if err := r.get(ctx, recordKey(id), &rec); err != nil {
			return Replay{}, err
		}
		if rec.State != Running {
			return rec.Replay, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return rec.Replay, context.Cause(ctx)
		}
	}
}

// number returns the id of a new replay. It needs Runner.changes.
func (r *Runner) number(ctx context.Context) (uint32, error) {
	if seq, ok := r.store.(Sequence); ok && r.mine != nil {
		return seq.Number(ctx, indexKey, r.index.Next-1)
	}
	return r.index.Next, nil
}

// list stores the list with a new replay, whatever other daemons have added meanwhile.
func (r *Runner) list(ctx context.Context, next index) (index, error) {
	swap, ok := r.store.(store.Swapper)
	if r.mine == nil || !ok {
		return next, r.put(ctx, indexKey, next)
	}
	for {
		var stored index
		was, err := r.store.Get(ctx, indexKey)
		if errors.Is(err, store.ErrNotFound) {
			was, err = nil, nil
		} else if err == nil {
			err = decode(was, &stored)
		}
		if err != nil {
			return next, err
		}
		merged := index{Next: max(next.Next, stored.Next), IDs: slices.Concat(stored.IDs, next.IDs)}
		slices.Sort(merged.IDs)
		merged.IDs = slices.Compact(merged.IDs)
		merged.IDs = merged.IDs[max(0, len(merged.IDs)-mostKept):]
		text, err := encode(merged)
		if err != nil {
			return next, err
		}
		if err = swap.Swap(ctx, indexKey, was, text); !errors.Is(err, store.ErrConflict) {
			return merged, err
		}
	}
}

// left has a replay that does not run here any more looked at in the store again.
func (r *Runner) left(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.now.State == Running {
		j.ended, j.cancel = nil, nil
	}
}

// stored reads a replay from the store.
func (r *Runner) stored(id uint32) (Replay, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookEvery)
	defer cancel()
	rec := record{}
	err := r.get(ctx, recordKey(id), &rec)
	return rec.Replay, err
}
