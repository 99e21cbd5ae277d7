// Package notices tells the operator what happens to destinations and
// deliveries: in the log, and, where they name destinations for it, as events
// that the engine delivers like any other.
package notices

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// ReplayFinished is the name of the notice of a replay that has ended.
const ReplayFinished = "replay.finished"

const (
	// deadEvery is the least time between two notices of deaths at one destination.
	deadEvery = time.Minute
	// deadNamed is how many ids such a notice has.
	deadNamed = 10
	// queued bounds what waits to be told; more is only logged.
	queued = 4096
	// patience is how long a notice waits for a store that takes nothing.
	patience = 10 * time.Minute
)

// Target is a destination that gets notices.
type Target struct {
	Developer, Name string
	ID              uint32
}

// Rules say who is told of what. They are immutable; a reload swaps them whole.
type Rules struct {
	Targets []Target
	Events  []string // nil: all
}

func (r *Rules) wants(name string) bool { return r.Events == nil || slices.Contains(r.Events, name) }

// about tells whether a notice is about one of the targets: telling them of
// themselves would make notices of notices.
func (r *Rules) about(k store.DestinationKey) bool {
	return slices.ContainsFunc(r.Targets, func(t Target) bool { return t.Developer == k.Developer && t.Name == k.Name })
}

// Accept makes events durable and hands them on: ingest.Ingest's.
type Accept func(ctx context.Context, rs []ingest.Request) []ingest.Result

// Notices passes notices on. Tell may be called from anywhere at any time.
type Notices struct {
	accept Accept
	log    *slog.Logger

	mu    sync.Mutex
	rules Rules
	queue []note
	dead  map[store.DestinationKey]*deaths
	next  time.Time // when the first of dead is told; zero: none is
	over  bool      // nobody passes on any more
	wake  chan struct{}
}

// note is a notice on its way.
type note struct {
	delivery.Notice
	count int      // deliveries that died
	ids   []string // some of them
	extra []any    // of a replay: pairs, as for the log
}

// deaths are deliveries of one destination that died and nobody was told of yet.
type deaths struct {
	note
	due time.Time
}

// New builds Notices that pass nothing on before Run.
func New(accept Accept, log *slog.Logger) *Notices {
	return &Notices{accept: accept, log: log, dead: map[store.DestinationKey]*deaths{}, wake: make(chan struct{}, 1)}
}

// SetRules says who is told from now on.
func (n *Notices) SetRules(r Rules) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rules = r
}

// Tell takes a notice of the scheduler. It never blocks.
func (n *Notices) Tell(d delivery.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d.Name != delivery.DeliveryDead {
		n.push(note{Notice: d})
		return
	}
	g := n.dead[d.Destination]
	if g == nil {
		// The first one waits too: those that die with it are told together.
		g = &deaths{due: time.Now().Add(deadEvery)}
		n.dead[d.Destination] = g
		if n.next.IsZero() {
			n.next = g.due
			n.signal()
		}
	}
	g.Notice = d // the last reason stands
	if g.count++; len(g.ids) < deadNamed {
		g.ids = append(g.ids, d.Delivery.String())
	}
	if n.over {
		n.write(&g.note)
		delete(n.dead, d.Destination)
	}
}

// Replayed takes the end of a replay: of whom ("" for all) and what is known of
// it as pairs of names and values. It never blocks.
func (n *Notices) Replayed(developer, destination string, at time.Time, about ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := delivery.Notice{Name: ReplayFinished, At: at.UTC()}
	d.Destination.Developer, d.Destination.Name = developer, destination
	n.push(note{Notice: d, extra: about})
}

func (n *Notices) push(x note) {
	if n.over || len(n.queue) == queued {
		n.write(&x)
		return
	}
	n.queue = append(n.queue, x)
	n.signal()
}

func (n *Notices) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run passes notices on until ctx ends; what it has then, it still does.
func (n *Notices) Run(ctx context.Context) {
	timer := time.NewTimer(deadEvery)
	defer timer.Stop()
	for ctx.Err() == nil {
		notes, next := n.take(time.Now(), false)
		n.pass(ctx, notes)
		if len(notes) > 0 {
			continue
		}
		if !next.IsZero() {
			timer.Reset(max(0, time.Until(next)))
		}
		select {
		case <-n.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	notes, _ := n.take(time.Now(), true)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	n.pass(last, notes)
}

// take returns what is to be told now, and when there is more.
func (n *Notices) take(now time.Time, last bool) ([]note, time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	notes := n.queue
	n.queue, n.next, n.over = nil, time.Time{}, last
	for key, g := range n.dead {
		if last || !now.Before(g.due) {
			notes = append(notes, g.note)
			delete(n.dead, key)
		} else if n.next.IsZero() || g.due.Before(n.next) {
			n.next = g.due
		}
	}
	return notes, n.next
}

// pass logs notes and hands them in.
func (n *Notices) pass(ctx context.Context, notes []note) {
	n.mu.Lock()
	rules := n.rules
	n.mu.Unlock()
	for i := range notes {
		x := &notes[i]
		n.write(x)
		if !rules.wants(x.Name) || rules.about(x.Destination) {
			continue
		}
		body := x.body()
		for _, t := range rules.Targets {
			if err := n.hand(ctx, t, body); err != nil {
				n.log.Error("a notice could not be handed in; it stands in the log only", "notice", x.Name, "to", t.Developer+"/"+t.Name, "error", err)
			}
		}
	}
}

// hand makes an event of a notice. It waits while the store takes nothing.
func (n *Notices) hand(ctx context.Context, t Target, body []byte) error {
	for began := time.Now(); ; {
		err := n.accept(ctx, []ingest.Request{{Developer: t.Developer, Only: t.ID, Own: true, Body: body}})[0].Err
		refused, ok := errors.AsType[*ingest.Refusal](err)
		switch {
		case err == nil, errors.Is(err, ingest.ErrNotWanted):
			return nil
		case !ok || refused.Status != 503 || time.Since(began) > patience:
			return err
		}
		select {
		case <-time.After(max(refused.RetryAfter, time.Second)):
		case <-ctx.Done():
			return err
		}
	}
}
