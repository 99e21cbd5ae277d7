// Package packing says how bodies lie in a store: compressed where that is worth it.
package packing

import (
	"bytes"
	"errors"

	"github.com/golang/snappy"
)

// A packed body is one byte that names its form, followed by the body in that form. JSON
// shrinks to a fifth or less. Compressing it once, before it is logged, saves that much in the
// store's log and in everything that is written from it.
const (
	Plain  = 1
	Snappy = 2 // a Snappy block
)

// From is how many bytes a body must have to be worth compressing.
const From = 128

const (
	buffers    = 32
	buffer     = 128 << 10 // the largest buffer that is kept
	mostPacked = 22        // a Snappy element of 3 bytes stands for 64 at the most
)

// ErrPacked: the bytes are no packed body.
var ErrPacked = errors.New("unreadable body")

// Packer compresses bodies into buffers that it uses again.
type Packer struct{ free chan []byte }

// New returns a packer, which any number of callers may use at once.
func New() Packer { return Packer{make(chan []byte, buffers)} }

// Pack returns the packed body, which is the caller's until Release.
func (p Packer) Pack(body []byte) []byte {
	most := snappy.MaxEncodedLen(len(body)) // negative: more than a block can hold
	v := p.buffer(1 + max(most, len(body)))
	if len(body) >= From && most > 0 {
		if n := len(snappy.Encode(v[1:], body)); n < len(body)-len(body)/8 {
			v[0] = Snappy
			return v[:1+n]
		}
	}
	v[0] = Plain
	return v[:1+copy(v[1:], body)]
}

func (p Packer) buffer(n int) []byte {
	select {
	case b := <-p.free:
		if cap(b) >= n {
			return b[:n]
		}
	default:
	}
	return make([]byte, n, max(n, 4<<10))
}

// Release gives the buffer of a packed body back.
func (p Packer) Release(v []byte) {
	if cap(v) > buffer {
		return
	}
	select {
	case p.free <- v:
	default:
	}
}

// Unpack returns the body of packed bytes, in memory of its own, or ErrPacked. It
// trusts nothing: what claims to be huge costs no memory.
func Unpack(v []byte) ([]byte, error) {
	switch {
	case len(v) > 0 && v[0] == Plain:
		return bytes.Clone(v[1:]), nil
	case len(v) == 0 || v[0] != Snappy:
		return nil, ErrPacked
	}
	if n, err := snappy.DecodedLen(v[1:]); err != nil || n > mostPacked*len(v) {
		return nil, ErrPacked
	}
	body, err := snappy.Decode(nil, v[1:])
	if err != nil {
		return nil, ErrPacked
	}
	return body, nil
}
