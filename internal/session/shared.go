package session

import (
	"context"
	"fmt"
	"time"
)

// Where several daemons share a store, whoever logs in at one is known at all: a value that is
// older than a second is read again before it is believed, and at once for a session that is not
// known here. A change is stored if nobody else has changed the value, and is made anew if somebody has.

const (
	// stale is how old a value may be that a session is shown from.
	stale = time.Second
	// patience bounds what reading one may cost whoever shows a session: while the database
	// does not answer, sessions that were known before go on.
	patience = time.Second
	// mostTries bounds how often a change is made anew.
	mostTries = 10
)

// every names all values.
var every = func() (all []int) {
	for i := range shards {
		all = append(all, i)
	}
	return all
}()

// loadAll reads values of a shared store. It needs Desk.change.
func (d *Desk) loadAll(ctx context.Context, of []int, now time.Time) error {
	if d.swap == nil {
		return nil
	}
	for _, i := range of {
		if err := d.load(ctx, i, now); err != nil {
			return fmt.Errorf("read sessions: %w", err)
		}
	}
	return nil
}

// follow reads a value again that is stale, unless somebody makes a change just now: that one may
// wait for the disk.
func (d *Desk) follow(ctx context.Context, i int, now time.Time) {
	if d.swap == nil || !d.change.TryLock() {
		return
	}
	defer d.change.Unlock()
	if now.Sub(d.read[i]).Abs() >= stale {
		d.again(ctx, i, now)
	}
}

// look reads a value again for a session that is not known here: it may have begun at another
// daemon a moment ago. Whoever shows secrets that nobody has waits for one read at a time.
func (d *Desk) look(ctx context.Context, i int, now time.Time) {
	if d.swap == nil {
		return
	}
	d.change.Lock()
	defer d.change.Unlock()
	if d.read[i].Before(now) { // else somebody has read it since
		d.again(ctx, i, now)
	}
}

func (d *Desk) again(ctx context.Context, i int, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if d.load(ctx, i, now) != nil {
		d.read[i] = now // it is tried again in a second
	}
}
