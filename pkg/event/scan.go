package event

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner walks over a body. It is a validator (RFC 8259, UTF-8) that builds
// nothing: bodies reach 32 MiB and the engine needs three texts of them. The
// steps return false after they have said why in reason; i is then where.
type scanner struct {
	b      []byte
	i      int
	reason string
	items  items // of the array that is the data, once it was read
}

// kind tells the values apart that the envelope treats differently.
type kind uint8

const (
	none   kind = iota // no value
	text               // string; start and end are inside the quotes
	scalar             // number, true, false
	null
	nested // object or array
)

// value is where a value stands in the body.
type value struct {
	start, end int
	kind       kind
	escaped    bool // a text with escapes
}

func (s *scanner) fail(reason string) bool {
	s.reason = reason
	return false
}

func (s *scanner) failAt(i int, reason string) bool {
	s.i = i
	return s.fail(reason)
}

// space steps over white space. Most bodies are compact: the first look is
// small enough to be inlined.
func (s *scanner) space() {
	if s.i < len(s.b) && s.b[s.i] <= ' ' {
		s.spaces()
	}
}

func (s *scanner) spaces() {
	b, i := s.b, s.i
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	s.i = i
}

// take steps over c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// member reads the key and the colon of an object's next member; more is false
// at the object's end.
func (s *scanner) member(first bool) (key value, more, ok bool) {
	s.space()
	if s.take('}') {
		return key, false, true
	}
	if !first {
		if !s.take(',') {
			return key, false, s.fail("want , or }")
		}
		s.space()
	}
	if key, ok = s.string(); !ok {
		return key, false, false
	}
	s.space()
	if !s.take(':') {
		return key, false, s.fail("want :")
	}
	return key, true, true
}

// value reads any value inside of depth objects and arrays.
func (s *scanner) value(depth int) (v value, ok bool) {
	s.space()
	if s.i == len(s.b) {
		return v, s.fail("it ends too soon")
	}
	v.start = s.i
	switch s.b[s.i] {
	case '"':
		return s.string()
	case '{', '[':
		v.kind = nested
	case 'n':
		v.kind = null
	default:
		v.kind = scalar
	}
	ok = s.skip(depth)
	v.end = s.i
	return v, ok
}

// string reads a string with its quotes.
func (s *scanner) string() (v value, ok bool) {
	if !s.take('"') {
		return v, s.fail(`want "`)
	}
	v = value{start: s.i, kind: text}
	b, i := s.b, s.i
	for {
		// Eight bytes at a time up to the first that is special.
		for i+8 <= len(b) {
			if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i == len(b) {
			return v, s.failAt(i, "it ends inside a string")
		}
		switch c := b[i]; {
		case c == '"':
			v.end, s.i = i, i+1
			return v, true
		case c == '\\':
			n := escape(b[i:])
			if n == 0 {
				return v, s.failAt(i, "bad escape")
			}
			v.escaped = true
			i += n
		case c < 0x20:
			return v, s.failAt(i, "control character in a string")
		case c < utf8.RuneSelf:
			i++
		default:
			for i < len(b) && b[i] >= utf8.RuneSelf { // they come in rows
				_, n := utf8.DecodeRune(b[i:])
				if n == 1 {
					return v, s.failAt(i, "invalid UTF-8")
				}
				i += n
			}
		}
	}
}

// special marks the bytes of x that string must look at: quotes, backslashes,
// control characters, non-ASCII. The lowest mark is exact; those above it may be
// false, because the subtractions borrow.
func special(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote := x ^ ones*'"'
	slash := x ^ ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x | x) & highs
}

// escape returns the length of the escape that b begins with, 0 if it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}
