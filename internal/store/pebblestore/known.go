package pebblestore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// durableAfter is the age from which an event that can be read is certainly durable: callers
// of Append give up before that.
const durableAfter = 2 * hangAfter

// knownEvent finds the event of the same developer whose id is the key of e; nil if there is
// none. An export gives each event that key, so that an event that is imported again is
// recognised after its idempotency key has aged out.
func (s *Store) knownEvent(now time.Time, e *store.Entry, c *claim) (*claim, error) {
	id, err := event.ParseID(e.IdempotencyKey)
	if err != nil {
		return nil, nil
	}
	r, err := s.eventRecord(id.Day(), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && r.Event.Developer != e.Event.Developer {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up the event that an idempotency key names: %w", err)
	}
	known := &claim{body: c.body, first: first{id: id, reference: r.Event.Reference, fanout: len(r.To)}}
	if r.Gone == "" {
		body, err := s.body(id.Day(), id)
		switch {
		case err == nil:
			h := sha256.Sum256(body)
			known.body = bodyHash(h[:16])
		case !errors.Is(err, store.ErrNotFound): // gone meanwhile
			return nil, err
		}
	}
	if now.Sub(id.Time()) < durableAfter {
		return known, s.sync()
	}
	return known, nil
}
