package pgstore

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// idClock gives out event ids and times of acceptance. Both only go forward,
// also over a restart and when the wall clock is set back.
type idClock struct {
	us    int64 // the last acceptance, microseconds since 1970
	order uint16
	rand  func() uint64
}

// next returns the id of an event accepted at now, or just after the last one
// when now lies before that.
func (c *idClock) next(now time.Time) (event.ID, time.Time) {
	us := max(now.UnixMicro(), c.us)
	switch {
	case us/1000 > c.us/1000:
		c.order = 0
	case c.order < 1<<12-1:
		c.order++
	default: // the millisecond is full
		us, c.order = (c.us/1000+1)*1000, 0
	}
	c.us = us
	t := time.UnixMicro(us).UTC()
	return event.NewID(t, c.order, c.rand()), t
}

// seed makes every later id greater than id.
func (c *idClock) seed(id event.ID) {
	if us := id.Time().UnixMicro() + 999; us > c.us {
		c.us, c.order = us, id.Order()
	}
}

// newest returns an id that is smaller than every later one.
func (c *idClock) newest() event.ID { return event.NewID(time.UnixMicro(c.us), c.order, 0) }

// hashOf hashes texts together, each with its length, so that no two lists get the same hash.
func hashOf(texts ...string) [32]byte {
	h := sha256.New()
	for _, t := range texts {
		h.Write(binary.AppendUvarint(nil, uint64(len(t))))
		h.Write([]byte(t))
	}
	return [32]byte(h.Sum(nil))
}

// who names a user of a developer in an index; 0 is nobody.
func who(developer, user string) int64 {
	if user == "" {
		return 0
	}
	h := hashOf(developer, user)
	return int64(binary.BigEndian.Uint64(h[:]) | 1)
}

// unsigned scans an integer of 32 bits that stands for one without a sign.
type unsigned struct{ to *uint32 }

// ScanInt64 implements pgtype.Int64Scanner.
func (u unsigned) ScanInt64(n pgtype.Int8) error {
	*u.to = uint32(n.Int64)
	return nil
}

// hash scans a bigint that stands for a hash of 64 bits.
type hash struct{ to *uint64 }

// ScanInt64 implements pgtype.Int64Scanner.
func (h hash) ScanInt64(n pgtype.Int8) error {
	*h.to = uint64(n.Int64)
	return nil
}

// dayOf scans a day.
type dayOf struct{ to *event.Day }

// ScanInt64 implements pgtype.Int64Scanner.
func (d dayOf) ScanInt64(n pgtype.Int8) error {
	*d.to = event.Day(n.Int64)
	return nil
}

// text scans bytea into a string.
type text struct{ to *string }

// ScanBytes implements pgtype.BytesScanner.
func (t text) ScanBytes(b []byte) error {
	*t.to = string(b)
	return nil
}
