// Package objectkey says how object storage keeps events, the same for every
// kind that does: which keys an object may have, which metadata it carries, and
// what to do about an object that is there already. It is pure and knows no
// network.
package objectkey

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// MaxKey is the largest length of a key, in bytes, that S3 and GCS take.
const MaxKey = 1024

// Object is where a payload goes and what it carries.
type Object struct {
	// Keys are the keys to try, in order: while [Metadata.Against] says Next of
	// what lies under one, the next one is tried. Under the last only the same
	// identity can lie, unless somebody forged it.
	Keys []string
	Meta Metadata // of the user's kind: x-amz-meta-..., x-goog-meta-...
}

// Names names the objects of one event. It may be used from several goroutines
// at once.
type Names struct {
	layout    *Layout
	event     *event.Event
	generated func() string
	user      func() event.User
}

// Of returns the names of the objects of e. What the layout needs of the body
// is read at most once for all payloads.
func (l *Layout) Of(e *event.Event) *Names {
	return &Names{
		layout: l, event: e,
		generated: sync.OnceValue(func() string { return e.Generated().UTC().Format(second) }),
		user:      sync.OnceValue(func() event.User { return e.Users().Subject() }),
	}
}

// Object returns where p goes, a payload of the event. p.Body is what is
// stored, before any compression.
func (n *Names) Object(p event.Payload) Object {
	e := n.event
	short, long := suffixes(e, p.Identity)
	stem, extension := n.layout.expand(func(v variable) string { return n.value(v, p) })
	o := Object{Meta: metadata(e, p)}
	if e.UserID != "" {
		o.Keys = append(o.Keys, stem+extension)
	}
	o.Keys = append(o.Keys, stem+"-"+short+extension, stem+"-"+long+extension)
	return o
}

// suffixes returns what tells keys of different identities apart: the short one
// is the contract's, of the identity alone. Where a layout leaves out the type or
// the user, equal identities of different users meet under it, and 12 digits can
// be forged to meet: the long one tells all of that apart.
func suffixes(e *event.Event, identity string) (short, long string) {
	sum := sha256.Sum256([]byte(identity))
	short = hex.EncodeToString(sum[:6])
	sum = sha256.Sum256(fmt.Appendf(nil, "%d:%s%d:%s%s", len(e.Type), e.Type, len(e.UserID), e.UserID, identity))
	return short, hex.EncodeToString(sum[:])
}

// second is how keys write times: UTC, whole seconds.
const second = "2006-01-02T15:04:05Z"

func (n *Names) value(v variable, p event.Payload) string {
	switch v {
	case version:
		if n.event.Versioned {
			return safe(n.event.Version)
		}
		return safe(n.layout.defaultVersion)
	case typ:
		return safe(n.event.Type)
	case userID:
		return safe(n.event.UserID)
	case start:
		if t, ok := event.ReadTime(p.Start); ok {
			return t.Format(second)
		}
		return n.generated()
	case generated:
		return n.generated()
	case id:
		return p.ID
	case summaryID:
		if p.Summary == "" {
			return p.ID
		}
		return safe(p.Summary)
	case provider:
		return safe(n.user().Provider)
	default:
		return safe(n.user().Reference)
	}
}
