// Package event is the unit that the engine accepts and delivers: a JSON body
// whose bytes are never changed, and the envelope read from it once.
package event

import "time"

// Event is one accepted body with what the engine knows of it. Body holds the
// exact bytes received: they are stored, signed and sent as they are. Nobody
// may write to Body.
type Event struct {
	ID        ID
	Developer string    // who owns it; dev-id on the wire
	Reference string    // 1 to 128 visible ASCII characters; not unique
	Ordering  time.Time // UTC, whole microseconds: the time of acceptance, or what the producer gave; never changes
	Envelope
	Body  []byte
	Trace *Trace // nil: of none
}

// Envelope is what the engine reads of a body: see [Parse].
type Envelope struct {
	Type      string // never empty
	Version   string // text of the top-level version; "" when Versioned is false
	Versioned bool   // the body has a top-level version, whatever its type
	UserID    string // of user, else new_user, else old_user; "" when there is none
}

// Older tells whether e is older than f: (ordering time, event id), the order
// that every guard against overwriting newer data uses.
func (e *Event) Older(f *Event) bool {
	if !e.Ordering.Equal(f.Ordering) {
		return e.Ordering.Before(f.Ordering)
	}
	return string(e.ID[:]) < string(f.ID[:])
}
