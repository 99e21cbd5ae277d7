package pebblestore

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Import stores records of another store: see copying.Store. A batch is applied whole, and the log
// keeps the order of batches.
func (s *Store) Import(_ context.Context, records []copying.Record, mark []byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.change.Lock()
	defer s.change.Unlock()
	w := writer{b: s.db.NewBatch()}
	defer w.b.Close()
	for _, r := range records {
		s.importRecord(&w, r)
	}
	w.k, w.v = registryKey(regValue, copying.MarkName), mark
	w.set()
	if w.err != nil {
		return fmt.Errorf("import: %w", w.err)
	}
	if err := s.apply(w.b, pebble.NoSync); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	s.settled.Add(1)
	return nil
}

func (s *Store) importRecord(w *writer, r copying.Record) {
	switch r := r.(type) {
	case *copying.Kept:
		w.k, w.v = registryKey(regBodies, ""), be.AppendUint16(nil, uint16(r.Bodies))
		w.set()
		w.k, w.v = registryKey(regNewest, ""), append([]byte(nil), r.Newest[:]...)
		w.set()
		w.k, w.v = registryKey(regNext, ""), be.AppendUint32(nil, r.NextDestination)
		w.set()
		// Every delivery has a row: none is implied.
		s.implied.watermark = following(r.Newest)
		w.setWatermark(s.implied.watermark)
	case *copying.Destination:
		w.k, w.v = destinationKey(r.ID), appendDestination(nil, &r.Destination)
		w.set()
		if r.Last != (store.Last{}) {
			w.k, w.v = lastKey(r.ID), appendLast(nil, &r.Last)
			w.set()
		}
	case *copying.Settings:
		w.k, w.v = settingsKey(r.Hash), r.Sealed
		w.set()
	case *copying.Value:
		w.k, w.v = registryKey(regValue, r.Name), r.Value
		w.set()
	case *copying.Document:
		if w.k = versionKey(r.Developer, r.Version); r.Newest {
			w.k = documentKey(r.Developer)
		}
		w.v = appendDocument(nil, &r.Document)
		w.set()
	case *copying.Act:
		w.setAct(r.Number, &r.Act)
	case *copying.Erasure:
		w.k = append(be.AppendUint64(registryKey(regErasure, ""), uint64(r.At)), r.Who[:8]...)
		w.v = appendErasure(w.v[:0], r.Developer, r.By, r.Who[:], r.Events, r.Cancelled)
		w.set()
	case *copying.Event:
		w.importEvent(r)
	case *copying.Counters:
		c := counts{r.Counts.Accepted, r.Counts.Delivered, r.Counts.Pending, r.Counts.Dead, r.Counts.Cancelled, r.Counts.PendingBytes, r.Attempts, r.Bytes}
		w.k, w.v = countersKey(nil, r.Day, r.Dest), appendCounts(nil, &c)
		w.set()
	case *copying.Key:
		f := first{id: r.Event, reference: r.Reference, fanout: r.Fanout}
		w.k, w.v = idemKey(nil, r.Day, r.Hash), appendIdem(nil, &f, r.Body)
		w.set()
	default:
		w.note(fmt.Errorf("a record of an unknown kind: %T", r))
	}
}

func appendErasure(b []byte, developer, by string, who []byte, events, cancelled int64) []byte {
	b = append(b, rowVersion)
	b = append(appendText(appendText(b, developer), by), who...)
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(events)), uint64(cancelled))
}

func (w *writer) importEvent(e *copying.Event) {
	if r := e.Row; r != nil {
		row := eventRow{EventRecord: store.EventRecord{Event: r.Event, Size: r.Size, To: r.To}}
		if r.Erased {
			row.Gone = reasonErased
		}
		if r.Key != nil {
			row.key = (*idemHash)(r.Key)
		}
		row.Event.ID = e.ID
		w.k, w.v = eventKey(w.k[:0], kindEvent, e.Day, e.ID), appendEvent(w.v[:0], &row)
		w.set()
		if e.Day == e.ID.Day() {
			w.k, w.v = ownerKey(w.k[:0], e.Day, r.Event.Developer, e.ID), w.v[:0]
			w.set()
		}
		if r.Event.UserID != "" {
			w.k, w.v = userKey(w.k[:0], e.Day, r.Event.Developer, r.Event.UserID, e.ID), w.v[:0]
			w.set()
		}
	}
	if e.Body != nil {
		w.setBody(e.Day, e.ID, e.Body)
	}
	for i := range e.Deliveries {
		w.importDelivery(e.Day, e.ID, &e.Deliveries[i])
	}
}

func (w *writer) importDelivery(day event.Day, id event.ID, d *copying.Delivery) {
	did := store.DeliveryID{Day: day, Event: id, Dest: d.Dest, Replay: d.Replay}
	r := row{State: d.State, Attempts: d.Attempts, Version: d.Version, Round: d.Round, Size: d.Size, Due: d.Due, Ordering: d.Ordering,
		Changed: d.Changed, Settings: d.Settings, Reason: d.Reason}
	log := d.Log
	if r.State == store.Delivered && r.Version == firstVersion+1 && len(log) == 1 && log[0].Version == firstVersion {
		r.first, log = &log[0].Attempt, nil // as Settle would have stored it
	}
	if r.State != 0 {
		w.setRow(did, &r)
		w.k, w.v = stateKey(w.k[:0], did, r.State), w.v[:0]
		w.set()
	}
	if r.State == store.Pending {
		w.setDue(did, &r)
	}
	for i := range log {
		w.k, w.v = attemptKey(w.k[:0], did, log[i].Version, log[i].At), appendAttempt(w.v[:0], &log[i].Attempt)
		w.set()
	}
}

// checkCopy refuses a store that is part of a copy.
func (s *Store) checkCopy() error {
	mark, err := s.get(registryKey(regValue, copying.MarkName))
	if err != nil || s.opts.Copying {
		return err
	}
	return copying.Refuse(mark)
}
