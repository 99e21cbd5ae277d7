package pebblestore

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// family reads all deliveries of an event: those of its own day and those that
// replays made on later ones.
type family struct {
	it   *pebble.Iterator
	days []event.Day // that hold deliveries of earlier days' events, oldest first
}

// openFamily finds the days that hold what replays made. The first delivery of a day is
// enough to tell: older events sort before the day's own.
func openFamily(db pebble.Reader) (*family, error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindDelivery}, UpperBound: []byte{kindDelivery + 1}})
	if err != nil {
		return nil, err
	}
	f := &family{it: it}
	for ok := it.First(); ok; {
		id, good := parseDeliveryKey(it.Key())
		if !good {
			it.Close()
			return nil, errRow
		}
		if id.Event.Day() < id.Day {
			f.days = append(f.days, id.Day)
		}
		ok = it.SeekGE(after(dayKey(nil, kindDelivery, id.Day)))
	}
	if err := it.Error(); err != nil {
		it.Close()
		return nil, err
	}
	return f, nil
}

func (f *family) close() error { return f.it.Close() }

// each calls visit for every delivery of the event, day by day.
func (f *family) each(id event.ID, visit func(store.DeliveryID, *row)) error {
	if err := f.on(id.Day(), id, visit); err != nil {
		return err
	}
	for _, day := range f.days {
		if day > id.Day() {
			if err := f.on(day, id, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *family) on(day event.Day, id event.ID, visit func(store.DeliveryID, *row)) error {
	prefix := eventKey(make([]byte, 0, lenEventKey), kindDelivery, day, id)
	for ok := f.it.SeekGE(prefix); ok && bytes.HasPrefix(f.it.Key(), prefix); ok = f.it.Next() {
		did, good := parseDeliveryKey(f.it.Key())
		v, err := f.it.ValueAndErr()
		if err != nil {
			return err
		}
		r, err := readRow(v)
		if err == nil && !good {
			err = errRow
		}
		if err != nil {
			return fmt.Errorf("read deliveries of %v: %w", id, err)
		}
		visit(did, &r)
	}
	return f.it.Error()
}
