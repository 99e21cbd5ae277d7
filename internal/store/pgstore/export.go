package pgstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var _ copying.Store = (*Store)(nil)

// Export reads the whole store: see copying.Store. It has connections of its own, since a statement
// goes on for as long as each does.
func (s *Store) Export(ctx context.Context, after copying.Place, each func(copying.Record) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	each = copying.Behind(after, each)
	x := exporter{s: s, ctx: ctx, each: func(r copying.Record) error {
		if err := s.interrupted(ctx); err != nil {
			return err
		}
		return each(r)
	}}
	for i := range x.links {
		c, err := s.configs.connect(ctx)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		defer c.PgConn().Conn().Close() // a statement that is not read to its end ends with its connection
		x.links[i] = c
	}
	return copying.Parts{
		copying.KeptPart: x.kept, copying.DestinationPart: x.destinations, copying.SettingsPart: x.settings, copying.ValuePart: x.values,
		copying.DocumentPart: x.documents, copying.ActPart: x.acts, copying.ErasurePart: x.erasures, copying.EventPart: x.events,
		copying.CounterPart: x.counters, copying.KeyPart: x.keys,
	}.After(after)
}

type exporter struct {
	s     *Store
	ctx   context.Context
	links [4]*pgx.Conn
	each  func(copying.Record) error
}

func (x *exporter) ask(sql string, row func(scan func(...any) error) error, args ...any) error {
	return query{x.ctx, x.links[0]}.each(sql, args, row)
}

func (x *exporter) kept([]byte) error {
	k := copying.Kept{}
	x.s.groups.mu.Lock()
	k.Newest = x.s.groups.ids.Newest()
	x.s.groups.mu.Unlock()
	err := x.ask(sqlCopyKept, func(scan func(...any) error) error {
		return scan(dayOf{&k.Bodies}, nil, unsigned{&k.NextDestination})
	})
	if err != nil {
		return err
	}
	return x.each(&k)
}

func (x *exporter) destinations([]byte) error {
	all, err := x.s.Destinations(x.ctx)
	if err != nil {
		return err
	}
	return copying.Destinations(all, x.each)
}

// number reads a key of 8 bytes; 0 is the beginning.
func number(key []byte) int64 {
	if len(key) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(key))
}

func (x *exporter) settings(key []byte) error {
	return x.ask(sqlCopySettings, func(scan func(...any) error) error {
		var r copying.Settings
		if err := scan(hash{&r.Hash}, &r.Sealed); err != nil {
			return err
		}
		return x.each(&r)
	}, number(key))
}

func (x *exporter) values(key []byte) error {
	return x.ask(sqlCopyValues, func(scan func(...any) error) error {
		var r copying.Value
		if err := scan(text{&r.Name}, &r.Value); err != nil {
			return err
		}
		return x.each(&r)
	}, bytesOf(key), []byte(copying.MarkName))
}

func (x *exporter) documents(key []byte) error {
	developer, _, _ := bytes.Cut(key, []byte{0})
	return x.ask(sqlCopyDocument, func(scan func(...any) error) (err error) {
		var r copying.Document
		r.Document, err = scanDocument(func(to ...any) error { return scan(append(to, &r.Newest)...) })
		if err != nil {
			return err
		}
		return x.each(&r)
	}, bytesOf(developer))
}

func (x *exporter) acts(key []byte) error {
	return x.ask(sqlCopyActs, func(scan func(...any) error) error {
		at, a, err := scanAct(scan)
		if err != nil {
			return err
		}
		return x.each(&copying.Act{Number: uint64(at), Act: a})
	}, number(key))
}

func (x *exporter) erasures([]byte) error {
	return x.ask(sqlCopyErasures, func(scan func(...any) error) error {
		var e copying.Erasure
		var who []byte
		if err := scan(&e.At, &who, text{&e.Developer}, text{&e.By}, &e.Events, &e.Cancelled); err != nil {
			return err
		}
		copy(e.Who[:], who)
		return x.each(&e)
	})
}

func (x *exporter) counters([]byte) error {
	var failed error
	err := x.s.Usage(x.ctx, store.UsageQuery{}, func(u *store.UsageRow) {
		if failed == nil {
			failed = x.each(&copying.Counters{UsageRow: *u})
		}
	})
	return errors.Join(failed, err)
}

func (x *exporter) keys(key []byte) error {
	day, from := int32(-1), []byte{}
	if len(key) == 18 {
		day, from = int32(binary.BigEndian.Uint16(key)), key[2:]
	}
	return x.ask(sqlCopyKeys, func(scan func(...any) error) error {
		var k copying.Key
		var hash, body []byte
		if err := scan(dayOf{&k.Day}, &hash, &body, (*[16]byte)(&k.Event), &k.Fanout, text{&k.Reference}); err != nil {
			return err
		}
		if copy(k.Hash[:], hash) != len(hash) || copy(k.Body[:], body) != len(body) {
			return errRow
		}
		return x.each(&k)
	}, day, from)
}

// events goes through the tables of each day side by side.
func (x *exporter) events(key []byte) error {
	from, id := copying.DayAndID(key)
	days, err := x.s.freshDays(x.ctx)
	if err != nil {
		return err
	}
	for _, day := range slices.Backward(days) {
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

// table reads the rows of one statement, which come in the order of their events.
type table struct {
	rows pgx.Rows
	scan func(scan func(...any) error) (event.ID, error) // the row that rows stands on
	put  func(*copying.Event)                            // what was scanned, into its event
	at   event.ID
	some bool
}

func (t *table) next() (err error) {
	if t.some = t.rows.Next(); t.some {
		t.at, err = t.scan(t.rows.Scan)
		return err
	}
	return t.rows.Err()
}

func (x *exporter) day(day event.Day, from event.ID) error {
	tables := dayTables()
	for i, sql := range [...]string{sqlCopyEvents, sqlCopyBodies, sqlCopyDeliveries, sqlCopyAttempts} {
		args := []any{int32(day), [16]byte(from)}
		if sql == sqlCopyDeliveries {
			args = append(args, firstID(day), [16]byte(lastOf(day)))
		}
		var err error
		if tables[i].rows, err = x.links[i].Query(x.ctx, sql, args...); err != nil {
			return err
		}
		defer tables[i].rows.Close()
		if err := tables[i].next(); err != nil {
			return err
		}
	}
	for {
		var id event.ID
		some := false
		for i := range tables {
			if t := &tables[i]; t.some && (!some || older(t.at, id)) {
				id, some = t.at, true
			}
		}
		if !some {
			return nil
		}
		e := copying.Event{Day: day, ID: id}
		for i := range tables {
			for t := &tables[i]; t.some && t.at == id; {
				t.put(&e)
				if err := t.next(); err != nil {
					return fmt.Errorf("event %v: %w", id, err)
				}
			}
		}
		if err := x.each(&e); err != nil {
			x.cut() // what is left of the statements is not read
			return err
		}
	}
}

// cut ends the connections.
func (x *exporter) cut() {
	for _, c := range x.links {
		c.PgConn().Conn().Close()
	}
}

// dayTables are events, bodies, deliveries and attempts. Attempts come after the deliveries.
func dayTables() [4]table {
	var known copying.EventRow
	var body []byte
	var id, of store.DeliveryID // of the delivery, of the attempt
	var r row
	var a copying.Attempt
	return [4]table{
		{scan: func(scan func(...any) error) (event.ID, error) {
			e := eventScan{}
			known = copying.EventRow{}
			err := scan(e.into(&known.Key)...)
			if err == nil {
				err = e.finish(0, 0)
			}
			known.Event, known.Size, known.To, known.Erased = e.Event, e.Size, e.To, e.erased
			return e.Event.ID, err
		}, put: func(e *copying.Event) { found := known; e.Row = &found }},
		{scan: func(scan func(...any) error) (id event.ID, err error) {
			body = nil
			err = scan((*[16]byte)(&id), &body)
			return id, err
		}, put: func(e *copying.Event) { e.Body = body }},
		{scan: func(scan func(...any) error) (_ event.ID, err error) {
			id, r, err = scanRow(scan)
			return id.Event, err
		}, put: func(e *copying.Event) {
			d := e.Delivery(id.Dest, id.Replay)
			*d = copying.Delivery{Dest: id.Dest, Replay: id.Replay, State: r.State, Attempts: r.Attempts, Version: r.Version, Round: r.Round, Size: r.Size,
				Due: r.Due, Ordering: r.Ordering, Changed: r.Changed, Settings: r.Settings, Reason: r.Reason}
		}},
		{scan: func(scan func(...any) error) (event.ID, error) {
			var t attemptScanned
			a = copying.Attempt{}
			err := scan(append([]any{(*[16]byte)(&of.Event), unsigned{&of.Dest}, unsigned{&of.Replay}, unsigned{&a.Version}}, t.into()...)...)
			a.Attempt = t.attempt()
			return of.Event, err
		}, put: func(e *copying.Event) {
			d := e.Delivery(of.Dest, of.Replay)
			d.Log = append(d.Log, a)
		}},
	}
}
