// Package store is the contract between the engine and what keeps its events,
// deliveries and attempts. pebblestore is the embedded implementation, pgstore the one
// in PostgreSQL; storetest holds every implementation to this contract. The words used
// here are those of ARCHITECTURE.md.
//
// A row that cannot be made durable is never reported as made. Times that are
// int64 count nanoseconds of wall time since 1970.
package store

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

var (
	// ErrNotFound: no such event, delivery, destination or settings; also what
	// retention or erasure has taken.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the change does not apply to the row as it stands.
	ErrConflict = errors.New("conflict")
	// ErrIdempotencyMismatch: the key is known with another body.
	ErrIdempotencyMismatch = errors.New("idempotency key was used with another body")
	// ErrFenced: the lease of this daemon is stale; another has adopted its work.
	ErrFenced = errors.New("lease lost")
	// ErrBackup: something else makes backups of this store, as the text around it says.
	ErrBackup = errors.New("no backup by fantail")
	// ErrClosed: the store is closed, or closing.
	ErrClosed = errors.New("store is closed")
)

// Unavailable says why nothing can be made durable now, and when to ask again.
type Unavailable struct {
	Reason string        // "disk reserve reached", "store stalled"
	After  time.Duration // a sane wait before the next try
}

func (u *Unavailable) Error() string { return u.Reason }

// Store is all of it. Consumers take the part they use.
type Store interface {
	Queue
	Log
	Usage
	Registry
	Documents
	Trail
	Keeper
}

// Queue is the way of a delivery: made by Append, offered by Due, ended or
// rescheduled by Settle, changed by a person or by age with Move, made again by Replay.
type Queue interface {
	// Append makes every event of batch durable together with its deliveries and counters:
	// on return with a nil error they survive a power failure. Concurrent calls share a
	// commit. Append sets ID (and Ordering where it is zero) of each event; acceptance
	// never runs backward within a store, whatever the clock does. Outcome i belongs to
	// batch[i]; events of one batch stand alone and the error is for all of them:
	// *Unavailable, ErrFenced, ErrClosed. A context that ends early does not undo a commit
	// that has begun: Append waits for it, or, when the disk does not answer for long,
	// says with *Unavailable that it is not known. A delivery may be offered by Due while
	// its commit still waits for the disk; it is not reported as made before. An entry
	// with a known idempotency key is not stored: its outcome names the first event once
	// that is durable (one in flight is waited for). The id of an event of the same
	// developer is a known key as long as the event is; once its body is gone, any body
	// counts as the same.
	Append(ctx context.Context, now time.Time, batch []*Entry) ([]Appended, error)

	// Settle records what attempts came to. It may return before the outcomes
	// are durable: they are within 100 ms, and at Close. A row that has another
	// version than the outcome was made for was changed meanwhile: then the
	// attempt is logged all the same, delivered wins over whatever the change
	// was, and any other outcome leaves the change standing.
	// Settled i belongs to outcomes[i]. Settling twice for one version counts
	// once, and the log holds at least the attempt of the outcome that stands.
	Settle(ctx context.Context, now time.Time, outcomes []Outcome) ([]Settled, error)

	// Due reads what is pending in q with from <= (Due, ID) and Due <= until, in
	// that order, at most limit items. next is the Due of the first pending item
	// behind the last one read, be it beyond until or beyond limit; 0 if there is none.
	Due(ctx context.Context, q QueueID, from Position, until int64, limit int) (items []Item, next int64, err error)

	// Queues lists every queue that has something pending, and where the first of it stands.
	// Its cost grows with the number of queues, not of deliveries.
	Queues(ctx context.Context) ([]Head, error)

	// Move applies one change to the deliveries named; durable on return.
	// Moved i belongs to ids[i], Err being ErrNotFound or ErrConflict where the
	// change does not apply (cancelling what is delivered, say).
	Move(ctx context.Context, now time.Time, c Change, ids []DeliveryID) ([]Moved, error)

	// Replay makes one new delivery for each want, with current settings, a fresh
	// schedule and the ordering time of its event; durable on return. replay, not 0,
	// becomes part of their ids. Moved i belongs to wants[i], From being 0 and Item the
	// new delivery. It lies under the day of now: a body of an earlier day is copied
	// there with its envelope, and ages and is erased with either. What this replay made before, on
	// whatever day, is returned as it stands, From and To being its state, so that
	// the call can be repeated. Err is ErrConflict where another delivery of the
	// event to the destination is pending, and ErrNotFound where the body is gone.
	Replay(ctx context.Context, now time.Time, replay uint32, wants []Want) ([]Moved, error)
}

// Log answers questions about what happened. No call of it runs on the way of
// an event but Event, which reads the body of an attempt.
type Log interface {
	// Event returns the event with its body. day is where the body lies: the
	// delivery's day. ErrNotFound also when the body was erased or has aged out.
	Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error)
	// EventRecord returns what is known of the event without its body.
	EventRecord(ctx context.Context, id event.ID) (EventRecord, error)
	// Delivery returns one delivery with its attempts, oldest first.
	Delivery(ctx context.Context, id DeliveryID) (DeliveryRecord, []Attempt, error)
	// Events and Deliveries list newest first; a replayed delivery counts as of the
	// day of its id. A scan is bounded: Next may come with few items or none; the
	// last page has Next "".
	Events(ctx context.Context, q EventQuery) (Page[EventRecord], error)
	Deliveries(ctx context.Context, q DeliveryQuery) (Page[DeliveryRecord], error)
	// Audit returns the counters of every destination since retention.attempts
	// ago. deep recounts them from events and deliveries on one snapshot, calling
	// progress now and then with the rows read so far.
	Audit(ctx context.Context, deep bool, progress func(rows int64)) ([]AuditRow, error)
}

// Registry keeps what is small and must outlive the process. Everything it
// returns from Put on is durable.
type Registry interface {
	// Register returns the ids of the destinations, making those that are new.
	// Ids are persistent per (developer, name, kind) and never used again.
	Register(ctx context.Context, keys []DestinationKey) ([]uint32, error)
	// Destinations lists every destination ever registered.
	Destinations(ctx context.Context) ([]Destination, error)
	// ChangeState stores what change makes of the state of a destination, and returns that with
	// its version. change gets the state as it is stored; it is called again when another
	// change was faster, so that neither overwrites the other. It must be quick and call nobody.
	ChangeState(ctx context.Context, id uint32, change func(*DestinationState)) (state DestinationState, version uint64, err error)
	// SetLast stores what the last attempts of destinations came to, all in one
	// commit; ErrNotFound, and nothing is stored, where one of them is not known.
	SetLast(ctx context.Context, last map[uint32]Last) error
	// PutSettings stores sealed settings under their hashes, and values as Put does,
	// all in one commit; settings that are stored already stay as they are. Settings
	// returns them or ErrNotFound; WithoutSettings returns those of the hashes that
	// nothing is stored under, from memory.
	PutSettings(ctx context.Context, sealed map[uint64][]byte, values map[string][]byte) error
	WithoutSettings(ctx context.Context, hashes []uint64) ([]uint64, error)
	Settings(ctx context.Context, hash uint64) ([]byte, error)
	// CollectSettings removes settings that no pending delivery needs, except those in
	// keep: whatever an outcome may yet freeze a delivery to, which the store cannot know.
	CollectSettings(ctx context.Context, keep []uint64) (removed int, err error)
	// Put, Get and Delete keep one value of a named subsystem (last good
	// settings of a developer, progress of a replay).
	Put(ctx context.Context, key string, value []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
	Delete(ctx context.Context, key string) error
}

// Keeper is what operates a store.
type Keeper interface {
	// Counts returns the counters of one destination, O(1), from memory.
	Counts(dest uint32) Counts
	// Ready is nil while Append can work, else an *Unavailable. O(1).
	Ready() error
	// Stats returns figures for metrics, O(1).
	Stats() Stats
	// Retain removes what is older than r allows. First every pending delivery
	// whose body goes becomes dead with the reason "expired", in chunks; expired
	// (which may be nil) sees every chunk after it is durable.
	Retain(ctx context.Context, now time.Time, r Retention, expired func([]Moved)) (RetainReport, error)
	// Erase overwrites the bodies and names of a user of a developer, references and
	// answers with them, also where a reason or the last answer of one of the developer's
	// destinations quotes one, takes the user's name out of acts (Act.Forget), cancels the pending deliveries, and keeps a record of who
	// asked and when. cancelled sees every chunk.
	Erase(ctx context.Context, now time.Time, req Erasure, cancelled func([]Moved)) (ErasureReport, error)
	// Backup writes a consistent copy to dir, on which a store can be opened. ErrConflict:
	// dir exists. ErrBackup: the store has other means.
	Backup(ctx context.Context, dir string) error
	io.Closer
}
