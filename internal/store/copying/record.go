// Package copying copies a whole store into another one: records as both kinds of store
// read and write them (record.go), the copy itself, which may be interrupted at any moment
// (copying.go, mark.go), and a comparison of both sides afterwards (compare.go).
package copying

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Store is what both sides of a copy can do beside the rest. No daemon works on it.
type Store interface {
	store.Store

	// Export calls each with the records of the store whose places come after a place, in the
	// order of their places, and ends with the first error of each. A record belongs to each,
	// and so does all that it points to. The mark of a copy is no record.
	Export(ctx context.Context, after Place, each func(Record) error) error

	// Import stores records and the mark of the copy in one commit, durable in the order of calls
	// and after Close. They are not stored yet, and come in the order of their places. What the
	// store knows in memory does not follow: it is opened again before anything else is asked.
	Import(ctx context.Context, records []Record, mark []byte) error
}

// Part is a kind of record.
type Part uint8

// The parts of a store, in the order in which they are copied.
const (
	KeptPart Part = iota + 1
	DestinationPart
	SettingsPart
	ValuePart
	DocumentPart
	ActPart
	ErasurePart
	EventPart
	CounterPart
	KeyPart
)

// Place is where a record stands in its store.
type Place struct {
	Part Part
	Key  []byte // its place in the part, as bytes sort
}

// Compare is as that of package bytes.
func (p Place) Compare(o Place) int {
	return cmp.Or(cmp.Compare(p.Part, o.Part), bytes.Compare(p.Key, o.Key))
}

// Parts say how a store exports each of its parts: what comes after a key, and all of it after nil. They may give
// what comes before, too, as Behind leaves it out.
type Parts [KeyPart + 1]func(key []byte) error

// After exports what comes after a place, part by part.
func (all Parts) After(at Place) error {
	for part := max(at.Part, KeptPart); part <= KeyPart; part++ {
		var key []byte
		if part == at.Part {
			key = at.Key
		}
		if err := all[part](key); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	return nil
}

// Destinations hands over what a store lists, without what counts changes of its run.
func Destinations(list []store.Destination, each func(Record) error) error {
	for _, d := range list {
		d.Version = 0
		if err := each(&Destination{d}); err != nil {
			return err
		}
	}
	return nil
}

// Record is one of the types below.
type Record interface{ Place() Place }

// Kept is what stands once in a store.
type Kept struct {
	Bodies          event.Day // the first day whose bodies retention has left
	Newest          event.ID  // later ids are greater
	NextDestination uint32
}

// Destination is a destination with all that is stored of it.
type Destination struct{ store.Destination }

// Settings are sealed settings.
type Settings struct {
	Hash   uint64
	Sealed []byte
}

// Value is what a subsystem keeps.
type Value struct {
	Name  string
	Value []byte
}

// Document is a version of a developer's settings.
type Document struct {
	store.Document
	Newest bool // of the developer
}

// Act is an act. Its number is the millisecond in all but the last 16 bits, and what tells it
// from others within it.
type Act struct {
	Number uint64
	store.Act
}

// Erasure is the record of an erasure.
type Erasure struct {
	At                int64 // ns
	Who               [16]byte
	Developer, By     string
	Events, Cancelled int64
}

// Event is all that lies under one day about one event. A replay carries an event to a later day
// than its own.
type Event struct {
	Day        event.Day
	ID         event.ID
	Row        *EventRow  // nil: only deliveries lie there
	Body       []byte     // packed; nil: it is gone
	Deliveries []Delivery // by destination and replay
}

// EventRow is an event without its body.
type EventRow struct {
	Event  event.Event
	Size   int // bytes of the body
	To     []uint32
	Erased bool
	Key    []byte // hash of its idempotency key; nil: it had none
}

// Delivery is a delivery with its attempts.
type Delivery struct {
	Dest, Replay   uint32
	State          store.State // 0: the delivery is gone, and its log is there
	Attempts       uint16
	Version, Round uint32
	Size           uint32
	Due            int64 // ns; 0 when not pending
	Ordering       int64
	Changed        int64
	Settings       uint64
	Reason         string
	Log            []Attempt // by time and version
}

// Attempt is an attempt as the log has it.
type Attempt struct {
	Version uint32 // of the delivery that it was made for
	store.Attempt
}

// Counters are those of a destination on a day.
type Counters struct{ store.UsageRow }

// Key is an idempotency key.
type Key struct {
	Day       event.Day
	Hash      [16]byte // of developer and key
	Body      [16]byte // hash
	Event     event.ID
	Fanout    int
	Reference string
}

var be = binary.BigEndian

func (*Kept) Place() Place          { return Place{Part: KeptPart} }
func (d *Destination) Place() Place { return Place{DestinationPart, be.AppendUint32(nil, d.ID)} }
func (s *Settings) Place() Place    { return Place{SettingsPart, be.AppendUint64(nil, s.Hash)} }
func (v *Value) Place() Place       { return Place{ValuePart, []byte(v.Name)} }
func (a *Act) Place() Place         { return Place{ActPart, be.AppendUint64(nil, a.Number)} }
func (k *Key) Place() Place {
	return Place{KeyPart, append(be.AppendUint16(nil, uint16(k.Day)), k.Hash[:]...)}
}

// Place has the name, a zero byte, which no name has, and the version.
func (d *Document) Place() Place {
	return Place{DocumentPart, be.AppendUint64(append([]byte(d.Developer), 0), d.Version)}
}

func (e *Erasure) Place() Place {
	return Place{ErasurePart, append(be.AppendUint64(nil, uint64(e.At)), e.Who[:]...)}
}

func (e *Event) Place() Place {
	return Place{EventPart, append(be.AppendUint16(nil, uint16(e.Day)), e.ID[:]...)}
}

func (c *Counters) Place() Place {
	return Place{CounterPart, be.AppendUint32(be.AppendUint16(nil, uint16(c.Day)), c.Dest)}
}

// DayAndID reads the key of an event's place.
func DayAndID(key []byte) (day event.Day, id event.ID) {
	if len(key) == 2+len(id) {
		day = event.Day(be.Uint16(key))
		copy(id[:], key[2:])
	}
	return day, id
}

// Behind returns each without the records up to a place. It refuses records that come out of order.
func Behind(after Place, each func(Record) error) func(Record) error {
	last := after
	return func(r Record) error {
		at := r.Place()
		if at.Compare(after) <= 0 {
			return nil
		}
		if at.Compare(last) <= 0 {
			return fmt.Errorf("%T at %x comes after one at %x: the store is damaged", r, at.Key, last.Key)
		}
		last = at
		return each(r)
	}
}

// Delivery returns a delivery of the event, which it adds if it is not there. It is valid until the next call.
func (e *Event) Delivery(dest, replay uint32) *Delivery {
	at, found := slices.BinarySearchFunc(e.Deliveries, Delivery{Dest: dest, Replay: replay}, func(a, b Delivery) int {
		return cmp.Or(cmp.Compare(a.Dest, b.Dest), cmp.Compare(a.Replay, b.Replay))
	})
	if !found {
		e.Deliveries = slices.Insert(e.Deliveries, at, Delivery{Dest: dest, Replay: replay})
	}
	return &e.Deliveries[at]
}
