// Package keys is what the keys of every store are made of: ids that only go forward, and
// hashes of texts that a producer chose.
package keys

import (
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Clock gives out event ids and times of acceptance. Both only go forward, also over a
// restart and when the wall clock is set back. Calls must not overlap.
type Clock struct {
	Rand func() uint64 // the random part of ids

	us    int64 // the last acceptance, microseconds since 1970
	order uint16
}

// Next returns the id of an event accepted at now, or just after the last one
// when now lies before that.
func (c *Clock) Next(now time.Time) (event.ID, time.Time) {
	us := max(now.UnixMicro(), c.us)
	switch {
	case us/1000 > c.us/1000:
		c.order = 0
	case c.order < 1<<12-1:
		c.order++
	default: // the millisecond is full
		us, c.order = (c.us/1000+1)*1000, 0
	}
	c.us = us
	t := time.UnixMicro(us).UTC()
	return event.NewID(t, c.order, c.Rand()), t
}

// Seed makes every later id greater than id.
func (c *Clock) Seed(id event.ID) {
	switch us := id.Time().UnixMicro() + 999; {
	case us > c.us:
		c.us, c.order = us, id.Order()
	case us == c.us:
		c.order = max(c.order, id.Order())
	}
}

// Newest returns an id that is smaller than every later one, and not smaller than any
// earlier one but for its random part.
func (c *Clock) Newest() event.ID { return event.NewID(time.UnixMicro(c.us), c.order, 0) }
