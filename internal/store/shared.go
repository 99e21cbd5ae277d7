package store

import (
	"context"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Shared is what a Store gives beside the rest when several daemons work on it.
//
// Every pending delivery lies in a slot, and every slot has one owner. Queues and Due show
// what lies in the slots of this daemon alone. A delivery is born into a slot of the daemon
// that accepts its event, unless its destination is serial: then into the slot that the
// destination's id names, whoever owns it. What Retry brings back and Replay makes is born
// anew like that, where it is done. Appended.Items are those that lie in slots of this
// daemon; owners of other slots are told of the rest (Follower.Pending). Where Moved or Settled
// say that something is pending in another's slot, their Item is zero. Everything else is
// the same at every daemon: what was accepted, ended, changed, erased or counted at one is so
// at all, Counts and Stats within 2 s.
//
// Who finds the lease of another daemon over sets its slots free, all of them at once: from
// then on nothing that the former owner writes is stored (ErrFenced, and Options.Fatal ends
// it). A free slot is adopted by one daemon, one slot at a time. A daemon that closes sets
// its slots free itself. An owner that nobody has replaced goes on, however late its renewal.
type Shared interface {
	Store

	// Follow tells f what happens elsewhere, until the store is closed. It is called once,
	// before the first attempt; what this daemon owns by then is not told.
	Follow(f Follower)

	// Owned tells whether attempts may begin: the lease was renewed so lately that nobody can
	// have set the slots free. It is asked before every attempt, costs nothing, and
	// counts time in which the machine slept. Holds tells the same of one event: parts of a store
	// may lie in several databases, one of which cannot be reached.
	Owned() bool
	Holds(id event.ID) bool

	// Duty tells whether this daemon has to do what one alone may do ("retention", "notices").
	// A duty is taken at the first question when nobody has it, kept with the lease, and
	// given back by Close.
	Duty(ctx context.Context, name string) (bool, error)

	// OwnPending is how many deliveries of a destination lie in the slots of this daemon. It may be a
	// minute old. O(1).
	OwnPending(dest uint32) int64

	// Share says that this daemon is number i, from 0, of n that are alive. O(1).
	Share() (i, n int)

	// Daemons lists those that are alive, and those that ended without giving
	// their slots back as long as somebody may ask.
	Daemons(ctx context.Context) ([]Daemon, error)

	// Announce stores what this daemon says of itself to the others. ID, Started, Seen, Slots and
	// Offset are the store's to fill in.
	Announce(ctx context.Context, d Daemon) error
}

// Follower learns what happens elsewhere. Its calls come one after the other; they
// neither block for long nor call the store back.
type Follower interface {
	// Pending names queues in which something is pending that nobody here was told of: slots
	// were adopted, another daemon accepted an event for a serial destination, or a commit
	// of this one was found to be done after its callers had left, or another daemon moved
	// something of this one (Rebind). It comes within 2 s of the moment from which Due shows it.
	Pending(heads []Head)

	// Changed has the destinations that another daemon registered, or whose state it changed:
	// at most 2 s ago.
	Changed(d []Destination)
}

// Daemon is one of the daemons that work on a store.
type Daemon struct {
	ID      string    // made anew at every start
	Self    bool      // it is the daemon that asks
	Name    string    // of its machine, or as it was named
	API     string    // where the others reach its API; "" where they cannot
	Version string    // of the program
	Key     string    // fingerprint of the key file
	Files   string    // fingerprint of the settings that lie in files
	Started time.Time // by its own clock
	Seen    time.Time // last renewal, by the store's clock
	Alive   bool
	Slots   []int
	Offset  time.Duration // of its clock from the store's
}
