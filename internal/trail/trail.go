// Package trail notes who did what, for the API, for the engine and for whatever
// else acts: one way for all. What changes something is noted each time and is on
// disk before it is answered; what is only read, or refused, is counted.
package trail

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// countEvery is the least time between two rows of acts that are counted together.
	countEvery = time.Minute
	// mostCounted bounds how many kinds of acts are counted apart at a time; those beyond
	// share a row.
	mostCounted = 4096
	// mostNetworks bounds from how many networks refused log-ins are counted apart.
	mostNetworks = 64
	// mostTold bounds what the engine has told and is not written yet.
	mostTold = 4096
	// mostWaiting bounds what waits for a disk that works again: counts, too.
	mostWaiting = mostTold + mostCounted
	// MaxReason is how many bytes of a reason are kept.
	MaxReason = 500
)

// Who acts where no token does.
const (
	Daemon = "daemon" // the engine, by itself
	Signal = "signal" // whoever may signal the process
	Local  = "local"  // whoever is on the machine: where there are no tokens, or no daemon
)

type whoKey struct{}

// Actor is who acts, over which link, and by what call.
type Actor struct{ By, Via, Call string }

// As returns a context of what somebody does.
func As(ctx context.Context, who Actor) context.Context {
	return context.WithValue(ctx, whoKey{}, who)
}

// Who says who acts with ctx: Daemon, by no call, unless As said otherwise.
func Who(ctx context.Context) Actor {
	if who, ok := ctx.Value(whoKey{}).(Actor); ok {
		return who
	}
	return Actor{By: Daemon}
}

// Trail notes acts. Its methods may be called from several goroutines at once.
type Trail struct {
	store store.Trail
	log   *slog.Logger

	gone gone

	mu       sync.Mutex
	counted  map[counting]*counter
	networks int         // of counted
	told     []store.Act // by the engine, and not written yet
	lost     int         // acts for which there was no room in told
	wake     chan struct{}
}

// counting is what acts have in common that one row stands for.
type counting struct{ by, via, from, call, developer, result string }

func countingOf(a *store.Act) counting {
	return counting{a.By, a.Via, a.From, a.Call, a.Developer, a.Result}
}

// counter counts acts behind the last row of their kind.
type counter struct {
	since time.Time // of that row
	more  int
	last  store.Act
	first *writing // of the row that is on its way; nil: none is
}

// writing is a row on its way, for those who must not be answered before it is there.
type writing struct {
	done chan struct{} // closed when it is, or when err says why not
	err  error
}

// New builds a Trail that writes to s.
func New(s store.Trail, log *slog.Logger) *Trail {
	return &Trail{store: s, log: log, counted: map[counting]*counter{}, wake: make(chan struct{}, 1)}
}

// Acts lists acts: see store.Trail.
func (t *Trail) Acts(ctx context.Context, q store.ActQuery) (store.Page[store.Act], error) {
	return t.store.Acts(ctx, q)
}

// Note keeps acts, durable on return, also when ctx ends meanwhile.
func (t *Trail) Note(ctx context.Context, acts ...store.Act) error {
	t.gone.RLock()
	defer t.gone.RUnlock()
	for i := range acts {
		t.gone.takeOut(&acts[i], time.Now())
		acts[i] = bounded(acts[i])
	}
	return t.store.Note(context.WithoutCancel(ctx), time.Now(), acts)
}

// bounded cuts what somebody may have made long.
func bounded(a store.Act) store.Act {
	for _, text := range []*string{&a.By, &a.Via, &a.From, &a.Call, &a.Developer, &a.Object, &a.Result, &a.State} {
		*text = Cut(*text, 128)
	}
	a.Reason = Cut(a.Reason, MaxReason)
	a.Count = max(a.Count, 1)
	return a
}

// Cut returns the beginning of text, at most most bytes of it, and no part of a character.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && text[most]&0xc0 == 0x80 {
		most--
	}
	return text[:most]
}

// Count keeps an act of which there may be very many: the first is durable on return,
// and those like it within a minute, but for Object and Reason, are one more row. After
// an error the act is not counted: it must not have happened.
func (t *Trail) Count(ctx context.Context, a store.Act) error {
	a = bounded(a)
	for {
		now := time.Now()
		c, first, mine := t.count(now, a)
		if first == nil {
			return nil
		}
		if !mine {
			if <-first.done; first.err != nil {
				return first.err
			}
			continue
		}
		row := a
		row.Count += c.more // nobody adds to it while the row is on its way
		first.err = t.Note(ctx, row)
		t.mu.Lock()
		if c.first = nil; first.err == nil {
			c.since, c.more = now, 0
		}
		t.mu.Unlock()
		close(first.done)
		return first.err
	}
}

// count counts an act behind the row of its kind. Where that is missing, or a minute old,
// it returns the writing of one, and whether it is the caller's; whoever else counts one
// waits for it.
func (t *Trail) count(now time.Time, a store.Act) (c *counter, first *writing, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := countingOf(&a)
	c = t.counted[key]
	full := func() bool {
		return len(t.counted) >= mostCounted || key.from != "" && t.networks >= mostNetworks
	}
	if c == nil && full() {
		if rows := t.sweep(now); len(rows) > 0 {
			t.told = append(t.told, rows...)
			t.rouse()
		}
		if full() {
			a = store.Act{Call: a.Call, Result: "various", Count: a.Count}
			key = countingOf(&a)
			c = t.counted[key]
		}
	}
	switch {
	case c == nil:
		c = &counter{}
		t.counted[key] = c
		if key.from != "" {
			t.networks++
		}
	case c.first != nil:
		return c, c.first, false
	case !c.since.IsZero() && now.Sub(c.since) < countEvery:
		c.more += a.Count
		c.last = a
		return c, nil, false
	}
	c.first = &writing{done: make(chan struct{})}
	return c, c.first, true
}

// sweep returns the rows of what was counted for a minute, and forgets what came once.
// It needs mu.
func (t *Trail) sweep(now time.Time) (rows []store.Act) {
	for key, c := range t.counted {
		if c.first != nil || now.Sub(c.since) < countEvery {
			continue
		}
		if c.more > 0 {
			c.last.Count = c.more
			rows = append(rows, c.last)
			c.since, c.more = now, 0 // the next row is a minute from here
			continue
		}
		delete(t.counted, key)
		if key.from != "" {
			t.networks--
		}
	}
	return rows
}

// Tell takes an act of the engine's own, which is written soon. It never blocks.
func (t *Trail) Tell(a store.Act) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.told) >= mostTold {
		t.lost++
		return
	}
	t.told = append(t.told, bounded(a))
	t.rouse()
}

// rouse has Run write what was told. It needs mu.
func (t *Trail) rouse() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run writes what was told and counted until ctx ends; what is there then, it still writes.
func (t *Trail) Run(ctx context.Context) {
	beat := time.NewTicker(countEvery)
	defer beat.Stop()
	for {
		select {
		case <-t.wake:
			t.write(ctx, time.Now(), false)
		case <-beat.C:
			t.write(ctx, time.Now(), true)
		case <-ctx.Done():
			t.Flush(ctx)
			return
		}
	}
}

// Flush writes whatever is told or counted by now: nobody writes it after that.
func (t *Trail) Flush(ctx context.Context) { t.write(ctx, time.Now().Add(countEvery), true) }

// write writes what was told and, with counts, whatever was counted for a minute at now.
// What cannot be written waits for the next time, as far as there is room.
func (t *Trail) write(ctx context.Context, now time.Time, counts bool) {
	t.mu.Lock()
	rows, lost := t.told, t.lost
	t.told, t.lost = nil, 0
	if counts {
		rows = append(rows, t.sweep(now)...)
	}
	t.mu.Unlock()
	if lost > 0 {
		t.log.Error("acts of the engine were not noted: there were too many at once; the log has them", "acts", lost)
	}
	if len(rows) == 0 {
		return
	}
	err := t.Note(ctx, rows...)
	if err == nil {
		return
	}
	t.log.Error("what was done could not be noted yet", "acts", len(rows), "error", err)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told = append(rows, t.told...); len(t.told) > mostWaiting {
		t.lost += len(t.told) - mostWaiting
		t.told = t.told[:mostWaiting]
	}
}
