package event

import "slices"

// ItemSuffix follows the id of a payload where a payload store keeps the body of
// [Catalogue.Item]: destinations of one event may want it in either form, and
// what is there under an id stays.
const ItemSuffix = "-item"

// Item returns the body of a payload as `content: item` stores it: the item
// with the event's user in it, in the place of a member `user` of its own if it
// has one (of several the last, the one that counts), else at its end. ok is false where the payload is no single item of
// an array. An event whose user is no object leaves the item as it is.
func (c *Catalogue) Item(e *Event, p Payload) (body []byte, ok bool) {
	s, top, t := c.read(&Event{Envelope: e.Envelope, Body: p.Body})
	if t == nil || s.items.n != 1 || !s.items.objects || p.Body[top[t.data].start] != '[' {
		return nil, false
	}
	user := top[t.user]
	if user.kind != nested || p.Body[user.start] != '{' {
		return p.Body[s.items.start:s.items.end], true
	}
	return s.join(p.Body[user.start:user.end]), true
}

// join returns the only item with user in it.
func (s *scanner) join(user []byte) []byte {
	start, end := s.items.start, s.items.end
	own, member := value{}, `"user":`
	empty := true
	s.i = start + 1
	for {
		key, more, _ := s.member(empty)
		if !more {
			break
		}
		empty = false
		s.space()
		v := value{start: s.i}
		s.skip(3)
		if v.end = s.i; s.is(key, "user") {
			own = v
		}
	}
	switch {
	case own.end > 0:
		return slices.Concat(s.b[start:own.start], user, s.b[own.end:end])
	case !empty:
		member = "," + member
	}
	return slices.Concat(s.b[start:end-1], []byte(member), user, []byte("}"))
}
