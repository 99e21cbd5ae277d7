package event

// Item returns the body of a payload as `content: item` stores it: the item
// with the event's user in it, in the place of a member `user` of its own if it
// has one, else at its end. ok is false where the payload is no single item of
// an array. An event whose user is no object leaves the item as it is.
func (c *Catalogue) Item(e *Event, p Payload) (body []byte, ok bool) {
	t := c.types[e.Type]
	if t == nil {
		return nil, false
	}
	s := scanner{b: p.Body}
	top, ok := s.body(&t.top)
	if !ok {
		return nil, false
	}
	data, user := top[t.data], top[t.user]
	if data.kind != nested || p.Body[data.start] != '[' {
		return nil, false
	}
	items := s.itemsOf(data)
	if items.n != 1 || !items.objects {
		return nil, false
	}
	if user.kind != nested || p.Body[user.start] != '{' {
		return p.Body[items.start:items.end], true
	}
	return s.join(items, p.Body[user.start:user.end]), true
}

// join returns the only one of items with user in it.
func (s *scanner) join(items items, user []byte) []byte {
	const name = "user"
	body := make([]byte, 0, items.end-items.start+len(`,"":`)+len(name)+len(user))
	copied, replaced := items.start, false
	s.i = items.start + 1
	for first := true; ; first = false {
		key, more, _ := s.member(first)
		if !more {
			body = append(body, s.b[copied:items.end-1]...)
			if !replaced {
				if !first {
					body = append(body, ',')
				}
				body = append(append(body, `"`+name+`":`...), user...)
			}
			return append(body, '}')
		}
		s.space()
		start := s.i
		s.skip(3)
		if s.is(key, name) {
			body = append(append(body, s.b[copied:start]...), user...)
			copied, replaced = s.i, true
		}
	}
}
