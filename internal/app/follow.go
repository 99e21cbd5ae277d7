package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// A document that changes at one daemon is in force at all within two seconds: whoever changes one
// says so in a value before, and everybody looks at that value every second.

const (
	// changesKey is where the store keeps who changed last.
	changesKey = "documents/changed"
	// followEvery is how often it is looked at.
	followEvery = time.Second
	// lookFor is for how long the document of whoever stands there is looked at: it is stored behind
	// the word that it changes.
	lookFor = 30 * time.Second
	// mostChanged is how many stand there. Who has missed more looks at every document.
	mostChanged = 64
)

// changes is the value: developers whose documents changed, or were about to, the newest last.
type changes struct {
	Last []change `json:"last"`
}

type change struct {
	Number    uint64 `json:"n"`
	Developer string `json:"developer"`
}

func (c *changes) newest() uint64 {
	if len(c.Last) == 0 {
		return 0
	}
	return c.Last[len(c.Last)-1].Number
}

// readChanges returns the value, as it stands and read.
func (a *App) readChanges(ctx context.Context) (raw []byte, c changes, err error) {
	raw, err = a.store.Get(ctx, changesKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, c, nil
	}
	if err == nil && json.Unmarshal(raw, &c) != nil {
		c = changes{}
	}
	return raw, c, err
}

// announce says to other daemons that documents are about to change.
func (a *App) announce(ctx context.Context, developers ...string) error {
	swap, ok := a.store.(store.Swapper)
	if a.shared == nil || !ok {
		return nil
	}
	for {
		raw, c, err := a.readChanges(ctx)
		if err != nil {
			return err
		}
		for _, id := range developers {
			c.Last = append(c.Last, change{c.newest() + 1, id})
		}
		c.Last = c.Last[max(0, len(c.Last)-mostChanged):]
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if err = swap.Swap(ctx, changesKey, raw, text); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// followDocuments puts in force what other daemons change, until ctx ends.
func (a *App) followDocuments(ctx context.Context) {
	f := follower{app: a, until: map[string]time.Time{}, failovers: a.failovers.Load()}
	_, c, _ := a.readChanges(ctx) // else all of it is looked at once more
	f.seen = c.newest()
	for _, one := range c.Last {
		f.until[one.Developer] = time.Now().Add(lookFor)
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !a.current.Load().snapshot.Daemon.Developers.Stored {
			continue
		}
		if err := f.look(ctx); err != nil && ctx.Err() == nil {
			a.log.Debug("whether other daemons changed documents was not found out; it is looked at again", "error", err)
		}
	}
}

// follower is how far this daemon follows.
type follower struct {
	app   *App
	raw   []byte
	seen  uint64
	until map[string]time.Time // who is looked at, and for how long

	failovers int64 // those after which everybody was looked at
}

func (f *follower) look(ctx context.Context) error {
	raw, c, err := f.app.readChanges(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	if n := f.app.failovers.Load(); n != f.failovers { // numbers and versions may have gone back
		if err := f.all(ctx, now); err != nil {
			return err
		}
		f.failovers = n
	}
	if !bytes.Equal(raw, f.raw) {
		if len(c.Last) > 0 && c.Last[0].Number > f.seen+1 {
			if err := f.all(ctx, now); err != nil {
				return err
			}
		}
		for _, one := range c.Last {
			if one.Number > f.seen {
				f.until[one.Developer] = now.Add(lookFor)
			}
		}
		f.raw, f.seen = raw, c.newest()
	}
	for id, until := range f.until {
		if now.After(until) {
			delete(f.until, id)
		}
		if err := f.app.followDocument(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// all has everybody looked at whose document is not the one that is in force.
func (f *follower) all(ctx context.Context, now time.Time) error {
	heads := maps.Clone(*f.app.heads.Load())
	err := f.app.store.EachDocument(ctx, false, func(d store.Document) error {
		if heads[d.Developer].Version != d.Version {
			f.until[d.Developer] = now.Add(lookFor)
		}
		delete(heads, d.Developer)
		return nil
	})
	if err != nil {
		return err
	}
	for id := range heads { // whose only document a failover has lost
		f.until[id] = now.Add(lookFor)
	}
	return nil
}

// followDocument puts the newest document of a developer in force, if another daemon made it. After a failover
// that may be an earlier version than the one in force, or none: all daemons run on what the store has.
func (a *App) followDocument(ctx context.Context, developer string) error {
	if (*a.heads.Load())[developer].Version == a.newestVersion(ctx, developer) {
		return nil
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	d, err := a.store.Document(ctx, developer, 0)
	if errors.Is(err, store.ErrNotFound) {
		d, err = store.Document{Developer: developer, Deleted: true}, nil
	}
	if err != nil || (*a.heads.Load())[developer].Version == d.Version {
		return err
	}
	cur := a.current.Load()
	ctx = follows(ctx)
	var dev *config.Developer
	var faults []error
	if !d.Deleted {
		text := a.textOf(cur.keys, d)
		if text.Err != nil {
			faults = append(faults, text.Err)
		} else {
			bound := cur.snapshot.Rules.Bind(ctx, &text, cur.snapshot.Secrets)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			for _, fault := range bound.Faults {
				faults = append(faults, fault)
			}
			dev = bound.Developer
		}
	}
	refused := slices.DeleteFunc(slices.Clone(cur.refused), func(r refusal) bool { return r.developer == developer })
	next := with(cur.snapshot, dev, developer)
	if len(faults) > 0 { // they go on with what is in force, and /readyz says so
		next = with(cur.snapshot, cur.snapshot.Developers[developer], developer)
		refused = append(refused, refusal{developer: developer, what: fmt.Sprintf("version %d of the document, which another daemon made, cannot be used", d.Version), errs: faults, instead: "running on the one before"})
		a.tellRefused(refused[len(refused)-1:])
	}
	opened, broken, err := a.admit(ctx, next)
	if err != nil {
		opened.close()
		return err
	}
	if err := a.changedTo(ctx, next, opened, append(refused, broken...), d); err != nil {
		return err
	}
	a.log.Info("a document that another daemon changed is in force", "developer", developer, "version", d.Version, "by", d.By)
	return nil
}

// newestVersion is the version of a document in the store; where it cannot be read, the one in force.
func (a *App) newestVersion(ctx context.Context, developer string) uint64 {
	d, err := a.store.Document(ctx, developer, 0)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return (*a.heads.Load())[developer].Version
	}
	return d.Version
}
