package event

import (
	"encoding/hex"
	"errors"
	"time"
)

// ID identifies an event: a UUIDv7 (RFC 9562), so that ids sort by time of
// acceptance and the day an event was accepted on can be read from its id.
type ID [16]byte

// NewID builds the id of the event accepted at t. Order must grow with every
// id of one store; its low 12 bits order events of one millisecond. Random
// fills the rest, so that ids of two stores never meet.
func NewID(t time.Time, order uint16, random uint64) ID {
	var id ID
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | byte(order>>8)&0x0f
	id[7] = byte(order)
	for i := range 8 {
		id[8+i] = byte(random >> (56 - 8*i))
	}
	id[8] = id[8]&0x3f | 0x80
	return id
}

// Time returns when the event was accepted, in whole milliseconds, UTC.
func (id ID) Time() time.Time {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC()
}

// Order returns the 12 bits that order events of one millisecond.
func (id ID) Order() uint16 { return uint16(id[6]&0x0f)<<8 | uint16(id[7]) }

// Day returns the day the event was accepted on, in days since 1970-01-01 UTC.
func (id ID) Day() Day { return DayOf(id.Time()) }

// IsZero tells whether id names no event.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the canonical form, 36 lower-case characters.
func (id ID) String() string {
	b, _ := id.AppendText(make([]byte, 0, 36))
	return string(b)
}

func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// AppendText appends the canonical form to b. Its error is always nil.
func (id ID) AppendText(b []byte) ([]byte, error) {
	b = append(hex.AppendEncode(b, id[:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:]), nil
}

func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// ErrID says that a text is no id of an event.
var ErrID = errors.New("not an event id: want the 36 lower-case characters of a UUID")

// ParseID reads the canonical form and nothing else.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, ErrID
	}
	if _, err := hex.Decode(id[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil || id.String() != s {
		return ID{}, ErrID
	}
	return id, nil
}

// Day counts days since 1970-01-01 UTC. It comes first in every key that ages.
type Day uint16

// DayOf returns the day of t.
func DayOf(t time.Time) Day { return Day(t.Unix() / 86400) }

// Start returns the first instant of the day.
func (d Day) Start() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }
