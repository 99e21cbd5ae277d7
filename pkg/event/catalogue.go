package event

import (
	"time"
)

// Catalogue says which types are data, and where their items, times and
// identities lie. It is configuration: the engine itself is agnostic to types.
type Catalogue struct{ types map[string]DataType }

// DataType is where a data type keeps what keys and rows are made of. Paths
// are member names joined with dots, below an item; the value must be a text.
type DataType struct {
	Data     string   // the member of the body that holds the data: an array of items or an object
	Start    []string // the start of the period; the first path that has a text counts
	End      []string
	Identity []string // what tells an item from all others of its user and type; none: the user
	// DayIdentity takes only the date of the identity, the part before a T, as written.
	DayIdentity bool
	// EventIdentity: the identity paths are below the body instead of an item.
	EventIdentity bool
}

// DefaultCatalogue returns the data types of the contract.
func DefaultCatalogue() *Catalogue { panic("being written") }

// NewCatalogue returns the default catalogue with types laid over it; a type
// whose DataType has no Data is not data.
func NewCatalogue(types map[string]DataType) (*Catalogue, error) { panic("being written") }

// IsData tells whether typ is a data type.
func (c *Catalogue) IsData(typ string) bool { panic("being written") }

// Payload is what object storage holds of an event: all of it or one item.
type Payload struct {
	ID   string // {event id}, or {event id}-{index} of one item of several; unique for ever
	Body []byte // shares memory with the event's body where the bytes are equal; nobody may write to it

	// What follows is empty where the type is no data type or the text is missing.
	Start, End string // of the period, as written
	Summary    string // the item's metadata.summary_id

	// Identity tells this item from all others of its user and type, and is the
	// same in an updated event. Where it is missing: the event's id and the
	// item's index. Never empty.
	Identity string
}

// Payloads splits e: one payload for each item of a data event, in order, whose
// body is the event's with the array holding that one item, all other bytes
// unchanged. An event with one item, none, or items that are no objects, and
// every event that is not data, is one payload with its exact body.
func (c *Catalogue) Payloads(e *Event) []Payload { panic("being written") }

// Whole returns e as one payload, whatever is in it.
func (c *Catalogue) Whole(e *Event) Payload { panic("being written") }

// Item returns the body of a payload as `content: item` stores it: the item
// with the event's user in it. ok is false where the payload is no single item.
func (c *Catalogue) Item(e *Event, p Payload) (body []byte, ok bool) { panic("being written") }

// Generated is when the producer says that e was made: creation_timestamp or
// occurred_at of the body, else the ordering time.
func (e *Event) Generated() time.Time { panic("being written") }

// ReadTime reads a time of a body: RFC 3339 with up to 9 fraction digits, a
// space for the T, or a date; without an offset it is UTC.
func ReadTime(text string) (t time.Time, ok bool) { panic("being written") }

// User is a user object of a body; "" where a text is null or missing.
type User struct{ ID, Reference, Scopes, Provider string }

// Users are the user objects of a body; those that are missing have no ID.
type Users struct {
	User, Old, New User
	// Succeeded is the top-level status of an auth event: neither "error" nor
	// "failed", in any case of letters.
	Succeeded bool
}

// Users reads the user objects of e.
func (e *Event) Users() Users { panic("being written") }
