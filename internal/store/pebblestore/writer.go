package pebblestore

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// writer fills a batch from the scratch k and v. The first error stays.
type writer struct {
	b    *pebble.Batch
	k, v []byte
	err  error
}

func (w *writer) note(err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
}

func (w *writer) set()          { w.note(w.b.Set(w.k, w.v, nil)) }
func (w *writer) merge()        { w.note(w.b.Merge(w.k, w.v, nil)) }
func (w *writer) delete()       { w.note(w.b.Delete(w.k, nil)) }
func (w *writer) singleDelete() { w.note(w.b.SingleDelete(w.k, nil)) }

func (w *writer) setRow(id store.DeliveryID, r *row) {
	w.k, w.v = deliveryKey(w.k[:0], id), appendRow(w.v[:0], r)
	w.set()
}

func (w *writer) setDue(id store.DeliveryID, r *row) {
	w.k = dueKey(w.k[:0], r.queue(id.Dest), store.Position{Due: r.Due, Event: id.Event, Replay: id.Replay})
	w.v = appendDue(w.v[:0], id.Day, r)
	w.set()
}

// setBody copies the value of a body once, into the batch.
func (w *writer) setBody(day event.Day, id event.ID, v []byte) {
	d := w.b.SetDeferred(lenEventKey, len(v))
	eventKey(d.Key[:0], kindBody, day, id)
	copy(d.Value, v)
	w.note(d.Finish())
}
