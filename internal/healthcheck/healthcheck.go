// Package healthcheck sends each destination the sender's own event of that
// name, with what was delivered to it in the last hour.
package healthcheck

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// key is where the figures lie in the store.
const key = "healthcheck"

// storeEvery is how often figures are stored. A crash loses only by which minute
// something was delivered, never how much.
const storeEvery = 5 * time.Minute

// Target is a destination that gets healthchecks.
type Target struct {
	ID              uint32
	Developer, Name string
}

// Store is what the figures come from, and where they lie.
type Store interface {
	Counts(dest uint32) store.Counts
	Put(ctx context.Context, key string, value []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
}

// Options build a Healthcheck.
type Options struct {
	Store  Store
	Accept func(ctx context.Context, rs []ingest.Request) []ingest.Result
	Active func() map[uint32]bool     // destinations that deliveries go out to now
	Mine   func(context.Context) bool // tells whether this daemon has to send them; nil: it has
	Log    *slog.Logger
}

// Healthcheck sends them.
type Healthcheck struct {
	Options
	wake chan struct{}

	mu      sync.Mutex
	every   time.Duration // 0: none are sent
	targets []Target

	figures map[uint32]*figures // of Run alone
	mine    bool                // likewise: at the last turn
}

// New builds one that sends nothing before SetTargets and Run.
func New(o Options) *Healthcheck {
	return &Healthcheck{Options: o, wake: make(chan struct{}, 1)}
}

// SetTargets says who gets one, and how often; 0: nobody.
func (h *Healthcheck) SetTargets(every time.Duration, targets []Target) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.every, h.targets = every, targets
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Next returns the first time after now that it is a destination's turn. Turns
// follow from the wall clock and the destination's name alone: they do not drift,
// are the same after a restart, and lie spread over the whole time between two.
func (t Target) Next(now time.Time, every time.Duration) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.Developer + "/" + t.Name))
	offset := time.Duration(h.Sum64() % uint64(every))
	past := (time.Duration(now.UnixNano()) - offset) % every
	return now.Add(every - past)
}

// Run sends healthchecks until ctx ends. One timer serves all of them.
func (h *Healthcheck) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	last, stored := time.Now(), time.Now()
	for {
		select {
		case <-timer.C:
		case <-h.wake:
		case <-ctx.Done():
			h.keep(context.WithoutCancel(ctx))
			return
		}
		now := time.Now()
		h.mu.Lock()
		every, targets := h.every, h.targets
		h.mu.Unlock()
		switch was := h.mine; {
		case every == 0:
			h.figures = map[uint32]*figures{}
			last = now
			continue // until targets are set
		case !h.isMine(ctx):
			last = now
			timer.Reset(time.Until(now.Truncate(time.Minute).Add(time.Minute)))
			continue
		case !was:
			h.load(ctx) // what this daemon, or another, has kept before
		}
		h.read(targets, now)
		if now.Sub(stored) >= storeEvery || now.Before(stored) {
			h.keep(ctx)
			stored = now
		}
		// Figures are read every minute, on the minute.
		next := now.Truncate(time.Minute).Add(time.Minute)
		var turns []Target
		for _, t := range targets {
			if d := t.Next(last, every); !d.After(now) {
				turns = append(turns, t)
			}
			if d := t.Next(now, every); d.Before(next) {
				next = d
			}
		}
		h.send(ctx, turns, now)
		last = now
		timer.Reset(time.Until(next))
	}
}

// isMine asks whose turn it is, and keeps the answer.
func (h *Healthcheck) isMine(ctx context.Context) bool {
	h.mine = h.Mine == nil || h.Mine(ctx)
	return h.mine
}

// read takes in the counters of all targets.
func (h *Healthcheck) read(targets []Target, now time.Time) {
	known := make(map[uint32]*figures, len(targets))
	for _, t := range targets {
		total, f := h.Store.Counts(t.ID).Delivered, h.figures[t.ID]
		if f == nil {
			f = &figures{Total: total, Minute: now.Unix() / 60}
		}
		f.read(total, now)
		known[t.ID] = f
	}
	h.figures = known
}

// send hands healthchecks in. One that cannot be made durable now is left out:
// the next one says more.
func (h *Healthcheck) send(ctx context.Context, turns []Target, now time.Time) {
	if len(turns) == 0 {
		return
	}
	active := h.Active()
	var requests []ingest.Request
	var to []Target
	for _, t := range turns {
		if active[t.ID] {
			hour, before := h.figures[t.ID].last()
			requests = append(requests, ingest.Request{Developer: t.Developer, Only: t.ID, Own: true, Body: body(now, hour, before)})
			to = append(to, t)
		}
	}
	if len(requests) == 0 {
		return
	}
	for i, r := range h.Accept(ctx, requests) {
		if r.Err != nil && !errors.Is(r.Err, ingest.ErrNotWanted) && ctx.Err() == nil {
			h.Log.Warn("a healthcheck is left out", "developer", to[i].Developer, "destination", to[i].Name, "error", r.Err)
		}
	}
}

func (h *Healthcheck) load(ctx context.Context) {
	h.figures = map[uint32]*figures{}
	text, err := h.Store.Get(ctx, key)
	if err == nil {
		err = json.Unmarshal(text, &h.figures)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		h.Log.Warn("the figures of healthchecks cannot be read and begin anew", "error", err)
		h.figures = map[uint32]*figures{}
	}
}

func (h *Healthcheck) keep(ctx context.Context) {
	if len(h.figures) == 0 || !h.mine {
		return
	}
	text, err := json.Marshal(h.figures)
	if err == nil {
		err = h.Store.Put(ctx, key, text)
	}
	if err != nil && ctx.Err() == nil {
		h.Log.Warn("the figures of healthchecks are not stored", "error", err)
	}
}
