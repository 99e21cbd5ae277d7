package store

import (
	"context"
	"time"
)

// Swapper is what a shared store gives beside Put: two daemons that change one value must not
// undo each other's change.
type Swapper interface {
	// Swap stores value under key if what is there is was; nil: nothing is there. Durable on
	// return. ErrConflict: something else is there, and nothing was stored.
	Swap(ctx context.Context, key string, was, value []byte) error
}

// Vitals are figures of a shared store and of this daemon's part in it.
type Vitals struct {
	Slots          int           // that this daemon owns
	LeaseAge       time.Duration // since the last renewal
	Adopted        uint64        // slots of daemons that had ended, since the start
	Offset         time.Duration // how far the store's clock is ahead of this machine's
	OldestSnapshot int64         // of all that somebody holds, in transactions
	SnapshotOf     string        // who holds that: session, replica, slot, prepared; "": nobody
	Durability     string        // what a commit waits for, in a word: "local", "standby", "none"
}
