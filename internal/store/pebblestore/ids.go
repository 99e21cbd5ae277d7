package pebblestore

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

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
			s.append.ids.Seed(id)
		}
	}
	if v, err := s.get(registryKey(regNewest, "")); err != nil || len(v) != 16 {
		return err
	} else {
		s.append.ids.Seed(event.ID(v))
	}
	return nil
}
