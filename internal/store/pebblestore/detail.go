package pebblestore

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// details adds to deliveries of a list what their own rows do not hold: the type and
// the user of the event, and the last attempt. Each costs two reads.
type details struct {
	s        *Store
	q        *store.DeliveryQuery
	attempts *pebble.Iterator
}

// detail opens what q needs; nil when it needs nothing.
func (s *Store) detail(q *store.DeliveryQuery) (*details, error) {
	if !q.Detailed() {
		return nil, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindAttempt}, UpperBound: []byte{kindAttempt + 1}})
	if err != nil {
		return nil, err
	}
	return &details{s: s, q: q, attempts: it}, nil
}

func (d *details) close() {
	if d != nil {
		d.s.countRows(d.attempts)
		d.attempts.Close()
	}
}

// add completes r and tells whether the query wants it. first is the attempt that r's row
// holds, nil if none.
func (d *details) add(r *store.DeliveryRecord, first *store.Attempt) (wanted bool, err error) {
	if d == nil {
		return true, nil
	}
	q := d.q
	d.s.asked.Add(1)
	e, err := d.s.eventRecord(r.ID.Day, r.ID.Event)
	if errors.Is(err, store.ErrNotFound) && r.ID.Day != r.ID.Event.Day() {
		e, err = d.s.eventRecord(r.ID.Event.Day(), r.ID.Event)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	r.Type, r.User = e.Event.Type, e.Event.UserID
	if len(q.Types) > 0 && !slices.Contains(q.Types, r.Type) || !q.Names(e.Event.Developer, r.User) {
		return false, nil
	}
	prefix := deliveryKey(nil, r.ID)
	prefix[0] = kindAttempt
	if first != nil {
		r.Last = *first
	} else if d.attempts.SeekLT(after(bytes.Clone(prefix))) && bytes.HasPrefix(d.attempts.Key(), prefix) {
		v, err := d.attempts.ValueAndErr()
		if err != nil {
			return false, err
		}
		if r.Last, err = readAttempt(v); err != nil {
			return false, err
		}
	}
	if err := d.attempts.Error(); err != nil {
		return false, err
	}
	return (len(q.Classes) == 0 || slices.Contains(q.Classes, r.Last.Class)) && (len(q.Codes) == 0 || slices.Contains(q.Codes, r.Last.Code) && r.Last.Class != ""), nil
}

// back returns the time of acceptance down to which a list that stopped at p has looked.
func back(p position) time.Time {
	if p.at == lastPlace { // the walk stopped before that day: all later days were read
		return p.day.Start().AddDate(0, 0, 1)
	}
	return p.at.event().Time()
}
