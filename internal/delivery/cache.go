package delivery

import (
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// bodyCost is what the cache holds of an event beside its body: 400 bytes were measured.
const bodyCost = 512

// cost is how many bytes an event takes of the cache.
func cost(e *event.Event) int64 {
	return bodyCost + int64(len(e.Type)+len(e.Version)+len(e.UserID)+len(e.Body))
}

// cache keeps bodies that several deliveries need, bounded by bytes; the one
// that was not used for the longest time goes first. A body that was offered
// goes when the last waiting delivery of it is done with it.
type cache struct {
	max, bytes int64
	bodies     map[event.ID]*body
	first      *body // oldest
	last       *body
}

// body is a cached event.
type body struct {
	event      *event.Event // nil: dropped to make room
	refs       int          // jobs that point to it
	offered    bool         // all that need it point to it
	prev, next *body
}

// put adds an event.
func (c *cache) put(e *event.Event) *body {
	if b := c.bodies[e.ID]; b != nil {
		return b
	}
	b := &body{event: e, offered: true}
	c.bytes += cost(e)
	c.bodies[e.ID] = b
	c.push(b)
	for c.bytes > c.max && c.first != nil {
		c.remove(c.first)
	}
	return b
}

// putRead adds an event that came from the store: others of its fan-out may follow.
func (c *cache) putRead(e *event.Event) {
	if int64(len(e.Body)) > c.max/16 {
		return
	}
	c.put(e).offered = false
}

// get returns the event of a job, nil if it must be read.
func (c *cache) get(item *store.Item, b *body) *event.Event {
	if b == nil || b.event == nil {
		b = c.bodies[item.ID.Event]
	}
	if b == nil {
		return nil
	}
	if b != c.last && !b.offered {
		c.unlink(b)
		c.push(b)
	}
	return b.event
}

// done ends the use of a body by j.
func (c *cache) done(j *job) {
	b := j.body
	if b == nil {
		return
	}
	j.body = nil
	if b.refs--; b.refs == 0 && b.offered && b.event != nil {
		c.remove(b)
	}
}

func (c *cache) remove(b *body) {
	delete(c.bodies, b.event.ID)
	c.bytes -= cost(b.event)
	c.unlink(b)
	b.event = nil
}

func (c *cache) push(b *body) {
	b.prev, b.next = c.last, nil
	if c.last != nil {
		c.last.next = b
	} else {
		c.first = b
	}
	c.last = b
}

func (c *cache) unlink(b *body) {
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		c.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		c.last = b.prev
	}
	b.prev, b.next = nil, nil
}
