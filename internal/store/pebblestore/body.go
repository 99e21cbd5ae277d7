package pebblestore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/golang/snappy"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// The value of a body is one byte that says how it stands there, and then it
// stands there. JSON shrinks to a fifth or less: compressed once, before it is
// logged, it costs the log, the memtables, flushes and compactions that much less.
const (
	plainBody  = rowVersion
	snappyBody = 2 // a Snappy block
)

const (
	packFrom    = 128 // bytes below which compressing is not worth it
	packBuffers = 32
	packBuffer  = 128 << 10 // the largest buffer that is kept
	mostPacked  = 22        // a Snappy element of 3 bytes stands for 64 at the most
)

// packer compresses bodies into buffers that it uses again.
type packer struct{ free chan []byte }

func newPacker() packer { return packer{make(chan []byte, packBuffers)} }

// pack returns the value of body, which is the caller's until release.
func (p packer) pack(body []byte) []byte {
	most := snappy.MaxEncodedLen(len(body)) // negative: more than a block can hold
	v := p.buffer(1 + max(most, len(body)))
	if len(body) >= packFrom && most > 0 {
		if n := len(snappy.Encode(v[1:], body)); n < len(body)-len(body)/8 {
			v[0] = snappyBody
			return v[:1+n]
		}
	}
	v[0] = plainBody
	return v[:1+copy(v[1:], body)]
}

func (p packer) buffer(n int) []byte {
	select {
	case b := <-p.free:
		if cap(b) >= n {
			return b[:n]
		}
	default:
	}
	return make([]byte, n, max(n, 4<<10))
}

func (p packer) release(v []byte) {
	if cap(v) > packBuffer {
		return
	}
	select {
	case p.free <- v:
	default:
	}
}

// readBody returns the body of a value, in memory of its own.
func readBody(v []byte) ([]byte, error) {
	switch {
	case len(v) > 0 && v[0] == plainBody:
		return bytes.Clone(v[1:]), nil
	case len(v) == 0 || v[0] != snappyBody:
		return nil, errRow
	}
	if n, err := snappy.DecodedLen(v[1:]); err != nil || n > mostPacked*len(v) {
		return nil, errRow
	}
	body, err := snappy.Decode(nil, v[1:])
	if err != nil {
		return nil, errRow
	}
	return body, nil
}

// body returns the body that lies under day; store.ErrNotFound if none does.
func (s *Store) body(day event.Day, id event.ID) ([]byte, error) {
	v, c, err := s.db.Get(eventKey(nil, kindBody, day, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read event %v: %w", id, err)
	}
	defer c.Close()
	body, err := readBody(v)
	if err != nil {
		return nil, fmt.Errorf("read event %v: %w", id, err)
	}
	return body, nil
}
