package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var _ copying.Store = (*Store)(nil)

// Export reads the whole store: see copying.Store.
func (s *Store) Export(ctx context.Context, after copying.Place, each func(copying.Record) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if !s.opts.ReadOnly {
		if err := s.writeOutAll(); err != nil {
			return err
		}
	}
	each = copying.Behind(after, each)
	x := exporter{s: s, each: func(r copying.Record) error {
		if err := s.interrupted(ctx); err != nil {
			return err
		}
		return each(r)
	}}
	return copying.Parts{
		copying.KeptPart: x.kept, copying.DestinationPart: x.destinations, copying.SettingsPart: x.settings, copying.ValuePart: x.values,
		copying.DocumentPart: x.documents, copying.ActPart: x.acts, copying.ErasurePart: x.erasures, copying.EventPart: x.events,
		copying.CounterPart: x.counters, copying.KeyPart: x.keys,
	}.After(after)
}

type exporter struct {
	s    *Store
	each func(copying.Record) error
}

func (x *exporter) kept([]byte) error {
	s := x.s
	s.append.mu.Lock()
	newest := s.append.ids.Newest()
	s.append.mu.Unlock()
	s.registry.mu.Lock()
	next := s.registry.next
	s.registry.mu.Unlock()
	return x.each(&copying.Kept{Bodies: event.Day(s.bodies.Load()), Newest: newest, NextDestination: next})
}

func (x *exporter) destinations([]byte) error {
	all, err := x.s.Destinations(context.Background())
	if err != nil {
		return err
	}
	return copying.Destinations(all, x.each)
}

// scan visits the keys that begin with prefix from prefix+key on, with what follows prefix.
func (x *exporter) scan(prefix, key []byte, visit func(rest, v []byte) error) error {
	return scan(x.s.view(), append(bytes.Clone(prefix), key...), after(bytes.Clone(prefix)), func(k, v []byte) (bool, error) {
		return true, visit(k[len(prefix):], v)
	})
}

func (x *exporter) settings(key []byte) error {
	return x.scan([]byte{kindSettings}, key, func(rest, v []byte) error {
		if len(rest) != 8 {
			return fmt.Errorf("settings: %w", errRow)
		}
		return x.each(&copying.Settings{Hash: be.Uint64(rest), Sealed: bytes.Clone(v)})
	})
}

func (x *exporter) values(key []byte) error {
	return x.scan(registryKey(regValue, ""), key, func(rest, v []byte) error {
		if string(rest) == copying.MarkName {
			return nil
		}
		return x.each(&copying.Value{Name: string(rest), Value: bytes.Clone(v)})
	})
}

func (x *exporter) documents(key []byte) error {
	developer, _, _ := bytes.Cut(key, []byte{0})
	return x.scan([]byte{kindDocument, docNewest}, developer, func(rest, v []byte) error {
		from, to := versionsOf(string(rest))
		one := func(v []byte, newest bool) error {
			d, err := readDocument(v)
			if err != nil {
				return err
			}
			return x.each(&copying.Document{Document: d, Newest: newest})
		}
		err := scan(x.s.view(), from, to, func(_, v []byte) (bool, error) { return true, one(v, false) })
		if err != nil {
			return err
		}
		return one(v, true)
	})
}

func (x *exporter) acts(key []byte) error {
	days, err := x.s.days(kindAct)
	for i := 0; i < len(days) && err == nil; i++ {
		err = x.scan(actPrefix(nil, days[i], ""), nil, func(rest, v []byte) error {
			if len(rest) != 8 {
				return fmt.Errorf("acts: %w", errRow)
			}
			if bytes.Compare(rest, key) <= 0 {
				return nil
			}
			n := be.Uint64(rest)
			a, err := readAct(n, v)
			if err != nil {
				return err
			}
			return x.each(&copying.Act{Number: n, Act: a})
		})
	}
	return err
}

func (x *exporter) erasures([]byte) error {
	return x.scan(registryKey(regErasure, ""), nil, func(rest, v []byte) error {
		if len(rest) != 16 {
			return fmt.Errorf("erasures: %w", errRow)
		}
		e := copying.Erasure{At: int64(be.Uint64(rest))}
		d := decoder{b: v}
		d.version()
		e.Developer, e.By = d.text(), d.text()
		copy(e.Who[:], d.take(16))
		e.Events, e.Cancelled = int64(d.uint(1<<62)), int64(d.uint(1<<62))
		if err := d.end(); err != nil {
			return fmt.Errorf("erasures: %w", err)
		}
		return x.each(&e)
	})
}

func (x *exporter) counters([]byte) error {
	var sums map[uint32]*counts
	of := event.Day(0)
	var failed error
	err := x.s.Usage(context.Background(), store.UsageQuery{}, func(u *store.UsageRow) {
		c := copying.Counters{UsageRow: *u}
		if failed == nil && c.Partial { // counted by an earlier program: counted again, from the rows
			if sums == nil || of != u.Day {
				sums, failed = x.s.used(u.Day)
				of = u.Day
			}
			if n := sums[u.Dest]; n != nil {
				c.Attempts, c.Bytes = n[nAttempts], n[nBytes]
			}
			c.Partial = false
		}
		if failed == nil {
			failed = x.each(&c)
		}
	})
	return errors.Join(failed, err)
}

// used counts the attempts and the bytes of a day.
func (s *Store) used(day event.Day) (map[uint32]*counts, error) {
	sums := map[uint32]*counts{}
	of := func(dest uint32) *counts {
		if sums[dest] == nil {
			sums[dest] = new(counts)
		}
		return sums[dest]
	}
	err := scan(s.view(), dayKey(nil, kindDelivery, day), after(dayKey(nil, kindDelivery, day)), func(k, v []byte) (bool, error) {
		id, ok := parseDeliveryKey(k)
		r, err := readRow(v)
		if !ok || err != nil {
			return false, errRow
		}
		of(id.Dest)[nBytes] += int64(r.Size)
		if r.first != nil {
			of(id.Dest)[nAttempts]++
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return sums, scan(s.view(), dayKey(nil, kindAttempt, day), after(dayKey(nil, kindAttempt, day)), func(k, v []byte) (bool, error) {
		id, ok := parseDeliveryKey(k)
		a, err := readAttempt(v)
		if !ok || err != nil {
			return false, errRow
		}
		if a.Class != reasonExpired {
			of(id.Dest)[nAttempts]++
		}
		return true, nil
	})
}

func (x *exporter) keys(key []byte) error {
	return x.scan([]byte{kindIdem}, key, func(rest, v []byte) error {
		f, body, err := readIdem(v)
		if err != nil || len(rest) != 18 {
			return fmt.Errorf("idempotency keys: %w", errRow)
		}
		return x.each(&copying.Key{Day: event.Day(be.Uint16(rest)), Hash: [16]byte(rest[2:]), Body: body, Event: f.id, Fanout: f.fanout, Reference: f.reference})
	})
}

// events goes through the four kinds of rows of each day side by side.
func (x *exporter) events(key []byte) error {
	from, id := copying.DayAndID(key)
	var all []event.Day
	for _, kind := range eventKinds {
		days, err := x.s.days(kind)
		if err != nil {
			return err
		}
		all = append(all, days...)
	}
	slices.Sort(all)
	for _, day := range slices.Compact(all) {
		if day < from {
			continue
		}
		if day > from {
			id = event.ID{}
		}
		if err := x.day(day, id); err != nil {
			return err
		}
	}
	return nil
}

var eventKinds = [...]byte{kindEvent, kindBody, kindDelivery, kindAttempt}

func (x *exporter) day(day event.Day, from event.ID) (err error) {
	var its [len(eventKinds)]*pebble.Iterator
	defer func() {
		for _, it := range its {
			if it != nil {
				err = errors.Join(err, it.Close())
			}
		}
	}()
	for i, kind := range eventKinds {
		its[i], err = x.s.view().NewIter(&pebble.IterOptions{LowerBound: eventKey(nil, kind, day, from), UpperBound: after(dayKey(nil, kind, day))})
		if err != nil {
			return err
		}
		its[i].First()
	}
	for {
		var id event.ID
		some := false
		for _, it := range its {
			if !it.Valid() {
				if err := it.Error(); err != nil {
					return err
				}
				continue
			}
			if len(it.Key()) < lenEventKey {
				return errRow
			}
			if at := event.ID(it.Key()[3:]); !some || bytes.Compare(at[:], id[:]) < 0 {
				id, some = at, true
			}
		}
		if !some {
			return nil
		}
		e := copying.Event{Day: day, ID: id}
		for i, it := range its {
			for ; it.Valid() && bytes.Equal(it.Key()[3:lenEventKey], id[:]); it.Next() {
				v, err := it.ValueAndErr()
				if err == nil {
					err = exportRow(&e, eventKinds[i], it.Key(), v)
				}
				if err != nil {
					return fmt.Errorf("event %v: %w", id, err)
				}
			}
		}
		if err := x.each(&e); err != nil {
			return err
		}
	}
}

// exportRow adds a row to its event. Attempts come after the deliveries, in the same order.
func exportRow(e *copying.Event, kind byte, k, v []byte) error {
	switch kind {
	case kindEvent:
		r, err := readEvent(e.ID, v)
		if err != nil {
			return err
		}
		e.Row = &copying.EventRow{Event: r.Event, Size: r.Size, To: r.To, Erased: r.Gone != ""}
		if r.key != nil {
			e.Row.Key = r.key[:]
		}
		return nil
	case kindBody:
		e.Body = bytes.Clone(v)
		return nil
	}
	id, ok := parseDeliveryKey(k)
	if !ok {
		return errRow
	}
	if kind == kindDelivery {
		r, err := readRow(v)
		if err != nil {
			return err
		}
		d := copying.Delivery{Dest: id.Dest, Replay: id.Replay, State: r.State, Attempts: r.Attempts, Version: r.Version, Round: r.Round, Size: r.Size,
			Due: r.Due, Ordering: r.Ordering, Changed: r.Changed, Settings: r.Settings, Reason: r.Reason}
		if r.first != nil {
			d.Log = []copying.Attempt{{Version: firstVersion, Attempt: *r.first}}
		}
		e.Deliveries = append(e.Deliveries, d)
		return nil
	}
	a, err := readAttempt(v)
	if err != nil || len(k) != lenDeliveryKey+8+4 {
		return errRow
	}
	d := e.Delivery(id.Dest, id.Replay)
	d.Log = append(d.Log, copying.Attempt{Version: be.Uint32(k[lenDeliveryKey+8:]), Attempt: a})
	return nil
}
