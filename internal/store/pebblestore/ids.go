package pebblestore

import (
	"bytes"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// idClock gives out event ids and times of acceptance. Both only go forward,
// also over a restart and when the wall clock is set back.
type idClock struct {
	us    int64 // the last acceptance, microseconds since 1970
	order uint16
	rand  func() uint64
}

// next returns the id of an event accepted at now, or just after the last one
// when now lies before that.
func (c *idClock) next(now time.Time) (event.ID, time.Time) {
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
	return event.NewID(t, c.order, c.rand()), t
}

// seed makes every later id greater than id.
func (c *idClock) seed(id event.ID) {
	switch us := id.Time().UnixMicro() + 999; {
	case us > c.us:
		c.us, c.order = us, id.Order()
	case us == c.us:
		c.order = max(c.order, id.Order())
	}
}

// newestEvent returns the largest id of an event, zero if there is none.
func (s *Store) newestEvent() (newest event.ID, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindEvent}, UpperBound: []byte{kindEvent + 1}})
	if err != nil {
		return newest, err
	}
	// The largest id lies under its own day; copies that a replay carried
	// forward lie under later ones.
	for ok := it.Last(); ok; ok = it.Prev() {
		if k := it.Key(); len(k) == lenEventKey {
			id := event.ID(k[3:])
			if bytes.Compare(id[:], newest[:]) > 0 {
				newest = id
			}
			if id.Day() == event.Day(be.Uint16(k[1:])) {
				break
			}
		}
	}
	return newest, it.Close()
}

// seedIDs finds the newest event. Retention leaves the id of the newest event behind when it
// removes the event. The watermark may be later than both, when the event before it was never
// stored. Ids must go on after the watermark: recovery does not look at events before it.
func (s *Store) seedIDs() error {
	newest, err := s.newestEvent()
	if err != nil {
		return err
	}
	watermark, err := readWatermark(s.db)
	if err != nil {
		return err
	}
	for _, id := range []event.ID{newest, watermark} {
		if !id.IsZero() {
			s.append.ids.seed(id)
		}
	}
	if v, err := s.get(registryKey(regNewest, "")); err != nil || len(v) != 16 {
		return err
	} else {
		s.append.ids.seed(event.ID(v))
	}
	return nil
}
