package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Import stores records of another store: see copying.Store. It is one transaction, whose commit
// does not wait for the disk.
func (s *Store) Import(ctx context.Context, records []copying.Record, mark []byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	p := paste{slot: s.changes.slot}
	var days []int32
	for _, r := range records {
		if err := p.add(r); err != nil {
			return fmt.Errorf("import: %w", err)
		}
		if e, ok := r.(*copying.Event); ok {
			days = append(days, int32(e.Day))
		}
	}
	if err := s.days.make(s, days); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	p.finish()
	p.queue(sqlPutValues, [][]byte{[]byte(copying.MarkName)}, [][]byte{mark})
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var id int16
		err := query{ctx, tx}.one(sqlPasteBegin, []any{s.changes.slot, s.owner, s.changes.epoch}, &id, nil)
		if errors.Is(err, store.ErrNotFound) {
			return s.fenced()
		}
		if err != nil {
			return err
		}
		return tx.SendBatch(ctx, &p.batch).Close()
	})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	s.settled.Add(1)
	return nil
}

// paste is what one Import writes.
type paste struct {
	batch pgx.Batch
	slot  int16 // for all but deliveries

	events        pastedEvents
	bodyDays      []int32
	bodyIDs       [][16]byte
	bodies        [][]byte
	pending, done rowColumns
	log           []logged
	counters      deltas
	acts          [9][][]byte
	actKeys       []int64
	actCounts     []int64
	keys          pastedKeys
}

// pastedEvents are rows of event as a statement takes them.
type pastedEvents struct {
	days, sizes, first, fanout, dests []int32
	ids                               [][16]byte
	who, ordering                     []int64
	versioned, erased                 []bool
	texts                             [5][][]byte // developer, type, version, user, reference
	trace, key                        [][]byte
}

type pastedKeys struct {
	hashes, bodies, references [][]byte
	events                     [][16]byte
	days, fanouts              []int32
}

func (p *paste) queue(sql string, args ...any) { p.batch.Queue(sql, args...) }

func (p *paste) add(r copying.Record) error {
	switch r := r.(type) {
	case *copying.Kept:
		p.queue(sqlPasteKept, int32(r.Bodies), [16]byte(r.Newest), int32(r.NextDestination))
	case *copying.Destination:
		h := keys.Hash(r.Developer, r.Name, r.Kind)
		state, last := []byte{}, []byte{}
		if r.State != (store.DestinationState{}) {
			state = appendState(&r.State)
		}
		if r.Last != (store.Last{}) {
			last = appendLast(&r.Last)
		}
		p.queue(sqlPasteDestination, int32(r.ID), h[:16], []byte(r.Developer), []byte(r.Name), []byte(r.Kind), state, last)
	case *copying.Settings:
		p.queue(sqlPutSettings, []int64{int64(r.Hash)}, [][]byte{bytesOf(r.Sealed)})
	case *copying.Value:
		p.queue(sqlPutValues, [][]byte{[]byte(r.Name)}, [][]byte{bytesOf(r.Value)})
	case *copying.Document:
		p.queue(sqlPutDocument, []byte(r.Developer), int64(r.Version), r.At.UnixNano(), []byte(r.By), r.Deleted, bytesOf(r.Text))
	case *copying.Act:
		for i, t := range [...]string{r.Developer, r.By, r.Via, r.From, r.Call, r.Object, r.Reason, r.Result, r.State} {
			p.acts[i] = append(p.acts[i], []byte(t))
		}
		p.actKeys, p.actCounts = append(p.actKeys, int64(r.Number)), append(p.actCounts, int64(r.Count))
	case *copying.Erasure:
		p.queue(sqlPutErasure, r.At, []byte(r.Developer), r.Who[:], []byte(r.By), r.Events, r.Cancelled)
	case *copying.Event:
		return p.event(r)
	case *copying.Counters:
		if p.counters == nil {
			p.counters = deltas{}
		}
		*p.counters.of(r.Day, r.Dest) = counts{r.Counts.Accepted, r.Counts.Delivered, r.Counts.Pending, r.Counts.Dead, r.Counts.Cancelled, r.Counts.PendingBytes, r.Attempts, r.Bytes}
	case *copying.Key:
		k := &p.keys
		k.hashes, k.bodies, k.references = append(k.hashes, r.Hash[:]), append(k.bodies, r.Body[:]), append(k.references, []byte(r.Reference))
		k.events, k.days, k.fanouts = append(k.events, r.Event), append(k.days, int32(r.Day)), append(k.fanouts, int32(r.Fanout))
	default:
		return fmt.Errorf("a record of an unknown kind: %T", r)
	}
	return nil
}

// event adds deliveries in the slots that their destinations' ids name. Nobody has to know which are serial:
// any delivery may lie there, and daemons adopt these slots one by one.
func (p *paste) event(e *copying.Event) error {
	if e.Row != nil {
		if err := p.events.add(e.Day, e.ID, e.Row); err != nil {
			return err
		}
	}
	if e.Body != nil {
		p.bodyDays, p.bodyIDs, p.bodies = append(p.bodyDays, int32(e.Day)), append(p.bodyIDs, e.ID), append(p.bodies, e.Body)
	}
	for i := range e.Deliveries {
		d := &e.Deliveries[i]
		id := store.DeliveryID{Day: e.Day, Event: e.ID, Dest: d.Dest, Replay: d.Replay}
		r := row{State: d.State, Attempts: d.Attempts, Version: d.Version, Round: d.Round, Size: d.Size, Due: d.Due, Ordering: d.Ordering,
			Changed: d.Changed, Settings: d.Settings, Reason: d.Reason, slot: serialSlot(d.Dest)}
		switch r.State {
		case 0:
		case store.Pending:
			p.pending.add(id, &r)
		default:
			p.done.add(id, &r)
		}
		for _, a := range d.Log {
			p.log = append(p.log, logged{id, a.Version, a.Attempt})
		}
	}
	return nil
}

func (t *pastedEvents) add(day event.Day, id event.ID, r *copying.EventRow) error {
	e := &r.Event
	var trace []byte
	if e.Trace != nil {
		var err error
		if trace, err = json.Marshal(e.Trace); err != nil {
			return fmt.Errorf("trace of %v: %w", id, err)
		}
	}
	t.days, t.ids, t.sizes = append(t.days, int32(day)), append(t.ids, id), append(t.sizes, int32(r.Size))
	t.who, t.ordering = append(t.who, who(e.Developer, e.UserID)), append(t.ordering, e.Ordering.UnixNano())
	t.versioned, t.erased = append(t.versioned, e.Versioned), append(t.erased, r.Erased)
	for i, text := range [...]string{e.Developer, e.Type, e.Version, e.UserID, e.Reference} {
		t.texts[i] = append(t.texts[i], []byte(text))
	}
	t.trace, t.key = append(t.trace, trace), append(t.key, r.Key)
	t.first, t.fanout = append(t.first, int32(len(t.dests)+1)), append(t.fanout, int32(len(r.To)))
	for _, dest := range r.To {
		t.dests = append(t.dests, int32(dest))
	}
	return nil
}

// finish turns what was gathered into statements.
func (p *paste) finish() {
	if t := &p.events; len(t.ids) > 0 { // dests of nobody is empty, never NULL
		p.queue(sqlPasteEvents, p.slot, append([]int32{}, t.dests...), t.days, t.ids, t.who, t.ordering, t.sizes, t.versioned, t.erased,
			t.texts[0], t.texts[1], t.texts[2], t.texts[3], t.texts[4], t.trace, t.key, t.first, t.fanout)
	}
	if len(p.bodies) > 0 {
		p.queue(sqlPasteBodies, p.bodyDays, p.bodyIDs, p.bodies)
	}
	if t := &p.pending; len(t.ids) > 0 {
		p.queue(sqlPutPending, t.putPending()...)
	}
	if t := &p.done; len(t.ids) > 0 {
		p.queue(sqlPutDone, t.putDone()...)
	}
	if len(p.log) > 0 {
		p.queue(sqlLog, logColumns(p.log)...)
	}
	if len(p.actKeys) > 0 {
		a := &p.acts
		p.queue(sqlPutActs, p.actKeys, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], p.actCounts)
	}
	if len(p.counters) > 0 {
		p.queue(sqlPasteCounters, append([]any{p.slot}, p.counters.args()...)...)
	}
	if k := &p.keys; len(k.hashes) > 0 {
		p.queue(sqlPasteKeys, k.hashes, k.bodies, k.events, k.days, k.fanouts, k.references)
	}
}

// checkCopy refuses a store that is part of a copy. It comes after the slots were taken: a copy
// first leaves its mark and then looks for daemons.
func (s *Store) checkCopy(ctx context.Context) error {
	if s.opts.Copying {
		return nil
	}
	mark, err := s.value(ctx, "the mark of a copy", sqlValue, []byte(copying.MarkName))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return copying.Refuse(mark)
}
