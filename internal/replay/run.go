package replay

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// period is how far ahead deliveries are made. Those of one period become durable together and
	// are due evenly over it, so that they come between live ones and not in a burst before them.
	period = 500 * time.Millisecond
	// ahead is how many deliveries may be due at a destination before a replay makes more for it: a
	// window's worth. Deliveries that the destination cannot take just now do not count.
	ahead = 64
	// saveEvery is how often progress is made durable.
	saveEvery = time.Second
	// again is the wait after a fault of the store.
	again = 5 * time.Second
)

// run works on j until it ends or is interrupted.
func (r *Runner) run(ctx context.Context, j *job) {
	w := &worker{Runner: r, ctx: ctx, job: j, id: j.now.ID}
	r.mu.Lock()
	j.now = j.safe // what a former process found behind its last position is found again
	r.mu.Unlock()
	err := w.all()
	switch {
	case errors.Is(context.Cause(ctx), errCancelled):
		w.ends(Cancelled, nil)
	case errors.Is(context.Cause(ctx), errLeft): // what it wrote would go over what another writes
	case ctx.Err() != nil:
		w.save()
	case err != nil:
		w.ends(Failed, err)
	default:
		w.ends(Finished, nil)
	}
}

// worker is what one process does of a replay.
type worker struct {
	*Runner
	ctx   context.Context
	job   *job
	id    uint32
	saved time.Time
	next  time.Time // when the next delivery is due
}

func (w *worker) ends(st State, cause error) {
	// When a person cancels, the context has ended, but the outcome must be durable all the same.
	if err := w.end(context.WithoutCancel(w.ctx), w.job, st, cause); err != nil {
		w.log.Error("the end of a replay was not stored: it is found again at the next start", "replay", w.id, "error", err)
	}
}

func (w *worker) all() error {
	for {
		began := time.Now()
		w.mu.Lock()
		rec := w.job.safe
		w.mu.Unlock()
		p, err := retried(w, func() (page, error) { return w.find(w.ctx, &rec) })
		if err != nil {
			return err
		}
		// A pause as long as each read leaves half of the machine to live traffic.
		took := time.Since(began)
		if err := w.make(p.wants, rec.DryRun, rec.Rate); err != nil {
			return err
		}
		w.advance(&p)
		if p.last {
			return nil
		}
		if time.Since(w.saved) >= saveEvery {
			w.save()
		}
		if err := w.sleep(took); err != nil {
			return err
		}
	}
}

// advance moves on to the next page.
func (w *worker) advance(p *page) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := &w.job.now
	n.Pending += p.pending
	n.Gone += p.gone
	n.User, n.Cursor, n.Waiting = p.user, p.cursor, ""
	w.job.safe = *n
}

// save makes the progress durable. It does no harm when that fails: the store recognises what was
// made after the last durable position.
func (w *worker) save() {
	w.mu.Lock()
	rec := w.job.safe
	w.mu.Unlock()
	if err := w.put(context.WithoutCancel(w.ctx), recordKey(w.id), &rec); err != nil {
		w.log.Warn("the progress of a replay was not stored", "replay", w.id, "error", err)
	}
	w.saved = time.Now()
}

// make has the wants made, a period's worth at a time.
func (w *worker) make(wants []store.Want, dryRun bool, rate float64) error {
	if dryRun {
		w.count(Counts{Found: int64(len(wants))})
		return nil
	}
	size := max(1, int(rate*period.Seconds()))
	// A longer gap would overflow Duration, and turn into no gap at all.
	gap := time.Duration(min(float64(time.Second)/rate, math.MaxInt64/2))
	for chunk := range slices.Chunk(wants, size) {
		if err := w.sleep(time.Until(w.next)); err != nil {
			return err
		}
		if err := w.yield(chunk); err != nil {
			return err
		}
		now := time.Now()
		if w.next.Before(now) {
			w.next = now
		}
		for i := range chunk {
			chunk[i].Due = w.next.UnixNano()
			w.next = w.next.Add(gap)
		}
		ms, err := retried(w, func() ([]store.Moved, error) {
			return w.store.Replay(w.ctx, time.Now(), w.id, chunk)
		})
		if err != nil {
			return err
		}
		w.scheduler.Moved(ms)
		w.tally(ms)
	}
	return nil
}

func (w *worker) tally(ms []store.Moved) {
	n := Counts{Found: int64(len(ms))}
	for i := range ms {
		switch {
		case ms[i].Err == nil:
			n.Made++
		case errors.Is(ms[i].Err, store.ErrConflict):
			n.Pending++
		default:
			n.Gone++
		}
	}
	w.results.WithLabelValues("made").Add(float64(n.Made))
	w.results.WithLabelValues("pending").Add(float64(n.Pending))
	w.results.WithLabelValues("gone").Add(float64(n.Gone))
	w.count(n)
}

func (w *worker) count(n Counts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &w.job.now.Counts
	c.Found += n.Found
	c.Made += n.Made
	c.Pending += n.Pending
	c.Gone += n.Gone
}

// yield waits until every destination of the wants has caught up: live traffic goes first. It does
// not wait for a destination that takes nothing, paused or failing: that one has no live traffic
// to disturb, and what is made for it waits there.
func (w *worker) yield(wants []store.Want) error {
	seen := map[uint32]bool{}
	for i := range wants {
		dest := wants[i].Dest
		for !seen[dest] {
			behind, err := retried(w, func() (string, error) { return w.behind(dest) })
			if err != nil {
				return err
			}
			if behind == "" {
				seen[dest] = true
				break
			}
			w.waits(behind + " has not caught up: what is due there goes first")
			if err := w.sleep(period); err != nil {
				return err
			}
		}
	}
	w.waits("")
	return nil
}

// behind returns the destination's name if more is due there than it keeps up with, else "".
func (w *worker) behind(dest uint32) (string, error) {
	due, _, err := w.store.Due(w.ctx, store.QueueID{Dest: dest}, store.Position{}, time.Now().UnixNano(), ahead+1)
	if err != nil || len(due) <= ahead {
		return "", err
	}
	for _, d := range w.scheduler.Status() {
		if d.ID == dest && d.State == "active" && d.Breaker == "closed" {
			return d.Key.Developer + "/" + d.Key.Name, nil
		}
	}
	return "", nil
}

func (w *worker) waits(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.job.now.Waiting = why
}

// retried makes a call of the store until it works, or cannot work any more.
func retried[T any](w *worker, call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if err == nil || w.ctx.Err() != nil {
			return v, err
		}
		wait := again
		if u, ok := errors.AsType[*store.Unavailable](err); ok {
			wait = max(u.After, time.Second)
		} else if !errors.Is(err, context.DeadlineExceeded) {
			return v, err
		}
		w.waits(err.Error())
		if err := w.sleep(wait); err != nil {
			return v, err
		}
	}
}

// sleep waits, unless the replay is interrupted first.
func (w *worker) sleep(d time.Duration) error {
	if d <= 0 {
		return context.Cause(w.ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}
