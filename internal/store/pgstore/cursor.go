package pgstore

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// place is where a list goes on: behind it, on its day, and on earlier ones.
type place struct {
	day    event.Day
	event  event.ID
	dest   int32
	replay int64
}

var (
	lastID    = event.ID{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	beginning = place{math.MaxUint16, lastID, math.MaxInt32, math.MaxInt64}
)

const (
	cursorVersion = 1
	cursorLen     = 1 + 8 + 2 + 16 + 4 + 8
)

func appendCursor(query uint64, p place) string {
	be := binary.BigEndian
	b := be.AppendUint64(append(make([]byte, 0, cursorLen), cursorVersion), query)
	b = append(be.AppendUint16(b, uint16(p.day)), p.event[:]...)
	b = be.AppendUint64(be.AppendUint32(b, uint32(p.dest)), uint64(p.replay))
	return base64.RawURLEncoding.EncodeToString(b)
}

// readCursor returns where to go on; "" is the beginning.
func readCursor(query uint64, text string) (place, error) {
	if text == "" {
		return beginning, nil
	}
	if len(text) > 2*cursorLen {
		return place{}, store.ErrCursor
	}
	be := binary.BigEndian
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorLen || b[0] != cursorVersion || be.Uint64(b[1:]) != query {
		return place{}, store.ErrCursor
	}
	return place{event.Day(be.Uint16(b[9:])), event.ID(b[11:27]), int32(be.Uint32(b[27:])), int64(be.Uint64(b[31:]))}, nil
}

// pageLimit bounds what a caller asks for.
func pageLimit(n int) int { return min(max(n, 1), 1000) }

// firstAt returns the first id of what is accepted at t or later. Whole milliseconds
// stand in ids.
func firstAt(t time.Time) (id event.ID) {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	switch {
	case ms <= 0:
		return id
	case ms >= 1<<48:
		return lastID
	}
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// firstID returns the first id of a day.
func firstID(day event.Day) [16]byte { return firstAt(day.Start()) }

// older tells whether a comes before b in order of acceptance.
func older(a, b event.ID) bool { return string(a[:]) < string(b[:]) }
