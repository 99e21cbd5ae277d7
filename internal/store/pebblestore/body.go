package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/packing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// body returns the body that lies under day; store.ErrNotFound if none does.
func (s *Store) body(day event.Day, id event.ID) ([]byte, error) {
	v, c, err := s.db.Get(eventKey(nil, kindBody, day, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read event %v: %w", id, err)
	}
	defer c.Close()
	body, err := packing.Unpack(v)
	if err != nil {
		return nil, fmt.Errorf("read event %v: %w", id, err)
	}
	return body, nil
}
