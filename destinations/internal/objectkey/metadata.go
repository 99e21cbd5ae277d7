package objectkey

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Names of the metadata that every object carries.
const (
	MetaType      = "fantail-type"     // of the event
	MetaUser      = "fantail-user"     // of the event; left out where there is none
	MetaIdentity  = "fantail-identity" // what tells the item from all others of its user and type
	MetaOrdering  = "fantail-ordering" // time, RFC 3339, UTC, microseconds
	MetaEvent     = "fantail-event-id"
	MetaIndex     = "fantail-index"     // of the item
	MetaReference = "fantail-reference" // terra-reference of the event
	MetaSHA256    = "fantail-sha256"    // of the body before any compression, hexadecimal
)

// Metadata is what an object carries besides its body, by names in lower case.
// Values are visible ASCII: percent-encoded, and of more than 256 bytes then only
// a * and the SHA-256. All of it stays under the 2 KiB that S3 allows, and free
// of what S3 would take for the encoding of RFC 2047.
type Metadata map[string]string

// common returns what is the same for all payloads of e.
func common(e *event.Event) Metadata {
	m := Metadata{
		MetaType:      headerSafe(e.Type),
		MetaOrdering:  writable(e.Ordering).Format("2006-01-02T15:04:05.000000Z"),
		MetaEvent:     e.ID.String(),
		MetaReference: headerSafe(e.Reference),
	}
	if e.UserID != "" { // an empty header gets lost on the way
		m[MetaUser] = headerSafe(e.UserID)
	}
	return m
}

// writable returns t, in UTC, as RFC 3339 can write it: producers may name any
// time, and one that nobody can read again would count as older than all others.
func writable(t time.Time) time.Time {
	last := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	if t.After(last) {
		return last
	}
	return t.UTC()
}

// with returns m with what p adds.
func (m Metadata) with(p event.Payload) Metadata {
	m = maps.Clone(m)
	sum := sha256.Sum256(p.Body)
	m[MetaIdentity] = headerSafe(p.Identity)
	m[MetaIndex] = strconv.Itoa(p.Index)
	m[MetaSHA256] = hex.EncodeToString(sum[:])
	return m
}

// Decision is what to do about an object that lies under a key already.
type Decision int

const (
	// Overwrite it, on condition that it is still the one judged.
	Overwrite Decision = iota
	// Leave it: it is this very object, or a newer one of the same identity. The
	// payload counts as delivered.
	Leave
	// Next: it is another's. Try the next key.
	Next
)

// Against decides between an object to write and theirs, the metadata of the
// object that is there, whatever it holds. The same identity is overwritten if it
// is older, by (ordering time, event id) and then the item's index; where that
// cannot be read, it is older. An object without an identity is not ours and
// counts as older too.
func (mine Metadata) Against(theirs Metadata) Decision {
	theirs = theirs.lower()
	if theirs[MetaIdentity] == "" {
		return Overwrite
	}
	for _, name := range [...]string{MetaIdentity, MetaUser, MetaType} {
		if mine[name] != theirs[name] {
			return Next
		}
	}
	a, _ := mine.age()
	b, ok := theirs.age()
	switch order := a.compare(b); {
	case !ok || order > 0:
		return Overwrite
	case order < 0 || mine[MetaSHA256] == theirs[MetaSHA256]:
		return Leave
	}
	return Overwrite // the same item, written otherwise: settings have changed
}

// age is what "older" compares.
type age struct {
	at    time.Time
	event event.ID
	index int
}

func (m Metadata) age() (a age, ok bool) {
	var errs [3]error
	a.at, errs[0] = time.Parse(time.RFC3339, m[MetaOrdering])
	a.event, errs[1] = event.ParseID(m[MetaEvent])
	a.index, errs[2] = strconv.Atoi(m[MetaIndex])
	return a, errs == [3]error{}
}

func (a age) compare(b age) int {
	if c := a.at.Compare(b.at); c != 0 {
		return c
	}
	if c := strings.Compare(string(a.event[:]), string(b.event[:])); c != 0 {
		return c
	}
	return cmp.Compare(a.index, b.index)
}

// Same tells whether a service gives back m as it was stored, by what is alike in
// all objects of the same key and bytes.
func (m Metadata) Same(theirs Metadata) bool {
	theirs = theirs.lower()
	for _, name := range [...]string{MetaIdentity, MetaUser, MetaType, MetaSHA256} {
		if theirs[name] != m[name] {
			return false
		}
	}
	return true
}

// lower returns m with its names in lower case: some servers, and net/http,
// write them otherwise.
func (m Metadata) lower() Metadata {
	out := make(Metadata, len(m))
	for name, value := range m {
		out[strings.ToLower(name)] = value
	}
	return out
}

// headerSafe writes a value so that it survives as a header: letters, digits and
// -._~:/+@, stay, all else is percent-encoded.
func headerSafe(text string) string {
	const longest = 256
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~:/+@,", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upper[c>>4], upper[c&15]})
		}
		if b.Len() > longest {
			sum := sha256.Sum256([]byte(text))
			return "*" + hex.EncodeToString(sum[:])
		}
	}
	return b.String()
}
