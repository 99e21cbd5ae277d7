package event

import "strings"

// paths is a set of paths below an object, as a tree, so that one pass over the
// object finds what all of them lead to: one slot each.
type paths struct {
	root  node
	slots int
}

type node struct {
	name  string
	slot  int  // 1 + that of the path that ends here; 0: none does
	list  bool // the data of the event: pick finds its items
	below []*node
}

// add adds the path of names and returns its slot; a path known already keeps
// the slot it has.
func (p *paths) add(names ...string) int {
	n := &p.root
	for _, name := range names {
		n = n.grow(name)
	}
	if n.slot == 0 {
		p.slots++
		n.slot = p.slots
	}
	return n.slot - 1
}

// addAll adds paths written with dots.
func (p *paths) addAll(dotted []string) []int {
	slots := make([]int, len(dotted))
	for i, path := range dotted {
		slots[i] = p.add(strings.Split(path, ".")...)
	}
	return slots
}

func (n *node) grow(name string) *node {
	for _, b := range n.below {
		if b.name == name {
			return b
		}
	}
	n.below = append(n.below, &node{name: name})
	return n.below[len(n.below)-1]
}

// pick reads the object that comes next, inside of depth others, and puts what
// the paths below n lead to into found, where none means that nothing is there.
// Of members of one name the last counts with all that it holds, as in
// encoding/json: what an earlier one held is forgotten.
func (s *scanner) pick(n *node, depth int, found []value) bool {
	if !s.take('{') {
		return s.fail("want {")
	}
	for first := true; ; first = false {
		key, more, ok := s.member(first)
		if !ok || !more {
			return ok
		}
		b := s.below(n, key)
		if b == nil {
			if !s.skip(depth + 1) {
				return false
			}
			continue
		}
		b.forget(found)
		v, ok := s.enter(b, depth+1, found)
		if !ok {
			return false
		}
		if b.slot > 0 {
			found[b.slot-1] = v
		}
	}
}

// below returns the node below n that key names, nil if there is none.
func (s *scanner) below(n *node, key value) *node {
	for _, b := range n.below {
		if s.is(key, b.name) {
			return b
		}
	}
	return nil
}

// enter reads the value of n, and into it if paths lead there.
func (s *scanner) enter(n *node, depth int, found []value) (v value, ok bool) {
	s.space()
	v = value{start: s.i, kind: nested}
	switch object := s.i < len(s.b) && s.b[s.i] == '{'; {
	case n.list && !object && s.take('['):
		s.items, ok = s.list(depth)
	case object && len(n.below) > 0:
		ok = s.pick(n, depth, found)
	default:
		return s.value(depth)
	}
	v.end = s.i
	return v, ok
}

func (n *node) forget(found []value) {
	if n.slot > 0 {
		found[n.slot-1] = value{}
	}
	for _, b := range n.below {
		b.forget(found)
	}
}

// body reads the whole body for what paths lead to. ok is false where it is not
// one object.
func (s *scanner) body(p *paths) (found []value, ok bool) {
	found = make([]value, p.slots)
	s.space()
	if !s.pick(&p.root, 0, found) {
		return nil, false
	}
	s.space()
	return found, s.i == len(s.b)
}

// first returns what the first of slots says that has a text which is not empty
// or a number, as written; "" if none has.
func (s *scanner) first(found []value, slots []int) string {
	for _, slot := range slots {
		if text := s.plain(found[slot]); text != "" {
			return text
		}
	}
	return ""
}

// plain returns what a text says, or a number as written; "" for all else.
func (s *scanner) plain(v value) string {
	if v.kind == text || v.kind == scalar && s.b[v.start] != 't' && s.b[v.start] != 'f' {
		return s.text(v)
	}
	return ""
}
