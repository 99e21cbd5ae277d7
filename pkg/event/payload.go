package event

import "iter"

// Payload is what object storage holds of an event: all of it or one item.
type Payload struct {
	ID    string // {event id}, or {event id}-{index} of one item of several; unique for ever
	Index int    // of the item, from 0; 0 where the payload is the whole event
	Body  []byte // shares memory with the event's body where the bytes are equal; nobody may write to it

	// What follows is empty where the type is no data type, the payload is no
	// single item, or the text is missing. Any length and any characters may come.
	Start, End string // of the period, as written
	Summary    string // the item's metadata.summary_id

	// Identity tells this item from all others of its user and type, and is the
	// same in an updated event. Where it is missing: {event id}-{index}. Never
	// empty; any length and any characters may come.
	Identity string
}

// Payloads splits e: one payload for each item of a data event, in order, whose
// body is the event's with the array holding that one item, all other bytes
// unchanged. An event with one item, none, or any that is no object, and every
// event that is not data, is one payload with its exact body.
//
// It is an iterator because all bodies together may be far larger than the
// event: each carries all that stands around the items (10,000 items in 32 MiB
// half of which does: more than 150 GiB). Each is built when its turn comes, so that
// memory holds those that the caller keeps; what the caller keeps of many
// payloads should be without Body. The sequence may be ranged over again.
func (c *Catalogue) Payloads(e *Event) iter.Seq[Payload] {
	return func(yield func(Payload) bool) {
		s, top, t := c.read(e)
		switch {
		case t == nil:
			yield(bare(e))
		case s.items.n > 1 && s.items.objects:
			s.split(e, t, yield)
		default:
			yield(s.whole(e, t, top))
		}
	}
}

// Whole returns e as one payload with its exact body, whatever is in it. Only
// of an event with one item it says more than Identity.
func (c *Catalogue) Whole(e *Event) Payload {
	s, top, t := c.read(e)
	if t == nil {
		return bare(e)
	}
	return s.whole(e, t, top)
}

// read reads the body of e as that of its type, which is nil where the event is
// not data or the body not one JSON object.
func (c *Catalogue) read(e *Event) (s scanner, top []value, t *dataType) {
	s.b = e.Body
	if t = c.types[e.Type]; t == nil {
		return s, nil, nil
	}
	top, ok := s.body(&t.top)
	if !ok {
		return s, nil, nil
	}
	s.items = s.itemsOf(top[t.data])
	return s, top, t
}

// bare is the payload of an event of which nothing is known.
func bare(e *Event) Payload {
	id := e.ID.String()
	return Payload{ID: id, Body: e.Body, Identity: id + "-0"}
}

// whole is e as one payload.
func (s *scanner) whole(e *Event, t *dataType, top []value) Payload {
	p := bare(e)
	if s.items.n == 1 && s.items.objects {
		s.i = s.items.start
		s.describe(&p, t, make([]value, t.item.slots))
	}
	switch {
	case t.ofUser:
		p.Identity = t.identify(e.UserID, p.Identity)
	case t.ofEvent:
		p.Identity = t.identify(s.first(top, t.identity), p.Identity)
	}
	return p
}

// items is where the items of an event are.
type items struct {
	start, end int // of the first, of the last
	n          int
	objects    bool // all of them are
}

// list reads the rest of an array inside of depth others, as items.
func (s *scanner) list(depth int) (found items, ok bool) {
	for found.objects = true; ; found.n++ {
		more, ok := s.element(found.n == 0)
		if !ok || !more {
			return found, ok
		}
		s.space()
		if found.n == 0 {
			found.start = s.i
		}
		found.objects = found.objects && s.i < len(s.b) && s.b[s.i] == '{'
		if !s.skip(depth + 1) {
			return found, false
		}
		found.end = s.i
	}
}

// itemsOf returns the items of data, which body has read: the elements of an
// array, or an object.
func (s *scanner) itemsOf(data value) items {
	switch {
	case data.kind != nested:
		return items{}
	case s.b[data.start] == '{':
		return items{data.start, data.end, 1, true}
	}
	return s.items
}

// split yields a payload for each item.
func (s *scanner) split(e *Event, t *dataType, yield func(Payload) bool) {
	head, tail := e.Body[:s.items.start], e.Body[s.items.end:]
	found := make([]value, t.item.slots)
	s.i = s.items.start
	for i := range s.items.n {
		if i > 0 {
			s.element(false)
			s.space()
		}
		id := PayloadID{Event: e.ID, Index: i}.String()
		p := Payload{ID: id, Index: i, Identity: id}
		start := s.i
		if !s.describe(&p, t, found) {
			return // cannot be: s has been over it
		}
		item := e.Body[start:s.i]
		p.Body = make([]byte, 0, len(head)+len(item)+len(tail))
		p.Body = append(append(append(p.Body, head...), item...), tail...)
		if !yield(p) {
			return
		}
	}
}

// describe reads the item that comes next into p. Found is room for what the
// paths lead to.
func (s *scanner) describe(p *Payload, t *dataType, found []value) bool {
	clear(found)
	if !s.pick(&t.item.root, 2, found) {
		return false
	}
	p.Start, p.End = s.first(found, t.start), s.first(found, t.end)
	p.Summary = s.plain(found[t.summary])
	if !t.ofEvent {
		p.Identity = t.identify(s.first(found, t.identity), p.Identity)
	}
	return true
}

// identify returns the identity that text is, or otherwise if it is empty.
func (t *dataType) identify(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	const date = len("2006-01-02")
	if t.day && len(text) > date {
		if _, ok := ReadTime(text[:date]); ok {
			return text[:date]
		}
	}
	return text
}
