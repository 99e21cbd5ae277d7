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
	// MaxReason is how many bytes of a reason are kept.
	MaxReason = 500
)

// Who acts where no token does.
const (
	Daemon = "daemon" // the engine, by itself
	Signal = "signal" // whoever may signal the process
)

type whoKey struct{}

// As returns a context of what by does.
func As(ctx context.Context, by string) context.Context { return context.WithValue(ctx, whoKey{}, by) }

// Who says who acts with ctx: Daemon unless As said otherwise.
func Who(ctx context.Context) string {
	if by, ok := ctx.Value(whoKey{}).(string); ok {
		return by
	}
	return Daemon
}

// Trail notes acts. Its methods may be called from several goroutines at once.
type Trail struct {
	store store.Trail
	log   *slog.Logger

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
}

// New builds a Trail that writes to s.
func New(s store.Trail, log *slog.Logger) *Trail {
	return &Trail{store: s, log: log, counted: map[counting]*counter{}, wake: make(chan struct{}, 1)}
}

// Acts lists acts: see store.Trail.
func (t *Trail) Acts(ctx context.Context, q store.ActQuery) (store.Page[store.Act], error) {
	return t.store.Acts(ctx, q)
}

// Note keeps acts, durable on return, whoever waits for them goes or not.
func (t *Trail) Note(ctx context.Context, acts ...store.Act) error {
	for i := range acts {
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
// and those like it within a minute, but for Object and Reason, are one more row.
func (t *Trail) Count(ctx context.Context, a store.Act) error {
	if rows := t.count(time.Now(), bounded(a)); len(rows) > 0 {
		return t.Note(ctx, rows...)
	}
	return nil
}

// count counts an act and returns the rows that are due.
func (t *Trail) count(now time.Time, a store.Act) (rows []store.Act) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := countingOf(&a)
	c := t.counted[key]
	full := func() bool {
		return len(t.counted) >= mostCounted || key.from != "" && t.networks >= mostNetworks
	}
	if c == nil && full() {
		if rows = t.sweep(now); full() {
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
	case now.Sub(c.since) < countEvery:
		c.more += a.Count
		c.last = a
		return rows
	}
	a.Count += c.more
	c.since, c.more = now, 0
	return append(rows, a)
}

// sweep returns the rows of what was counted for a minute, and forgets what came once.
// It needs mu.
func (t *Trail) sweep(now time.Time) (rows []store.Act) {
	for key, c := range t.counted {
		if now.Sub(c.since) < countEvery {
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
	if len(t.told) == mostTold {
		t.lost++
		return
	}
	t.told = append(t.told, bounded(a))
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
	if err := t.Note(ctx, rows...); err != nil {
		t.log.Error("what was done could not be noted", "acts", len(rows), "error", err)
	}
}
