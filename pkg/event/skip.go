package event

// stack remembers which of the open objects and arrays are objects, one bit
// each: bodies are hostile and recursion would let them choose our stack's size.
type stack struct {
	objects [MaxDepth / 64]uint64
	depth   int // open ones, those outside of what is skipped included
}

func (s *stack) push(object bool) bool {
	if s.depth == MaxDepth {
		return false
	}
	if object {
		s.objects[s.depth/64] |= 1 << (s.depth % 64)
	} else {
		s.objects[s.depth/64] &^= 1 << (s.depth % 64)
	}
	s.depth++
	return true
}

func (s *stack) inObject() bool {
	return s.objects[(s.depth-1)/64]>>((s.depth-1)%64)&1 == 1
}

// skip steps over one value of any kind inside of depth objects and arrays.
func (s *scanner) skip(depth int) bool {
	open := stack{depth: depth}
	for {
		s.space()
		if s.i == len(s.b) {
			return s.fail("it ends too soon")
		}
		ok, entered := true, false
		switch c := s.b[s.i]; c {
		case '"':
			_, ok = s.string()
		case '{', '[':
			if !open.push(c == '{') {
				return s.fail("nested too deep")
			}
			entered = true
			s.i++
		case 't':
			ok = s.literal("true")
		case 'f':
			ok = s.literal("false")
		case 'n':
			ok = s.literal("null")
		default:
			ok = s.number()
		}
		if !ok {
			return false
		}
		more, ok := s.next(&open, depth, entered)
		if !ok || !more {
			return ok
		}
	}
}

// next goes on to where the next value begins: over the ends of objects and
// arrays, a comma, a key. entered says that one was just opened. more is false
// when all above depth are closed.
func (s *scanner) next(open *stack, depth int, entered bool) (more, ok bool) {
	for open.depth > depth {
		if open.inObject() {
			_, more, ok = s.member(entered)
		} else {
			more, ok = s.element(entered)
		}
		if !ok || more {
			return more, ok
		}
		open.depth--
		entered = false
	}
	return false, true
}

// element steps up to an array's next element; more is false at its end.
func (s *scanner) element(first bool) (more, ok bool) {
	s.space()
	if s.take(']') {
		return false, true
	}
	if !first && !s.take(',') {
		return false, s.fail("want , or ]")
	}
	return true, true
}

func (s *scanner) literal(word string) bool {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.fail("want " + word)
	}
	s.i += len(word)
	return true
}

// number reads -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() bool {
	b, i := s.b, s.i
	if i < len(b) && b[i] == '-' {
		i++
	}
	start := i
	if i < len(b) && b[i] == '0' {
		i++
	} else {
		i = digits(b, i)
	}
	if i == start {
		if start == s.i {
			return s.fail("want a value")
		}
		return s.failAt(i, "want a digit")
	}
	if i < len(b) && b[i] == '.' {
		start = i + 1
		if i = digits(b, start); i == start {
			return s.failAt(i, "want a digit")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		start = i + 1
		if start < len(b) && (b[start] == '+' || b[start] == '-') {
			start++
		}
		if i = digits(b, start); i == start {
			return s.failAt(i, "want a digit")
		}
	}
	s.i = i
	return true
}

// digits returns where the digits from i on end.
func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
