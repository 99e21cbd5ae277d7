package store

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// State is where a delivery stands.
type State uint8

const (
	Pending State = iota + 1
	Delivered
	Dead
	Cancelled
)

var stateNames = [...]string{Pending: "pending", Delivered: "delivered", Dead: "dead", Cancelled: "cancelled"}

func (s State) String() string {
	if int(s) >= len(stateNames) || s == 0 {
		return fmt.Sprintf("state %d", uint8(s)) // a damaged row
	}
	return stateNames[s]
}

func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseState reads the name of a state.
func ParseState(name string) (State, error) {
	for s := Pending; s <= Cancelled; s++ {
		if stateNames[s] == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("unknown state %q: want pending, delivered, dead or cancelled", name)
}

// DeliveryID names a delivery and where its row lies.
type DeliveryID struct {
	Day    event.Day // the day its body lies under: the event's own unless a replay carried it forward
	Event  event.ID
	Dest   uint32
	Replay uint32 // 0: the delivery made when the event was accepted
}

// String returns {event}_{destination}, and for a replay {event}_{destination}_{replay}_{day}.
func (id DeliveryID) String() string {
	b := make([]byte, 0, 64)
	b, _ = id.AppendText(b)
	return string(b)
}

// AppendText appends the text of id to b.
func (id DeliveryID) AppendText(b []byte) ([]byte, error) {
	b, _ = id.Event.AppendText(b) // an id always has a text
	b = append(b, '_')
	b = strconv.AppendUint(b, uint64(id.Dest), 10)
	if id.Replay != 0 {
		b = strconv.AppendUint(append(b, '_'), uint64(id.Replay), 10)
		b = strconv.AppendUint(append(b, '_'), uint64(id.Day), 10)
	}
	return b, nil
}

func (id DeliveryID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// ErrDeliveryID: a text is no id of a delivery.
var ErrDeliveryID = errors.New("not a delivery id")

// ParseDeliveryID reads the text of a delivery id.
func ParseDeliveryID(s string) (DeliveryID, error) {
	bad := fmt.Errorf("%q is %w", s, ErrDeliveryID)
	parts := strings.Split(s, "_")
	if len(parts) != 2 && len(parts) != 4 {
		return DeliveryID{}, bad
	}
	e, err := event.ParseID(parts[0])
	if err != nil {
		return DeliveryID{}, bad
	}
	var n [3]uint64
	for i, bits := range []int{32, 32, 16}[:len(parts)-1] {
		if n[i], err = strconv.ParseUint(parts[i+1], 10, bits); err != nil {
			return DeliveryID{}, bad
		}
	}
	id := DeliveryID{Day: e.Day(), Event: e, Dest: uint32(n[0])}
	if len(parts) == 4 {
		id.Replay, id.Day = uint32(n[1]), event.Day(n[2])
	}
	if id.String() != s {
		return DeliveryID{}, bad
	}
	return id, nil
}

// QueueID names one queue of pending deliveries: those of a destination that go
// out with whatever settings it has (Settings 0), or those frozen to the
// settings with that hash.
type QueueID struct {
	Dest     uint32
	Settings uint64
}

// Head is where a queue begins, or the part of it that nobody was told of.
type Head struct {
	Queue QueueID
	From  Position // nothing of it lies before

	// Unclean is how many owners of its slot ended one after the other without giving it
	// back. What they had in flight may be what ended them. Where several slots have part
	// of the queue, it is that of the worst.
	Unclean int
}

// Position is a place in a queue.
type Position struct {
	Due    int64
	Event  event.ID
	Replay uint32
}

// Item is a pending delivery as its queue offers it: all that an attempt needs but the body.
type Item struct {
	ID       DeliveryID
	Queue    QueueID
	Due      int64  // ns
	Ordering int64  // ns; the event's ordering time
	Size     uint32 // bytes of the body
	Version  uint32 // of the row; an Outcome names it
	Attempts uint16 // counted attempts of the present schedule
	Round    uint32 // how often Retry or RetryLatest started it again after it had ended; 0 at first
}

// Position returns where the item stands in its queue.
func (i *Item) Position() Position { return Position{i.Due, i.ID.Event, i.ID.Replay} }

// Entry is an event to append.
type Entry struct {
	Event          *event.Event
	To             []uint32 // ids of the destinations that matched, one named twice counts once; may be empty: the event is kept all the same
	IdempotencyKey string   // "" for none; the developer is its scope
}

// Appended is what came of an Entry.
type Appended struct {
	Items     []Item   // the deliveries made, due now
	ID        event.ID // of the stored event, or of the first one with this key
	Reference string   // likewise; "" once that event was erased
	Fanout    int      // likewise: how many deliveries it has
	Duplicate bool     // nothing was stored: the key was known
	Err       error    // ErrIdempotencyMismatch; then nothing was stored
}

// Outcome is what became of an Item.
type Outcome struct {
	Item     Item     // as it was offered
	Attempt  *Attempt // to log; nil when nothing was tried
	State    State    // from here on
	Reason   string   // why it is dead or cancelled; else ""
	Due      int64    // next, when pending
	Settings uint64   // next queue's settings, when pending
	Attempts uint16   // counted attempts from here on
}

// Settled is what Settle made of an Outcome.
type Settled struct {
	Item  Item  // the row as it stands now, when State is Pending
	State State // as it stands now; 0 when the row is gone (retention)
	Stale bool  // the row had been changed meanwhile
}

// AttemptClasses are what an attempt may come to. Expired are those whose body went
// before they could be made.
var AttemptClasses = []string{"delivered", "transient", "throttled", "rejected", "misconfigured", "interrupted", "expired"}

// Attempt is the record of one try.
type Attempt struct {
	At      int64         // ns, start
	Took    time.Duration // whole milliseconds are shown
	Class   string        // one of AttemptClasses
	Code    int           // what the far side answered with; 0 if nothing
	Answer  string        // excerpt or error text, control bytes escaped, at most 1 KiB
	Address string        // connected to
	Counted bool          // used one attempt of the schedule

	// Requests is how many requests were made where that was more than one; at
	// most 127 are told. Else it is 0.
	Requests int
}

// Change is something that is done to a delivery from outside its schedule.
type Change uint8

const (
	// Cancel: pending becomes cancelled.
	Cancel Change = iota + 1
	// Retry: any state becomes pending, due now, with current settings and a fresh
	// schedule; ErrNotFound when the body is gone, ErrConflict while another delivery
	// of the event to the destination is pending. What had ended begins a new round.
	Retry
	// Rebind: pending with frozen settings goes on with current settings, due and
	// attempts as before; ErrConflict when nothing is frozen.
	Rebind
	// Expire: pending becomes dead with the reason "expired"; an uncounted attempt of
	// the class "expired" says so in the log.
	Expire
	// RetryLatest: as Retry, and ErrConflict where another delivery of the event to the
	// destination, a replay's or the first one, was delivered after this one last changed.
	// It is for changes of many deliveries, where nobody looks whether each is still
	// wanted.
	RetryLatest
)

// Want asks for a new delivery of a stored event to a destination.
type Want struct {
	Event event.ID
	Day   event.Day // where the body lies: the day of any delivery of the event
	Dest  uint32
	Due   int64 // ns
}

// Moved is what Move or Replay made of a delivery.
type Moved struct {
	ID   DeliveryID
	From State // 0: it was made just now
	To   State
	Was  QueueID // where it was pending, if it was
	Item Item    // as it is pending now, if it is
	Size uint32  // bytes of the body, where Replay has made it and another daemon goes on with it: Item is zero then
	Err  error   // ErrNotFound, ErrConflict
}

// EventRecord is an event without its body.
type EventRecord struct {
	Event event.Event // Body is nil
	Size  int         // bytes of the body
	To    []uint32    // destinations it was accepted for
	Gone  string      // "erased" or "expired" when there is no body any more
}

// DeliveryRecord is a delivery as the log shows it.
type DeliveryRecord struct {
	ID       DeliveryID
	State    State
	Reason   string
	Due      int64 // ns, when pending
	Settings uint64
	Attempts uint16 // counted, of the present schedule
	Changed  int64  // ns: when State, Due or Settings last changed

	// Only of a query that is Detailed:
	Type, User string  // of the event; "" where it is gone
	Last       Attempt // zero: there was none
}

// EventQuery selects events. Zero fields select everything. Since and Until compare with the
// time of acceptance, Since included, Until not.
type EventQuery struct {
	Developers []string // nil: all
	Types      []string
	User       string
	Since      time.Time
	Until      time.Time
	Unmatched  bool // only those that matched no destination
	Limit      int  // 1 to 1,000
	Cursor     string
}

// DeliveryQuery selects deliveries; times as in EventQuery.
type DeliveryQuery struct {
	Dests  []uint32 // nil: all
	States []State  // nil: all
	Event  event.ID // zero: any
	Since  time.Time
	Until  time.Time
	Limit  int // 1 to 1,000
	Cursor string

	// No index knows these: the rows that the others select are read one by one. Of a user whose developer is
	// known, only the user's own are.
	Types      []string // of the event; nil: all
	User       string
	Developers []string // whose User is meant; nil: anybody's
	Classes    []string // of the last attempt; nil: all
	Codes      []int    // likewise
	Detail     bool     // fill in Type, User and Last
}

// Names tells whether q asks for the deliveries of that user of that developer's.
func (q *DeliveryQuery) Names(developer, user string) bool {
	return q.User == "" || q.User == user && (q.Developers == nil || slices.Contains(q.Developers, developer))
}

// Detailed tells whether Type, User and Last of what q lists are filled in.
func (q *DeliveryQuery) Detailed() bool {
	return q.Detail || len(q.Types) > 0 || q.User != "" || len(q.Classes) > 0 || len(q.Codes) > 0
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T
	Next  string // cursor of the next page; "" on the last

	// Back is the acceptance down to which everything was looked at, as far as Next
	// goes on from there; zero on the last page: to the end.
	Back time.Time
}

// ErrCursor: the cursor was not made by this list.
var ErrCursor = fmt.Errorf("unreadable cursor: %w", ErrConflict)

// Counts are the counters of one destination. Accepted = Delivered + Pending + Dead + Cancelled.
type Counts struct {
	Accepted     int64
	Delivered    int64
	Pending      int64
	Dead         int64
	Cancelled    int64
	PendingBytes int64 // bodies of what is pending
}

// AuditRow is the counters of one destination since retention began, and, when deep, the same recounted.
type AuditRow struct {
	Dest      uint32
	Counts    Counts
	Recounted *Counts // nil unless deep
}

// DestinationKey is what a destination's id stands for.
type DestinationKey struct{ Developer, Name, Kind string }

// Destination is a registered destination.
type Destination struct {
	ID uint32
	DestinationKey
	State   DestinationState
	Last    Last
	Version uint64 // of State: every change raises it, as long as the store is open
}

// DestinationState is the part of a destination's state that must outlive the
// process: what a person or the engine decided. Disabled and removed follow from the settings.
type DestinationState struct {
	Paused   bool      // by a person
	Held     bool      // by the engine
	Reason   string    // of the pause or hold
	Settings uint64    // hash of the settings that are held
	Since    time.Time // of the pause or hold
	Failing  Failing   // how long it has failed; zero while it does not
}

// Failing is how long a destination has failed without one success. What is
// stored lags behind by up to an hour.
type Failing struct {
	Settings uint64        // hash of those it failed with
	Since    time.Time     // the first failure
	Lasted   time.Duration // so far; what the daemon was down does not count
	Attempts int           // that failed so far
	Told     int           // how many notices were made of it
}

// Retention says how long things are kept. Zero keeps for ever.
type Retention struct {
	Events      time.Duration // bodies, and with them pending deliveries
	Attempts    time.Duration // events without bodies, deliveries, attempts, counters; never less than Events
	Idempotency time.Duration
	Acts        time.Duration
}

// RetainReport says what Retain did.
type RetainReport struct {
	Expired int // deliveries that became dead
	Days    int // days of bodies or rows removed
}

// Erasure asks for the data of one user of one developer to be overwritten.
type Erasure struct {
	Developer string
	User      string
	Whole     bool   // of all users, and of events without one: everything of the developer; User is ""
	By        string // the name of the token that asked
}

// ErasureReport says what Erase did.
type ErasureReport struct {
	Events    int
	Cancelled int
}

// Stats are figures for metrics.
type Stats struct {
	Bytes    int64 // on disk, approximately
	DiskFree int64 // of the file system the store lies on
	Pending  int64
	RowsRead int64 // to answer calls of Log, Usage and Trail; 0 where the store cannot tell
}
