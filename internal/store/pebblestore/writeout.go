package pebblestore

import (
	"bytes"
	"fmt"
	"math/bits"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// writePending writes a pending delivery whole: its row, its place in its queue, and
// its entry in the index of states.
func (w *writer) writePending(id store.DeliveryID, r *row) {
	w.setRow(id, r)
	w.setDue(id, r)
	w.k, w.v = stateKey(w.k[:0], id, store.Pending), w.v[:0]
	w.set()
}

// writeOut gives rows to the implied deliveries of the events, as far as they can be
// read. It needs Store.change.
func (s *Store) writeOut(events []*impliedEvent) error {
	there, err := s.readable(events)
	if err != nil || len(there) == 0 {
		return err
	}
	w := writer{b: s.db.NewBatch()}
	defer w.b.Close()
	for _, e := range there {
		for left := e.left; left != 0; left &= left - 1 {
			w.writePending(e.delivery(bits.TrailingZeros64(left)), &e.row)
		}
	}
	if w.err != nil {
		return w.err
	}
	if err := s.apply(w.b, pebble.NoSync); err != nil {
		return err
	}
	s.implied.mu.Lock()
	defer s.implied.mu.Unlock()
	for _, e := range there {
		s.implied.drop(e, e.left)
	}
	return nil
}

// readable returns those of events that can be read, and forgets those that were
// never stored.
func (s *Store) readable(events []*impliedEvent) (there []*impliedEvent, err error) {
	x := &s.implied
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range events {
		ok, err := s.visible(e)
		switch {
		case err != nil:
			return nil, err
		case ok:
			there = append(there, e)
		default:
			if _, fault := e.group.ended(); fault != nil {
				x.drop(e, e.left)
			}
		}
	}
	return there, nil
}

// writeOutOf gives rows to the implied deliveries of one event. It needs Store.change.
func (s *Store) writeOutOf(id event.ID) error {
	s.implied.mu.Lock()
	e := s.implied.events[id]
	s.implied.mu.Unlock()
	if e == nil {
		return nil
	}
	return s.writeOut([]*impliedEvent{e})
}

// writeOutAll gives rows to every implied delivery, so that a search sees them. A store that
// has failed writes none: there, searches do not show implied deliveries.
func (s *Store) writeOutAll() error {
	s.implied.mu.Lock()
	newest := s.implied.newest
	s.implied.mu.Unlock()
	for from, more := (event.ID{}), true; more; {
		err := func() (err error) {
			s.change.Lock()
			defer s.change.Unlock()
			from, more, err = s.writeOutSome(from, func(e *impliedEvent, _ int) bool { return bytes.Compare(e.id[:], newest[:]) <= 0 })
			return err
		}()
		if err != nil && s.failure() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("write out deliveries: %w", err)
		}
	}
	return nil
}

// writeOutFor is writeOut for a search: of one event, or of all when id is zero.
func (s *Store) writeOutFor(id event.ID) error {
	if id.IsZero() || s.failure() != nil {
		return s.writeOutAll()
	}
	s.change.Lock()
	defer s.change.Unlock()
	return s.writeOutOf(id)
}

// writeOutSome writes out events after after, as long as want says yes, at most one chunk.
// want also gets how many implied deliveries follow the event. last is the event at which it
// stopped; more says that others may follow. It needs Store.change.
func (s *Store) writeOutSome(after event.ID, want func(*impliedEvent, int) bool) (last event.ID, more bool, err error) {
	x := &s.implied
	x.mu.Lock()
	x.oldest()
	var chunk []*impliedEvent
	n := x.n
	last = after
	for _, e := range x.order {
		if bytes.Compare(e.id[:], after[:]) <= 0 || e.left == 0 {
			continue
		}
		if more = want(e, n); !more || len(chunk) == writeOutChunk {
			break
		}
		n -= bits.OnesCount64(e.left)
		chunk, last, more = append(chunk, e), e.id, false
	}
	x.mu.Unlock()
	return last, more, s.writeOut(chunk)
}

// tend writes out deliveries that were implied for too long, or the older half when there are
// too many, and moves the watermark. It does nothing when it ran less than every ago. For a
// commit of events, when nobody settles, it does not wait for a change of deliveries: a change
// that the disk holds up would hold up every producer.
func (s *Store) tend(now time.Time, every time.Duration) error {
	x := &s.implied
	x.mu.Lock()
	since := now.Sub(x.tended)
	full := x.n >= mostImplied/4*3 && every == tendEvery
	due := full || since >= every || since < -every // the clock was set back
	if due {
		x.tended = now
	}
	x.mu.Unlock()
	if !due {
		return nil
	}
	for from, more := (event.ID{}), true; more; {
		err := func() (err error) {
			if every == tendEvery {
				s.change.Lock()
			} else if !s.change.TryLock() {
				more = false
				return nil
			}
			defer s.change.Unlock()
			from, more, err = s.writeOutSome(from, func(e *impliedEvent, n int) bool {
				age := now.UnixNano() - e.row.Changed
				return age >= int64(impliedFor) || age < -int64(impliedFor) || full && n > mostImplied/2
			})
			if err == nil && !more {
				err = s.moveWatermark()
			}
			return err
		}()
		if err != nil {
			return fmt.Errorf("write out deliveries: %w", err)
		}
	}
	return nil
}

// finish writes out everything that is implied.
func (s *Store) finish() error {
	if err := s.writeOutAll(); err != nil {
		return err
	}
	s.change.Lock()
	defer s.change.Unlock()
	return s.moveWatermark()
}

// moveWatermark stores the event from which recovery would begin. It needs Store.change.
func (s *Store) moveWatermark() error {
	x := &s.implied
	x.mu.Lock()
	at := x.newest
	if e := x.oldest(); e != nil {
		at = e.id
	} else {
		at = following(at)
	}
	x.mu.Unlock()
	if bytes.Compare(at[:], s.implied.watermark[:]) <= 0 {
		return nil
	}
	w := writer{b: s.db.NewBatch()}
	defer w.b.Close()
	if w.setWatermark(at); w.err != nil {
		return w.err
	}
	if err := s.apply(w.b, pebble.NoSync); err != nil {
		return err
	}
	s.implied.watermark = at
	return nil
}

func (w *writer) setWatermark(at event.ID) {
	w.k, w.v = []byte{kindMark}, append(w.v[:0], at[:]...)
	w.set()
}

// placeWatermark stores the first watermark, behind the newest event.
func (s *Store) placeWatermark() error {
	newest, err := s.newestEvent()
	if err != nil || newest.IsZero() {
		return err
	}
	return s.write(func(w *writer) { w.setWatermark(following(newest)) })
}

// following returns the next possible id.
func following(id event.ID) event.ID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

// readWatermark returns the event before which every delivery has a row.
func readWatermark(r pebble.Reader) (at event.ID, err error) {
	v, err := getFrom(r, []byte{kindMark})
	if err == nil && v != nil && copy(at[:], v) != len(v) {
		err = fmt.Errorf("watermark: %w", errRow)
	}
	return at, err
}

// eachImplied visits the deliveries that are implied in r.
func eachImplied(r pebble.Reader, visit func(store.DeliveryID, *row) error) (newest event.ID, err error) {
	at, err := readWatermark(r)
	if err != nil {
		return newest, err
	}
	rows, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{kindDelivery}, UpperBound: []byte{kindDelivery + 1}})
	if err != nil {
		return newest, err
	}
	defer rows.Close()
	err = scan(r, eventKey(nil, kindEvent, at.Day(), at), []byte{kindEvent + 1}, func(k, v []byte) (bool, error) {
		if len(k) != lenEventKey {
			return false, errRow
		}
		id := event.ID(k[3:])
		if id.Day() != event.Day(be.Uint16(k[1:])) || bytes.Compare(id[:], at[:]) < 0 { // a copy that a replay carried forward
			return true, nil
		}
		newest = id
		e, err := readEvent(id, v)
		if err != nil || e.at == 0 {
			return true, err
		}
		impl := e.implies()
		for _, dest := range e.To {
			did := store.DeliveryID{Day: id.Day(), Event: id, Dest: dest}
			key := deliveryKey(nil, did)
			if rows.SeekGE(key) && bytes.Equal(rows.Key(), key) {
				continue
			}
			if err := rows.Error(); err != nil {
				return false, err
			}
			if err := visit(did, &impl); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	return newest, err
}

// recoverImplied gives rows to what was implied when the last run ended. A store that
// is open for reading keeps them beside the database, in memory.
func (s *Store) recoverImplied() error {
	beside := s.db.NewIndexedBatch()
	w := writer{b: beside}
	newest, err := eachImplied(s.db, func(id store.DeliveryID, r *row) error {
		w.writePending(id, r)
		return w.err
	})
	if err != nil {
		beside.Close()
		return fmt.Errorf("deliveries of the last events: %w", err)
	}
	if s.opts.ReadOnly {
		s.beside = beside
		return nil
	}
	defer beside.Close()
	if newest.IsZero() {
		s.implied.watermark, err = readWatermark(s.db)
		return err
	}
	s.implied.newest, s.implied.watermark = newest, following(newest)
	if w.setWatermark(s.implied.watermark); w.err != nil {
		return w.err
	}
	return s.apply(beside, pebble.Sync)
}

// view is what deliveries are read from.
func (s *Store) view() pebble.Reader { return s.of(s.db) }

// of returns r. In a store that is open for reading it adds the rows of implied deliveries.
func (s *Store) of(r pebble.Reader) pebble.Reader {
	if s.beside != nil {
		return s.beside
	}
	return r
}
