// Package objectkey says how object storage keeps events, the same for every
// kind that does: which keys an object may have, which metadata it carries, and
// what to do about an object that is there already. It knows no network: what it
// asks of a bucket, a kind does.
package objectkey

import (
	"crypto/sha256"
	"encoding/hex"
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
	// Own is the first of Keys that only the same identity can have, unless somebody
	// found another one of the same user and type with its 12 digits.
	Own  int
	Meta Metadata // of the user's kind: x-amz-meta-..., x-goog-meta-...
	Body []byte   // before any compression
}

// Names names the objects of one event. It may be used from several goroutines
// at once.
type Names struct {
	layout             *Layout
	version, typ, user string   // as they stand in keys
	meta               Metadata // what is the same for all payloads
	generated          func() string
	subject            func() (provider, reference string)
}

// Of returns the names of the objects of e. What is long and the same for all
// payloads is read and hashed at most once.
func (l *Layout) Of(e *event.Event) *Names {
	n := &Names{
		layout: l, version: l.defaultVersion, typ: safe(e.Type), user: safe(e.UserID), meta: common(e),
		generated: sync.OnceValue(func() string { return writable(e.Generated()).Format(second) }),
		subject: sync.OnceValues(func() (provider, reference string) {
			u := e.Users().Subject()
			return safe(u.Provider), safe(u.Reference)
		}),
	}
	if e.Versioned {
		n.version = safe(e.Version)
	}
	return n
}

// Object returns where p goes, a payload of the event. p.Body is what is
// stored, before any compression.
func (n *Names) Object(p event.Payload) Object {
	stem, extension := n.layout.expand(func(v variable) string { return n.value(v, p) })
	short, long := n.suffixes(p.Identity)
	keys := []string{stem + extension, stem + "-" + short + extension, stem + "-" + long + extension}
	own := n.layout.own
	if n.user == "" {
		keys, own = keys[1:], max(own-1, 0)
	}
	return Object{Keys: keys, Own: own, Meta: n.meta.with(p), Body: p.Body}
}

// suffixes returns what tells keys of different identities apart: the short one
// is the contract's, of the identity alone. Where a layout leaves out the type or
// the user, equal identities of different users meet under it, and 12 digits can
// be forged to meet: the long one tells all of that apart.
func (n *Names) suffixes(identity string) (short, long string) {
	sum := sha256.Sum256([]byte(identity))
	short = hex.EncodeToString(sum[:6])
	sum = sha256.Sum256([]byte(n.meta[MetaType] + " " + n.meta[MetaUser] + " " + identity))
	return short, hex.EncodeToString(sum[:])
}

// second is how keys write times: UTC, whole seconds.
const second = "2006-01-02T15:04:05Z"

func (n *Names) value(v variable, p event.Payload) string {
	switch v {
	case version:
		return n.version
	case typ:
		return n.typ
	case userID:
		return n.user
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
		name, _ := n.subject()
		return name
	default:
		_, name := n.subject()
		return name
	}
}
