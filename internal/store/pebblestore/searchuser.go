package pebblestore

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// mostDevelopers bounds in how many developers' part of the user index a user is looked for: one seek each and day.
// A query of more reads every delivery.
const mostDevelopers = 1024

// userDeliveries lists the deliveries of a user's events, which the user index knows day by day, copies included.
type userDeliveries struct {
	source
	s    *Store
	q    *store.DeliveryQuery
	from position // only what stands before it
	last position // the event that was listed last: a developer may be named twice
	it   *pebble.Iterator
	err  error
}

// ofUser returns what lists q by the user index; nil if that does not know what q asks for.
func (s *Store) ofUser(q *store.DeliveryQuery, from position) *userDeliveries {
	n := len(q.Developers)
	if q.User == "" || n == 0 || n > mostDevelopers {
		return nil
	}
	u := &userDeliveries{s: s, q: q, from: from}
	u.source = byEvent(kindUser, n, func(b []byte, day event.Day, i int) []byte {
		return append(b, userPrefix(nil, day, q.Developers[i], q.User)...)
	})
	u.below = func(b []byte, _ int, p place) []byte {
		b = append(b, p[:16]...)
		if p != placeOf(p.event(), 0, 0) { // a page ended between two deliveries of the event
			b = append(b, 0)
		}
		return b
	}
	u.it, u.err = s.view().NewIter(&pebble.IterOptions{LowerBound: []byte{kindDelivery}, UpperBound: []byte{kindDelivery + 1}})
	return u
}

func (u *userDeliveries) close() {
	if u.err == nil {
		u.s.countRows(u.it)
		u.it.Close()
	}
}

// each calls list with the deliveries of an event on a day, the last first, until it returns false.
func (u *userDeliveries) each(day event.Day, id event.ID, list func(store.DeliveryID, *row) (bool, error)) (bool, error) {
	at := position{day, placeOf(id, 0, 0)}
	if u.err != nil || u.last == at {
		return u.err == nil, u.err
	}
	u.last = at
	prefix := eventKey(make([]byte, 0, lenDeliveryKey), kindDelivery, day, id)
	first := after(bytes.Clone(prefix))
	if u.from.day == day && u.from.at.event() == id {
		first = append(bytes.Clone(prefix), u.from.at[16:]...)
	}
	for ok := u.it.SeekLT(first); ok && bytes.HasPrefix(u.it.Key(), prefix); ok = u.it.Prev() {
		did, good := parseDeliveryKey(u.it.Key())
		if good && len(u.q.Dests) > 0 && !slices.Contains(u.q.Dests, did.Dest) {
			continue
		}
		v, err := u.it.ValueAndErr()
		if err != nil {
			return false, fmt.Errorf("read deliveries of %v: %w", id, err)
		}
		r, err := readRow(v)
		if err != nil || !good {
			return false, errRow
		}
		if more, err := list(did, &r); err != nil || !more {
			return more, err
		}
	}
	return true, u.it.Error()
}
