package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// record is a replay as the store keeps it. Counts and position belong together: after a restart,
// events after the position are found again, and the store recognises what was made of them.
type record struct {
	Replay
	Dests  []uint32 `json:"dests,omitempty"` // the destinations meant when it was made; nil: all
	User   int      `json:"user,omitempty"`  // of Users, that is walked now
	Cursor string   `json:"cursor,omitempty"`
}

// index is the list of replays. Next only grows, because ids of replays are part of the ids of
// deliveries and must not repeat.
type index struct {
	Next uint32   `json:"next"`
	IDs  []uint32 `json:"ids"` // oldest first
}

const indexKey = "replays"

func recordKey(id uint32) string { return "replay/" + strconv.FormatUint(uint64(id), 10) }

func (r *Runner) put(ctx context.Context, key string, v any) error {
	b, err := encode(v)
	if err == nil {
		err = r.store.Put(ctx, key, b)
	}
	return err
}

func (r *Runner) get(ctx context.Context, key string, v any) error {
	b, err := r.store.Get(ctx, key)
	if err == nil {
		err = decode(b, v)
	}
	return err
}

func encode(v any) ([]byte, error) { return json.Marshal(v) }
func decode(b []byte, v any) error { return json.Unmarshal(b, v) }

// load reads what the store keeps.
func (r *Runner) load(ctx context.Context) error {
	r.index.Next = 1
	if err := r.get(ctx, indexKey, &r.index); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read the list of replays: %w", err)
	}
	for _, id := range r.index.IDs {
		rec := &record{}
		if err := r.get(ctx, recordKey(id), rec); errors.Is(err, store.ErrNotFound) && r.mine != nil {
			continue // another daemon has forgotten it meanwhile
		} else if err != nil {
			return fmt.Errorf("read replay %d: %w", id, err)
		}
		r.jobs[id] = &job{now: *rec, safe: *rec}
	}
	r.index.IDs = slices.DeleteFunc(r.index.IDs, func(id uint32) bool { return r.jobs[id] == nil })
	return nil
}

// add makes a new replay durable under a fresh id. It stores the record first, then the list,
// which makes it count.
func (r *Runner) add(ctx context.Context, rec record) (*job, error) {
	var err error
	if rec.ID, err = r.number(ctx); err != nil {
		return nil, fmt.Errorf("store the replay: %w", err)
	}
	next := index{Next: rec.ID + 1, IDs: append(slices.Clone(r.index.IDs), rec.ID)}
	var gone []uint32
	for _, counts := range []bool{true, false} { // who asks often what there is must not push out what was done
		over := len(next.IDs) - mostKept
		next.IDs = slices.DeleteFunc(next.IDs, func(id uint32) bool {
			old := over > 0 && id != rec.ID && r.jobs[id].now.State != Running && r.jobs[id].now.DryRun == counts
			if old {
				over--
				gone = append(gone, id)
			}
			return old
		})
	}
	if err = r.put(ctx, recordKey(rec.ID), &rec); err == nil {
		next, err = r.list(ctx, next)
	}
	if err != nil {
		return nil, fmt.Errorf("store the replay: %w", err)
	}
	j := &job{now: rec, safe: rec}
	r.index = next
	r.jobs[rec.ID] = j
	if r.mine != nil { // of others' replays this daemon may not know yet
		r.index.IDs = slices.DeleteFunc(slices.Clone(next.IDs), func(id uint32) bool { return r.jobs[id] == nil })
	}
	for _, id := range gone {
		delete(r.jobs, id)
		if err := r.store.Delete(ctx, recordKey(id)); err != nil { // it is in no list any more
			r.log.Warn("an old replay was not removed", "replay", id, "error", err)
		}
	}
	return j, nil
}

// end makes the outcome of a replay durable.
func (r *Runner) end(ctx context.Context, j *job, st State, cause error) error {
	r.mu.Lock()
	j.now.State, j.now.Ended, j.now.Waiting = st, time.Now().UTC(), ""
	if cause != nil {
		j.now.Error = cause.Error()
	}
	j.now.Users, j.now.Cursor = nil, ""
	rec := j.now
	r.mu.Unlock()
	r.log.Info("replay ended", "replay", rec.ID, "state", string(st), "developer", rec.Developer, "destination", rec.Destination, "by", rec.By,
		"dry_run", rec.DryRun, "found", rec.Found, "made", rec.Made, "pending", rec.Pending, "gone", rec.Gone, "error", rec.Error)
	err := r.put(ctx, recordKey(rec.ID), &rec)
	if r.mine != nil {
		if err := r.store.Delete(ctx, cancelKey(rec.ID)); err != nil {
			r.log.Warn("a cancellation was not removed", "replay", rec.ID, "error", err)
		}
	}
	if err == nil && r.ended != nil {
		r.ended(rec.Replay)
	}
	return err
}
