package pebblestore

import (
	"encoding/base64"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	cursorVersion = 1
	cursorLen     = 1 + 8 + 2 + len(place{})
)

func appendCursor(query uint64, p position) string {
	b := make([]byte, 0, cursorLen)
	b = be.AppendUint64(append(b, cursorVersion), query)
	b = be.AppendUint16(b, uint16(p.day))
	return base64.RawURLEncoding.EncodeToString(append(b, p.at[:]...))
}

// readCursor returns where to go on; "" is the beginning.
func readCursor(query uint64, text string) (position, error) {
	if text == "" {
		return newest, nil
	}
	if len(text) > 2*cursorLen {
		return position{}, store.ErrCursor
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != cursorLen || b[0] != cursorVersion || be.Uint64(b[1:]) != query {
		return position{}, store.ErrCursor
	}
	return position{event.Day(be.Uint16(b[9:])), place(b[11:])}, nil
}

// pageLimit bounds what a caller asks for.
func pageLimit(n int) int { return min(max(n, 1), 1000) }
