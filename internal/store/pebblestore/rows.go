package pebblestore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Values begin with the version of their encoding, so that a field can be added
// without rewriting what is stored. Readers trust nothing: a value that does
// not read to its end is errRow, never a panic or a large allocation.
const rowVersion = 1

var errRow = errors.New("unreadable row")

// row is the value of a delivery.
type row struct {
	State    store.State
	Attempts uint16
	Version  uint32
	Round    uint32
	Size     uint32
	Due      int64
	Ordering int64
	Changed  int64
	Settings uint64
	Reason   string

	// first is the only attempt, of what was delivered by it. It lives here until
	// something else happens to the delivery.
	first *store.Attempt
	// implied: it is not stored, see implied.go.
	implied bool
}

// firstVersion is the version of a row that first was made for.
const firstVersion = 1

func (r *row) queue(dest uint32) store.QueueID {
	return store.QueueID{Dest: dest, Settings: r.Settings}
}

func (r *row) item(id store.DeliveryID) store.Item {
	return store.Item{ID: id, Queue: r.queue(id.Dest), Due: r.Due, Ordering: r.Ordering,
		Size: r.Size, Version: r.Version, Attempts: r.Attempts, Round: r.Round}
}

func (r *row) record(id store.DeliveryID) store.DeliveryRecord {
	d := store.DeliveryRecord{ID: id, State: r.State, Reason: r.Reason, Settings: r.Settings,
		Attempts: r.Attempts, Changed: r.Changed}
	if r.State == store.Pending {
		d.Due = r.Due
	}
	return d
}

// shortRow is the version of a delivery's row that stores its times as differences from
// Changed, which mostly are some milliseconds. Rows of rowVersion are read too.
const shortRow = 2

func appendRow(b []byte, r *row) []byte {
	b = append(b, shortRow, byte(r.State))
	b = binary.AppendUvarint(b, uint64(r.Version))
	b = binary.AppendUvarint(b, uint64(r.Attempts))
	b = binary.AppendUvarint(b, uint64(r.Size))
	b = be.AppendUint64(b, uint64(r.Changed))
	b = binary.AppendVarint(b, r.Changed-r.Ordering)
	if r.State == store.Pending { // else both are 0
		b = binary.AppendVarint(b, r.Due-r.Changed)
		b = binary.AppendUvarint(b, r.Settings)
	}
	b = appendText(b, r.Reason)
	if r.first == nil {
		return appendRound(b, r.Round)
	}
	return appendFirst(binary.AppendUvarint(b, uint64(r.Round)), r.first, r.Changed)
}

func readRow(b []byte) (r row, err error) {
	d := decoder{b: b}
	version := d.byte()
	r.State = store.State(d.byte())
	r.Version = uint32(d.uint(1<<32 - 1))
	r.Attempts = uint16(d.uint(1<<16 - 1))
	r.Size = uint32(d.uint(1<<32 - 1))
	switch version {
	case rowVersion:
		r.Due, r.Ordering, r.Changed = d.int64(), d.int64(), d.int64()
		r.Settings = d.uint(1<<64 - 1)
		if r.State != store.Pending {
			r.Due, r.Settings = 0, 0
		}
	case shortRow:
		r.Changed = d.int64()
		r.Ordering = r.Changed - d.varint()
		if r.State == store.Pending {
			r.Due = r.Changed + d.varint()
			r.Settings = d.uint(1<<64 - 1)
		}
	default:
		d.bad = true
	}
	r.Reason = d.text()
	r.Round = d.round()
	if len(d.b) > 0 {
		r.first = d.first(r.Changed)
	}
	if r.State < store.Pending || r.State > store.Cancelled {
		d.bad = true
	}
	return r, d.end()
}

// appendFirst ends a row with its only attempt. The class of that attempt nearly always is
// the one that is stored in a single byte.
func appendFirst(b []byte, a *store.Attempt, changed int64) []byte {
	b = append(b, attemptFlags(a))
	b = binary.AppendVarint(b, changed-a.At)
	b = binary.AppendVarint(b, int64(a.Took))
	b = binary.AppendVarint(b, int64(a.Code))
	if a.Class == classDelivered {
		b = append(b, 1)
	} else {
		b = appendText(append(b, 0), a.Class)
	}
	return appendText(appendText(b, a.Answer), a.Address)
}

const classDelivered = "delivered"

func (d *decoder) first(changed int64) *store.Attempt {
	a := &store.Attempt{Class: classDelivered}
	flags := d.byte()
	a.Counted, a.Requests = flags&1 != 0, int(flags>>1)
	a.At, a.Took, a.Code = changed-d.varint(), time.Duration(d.varint()), int(d.varint())
	if d.byte() == 0 {
		a.Class = d.text()
	}
	a.Answer, a.Address = d.text(), d.text()
	return a
}

// appendDue is the value of the pending index: what an Item needs beyond its key.
func appendDue(b []byte, day event.Day, r *row) []byte {
	b = append(b, rowVersion)
	b = be.AppendUint16(b, uint16(day))
	b = binary.AppendUvarint(b, uint64(r.Version))
	b = binary.AppendUvarint(b, uint64(r.Attempts))
	b = binary.AppendUvarint(b, uint64(r.Size))
	return appendRound(be.AppendUint64(b, uint64(r.Ordering)), r.Round)
}

// appendRound ends a row. Nearly every delivery is of the first round, which takes
// no byte.
func appendRound(b []byte, round uint32) []byte {
	if round == 0 {
		return b
	}
	return binary.AppendUvarint(b, uint64(round))
}

func readDue(k, v []byte) (it store.Item, err error) {
	q, p, ok := parseDueKey(k)
	if !ok {
		return it, errRow
	}
	d := decoder{b: v}
	d.version()
	it = store.Item{Queue: q, Due: p.Due}
	it.ID = store.DeliveryID{Day: event.Day(d.uint16()), Event: p.Event, Dest: q.Dest, Replay: p.Replay}
	it.Version = uint32(d.uint(1<<32 - 1))
	it.Attempts = uint16(d.uint(1<<16 - 1))
	it.Size = uint32(d.uint(1<<32 - 1))
	it.Ordering = d.int64()
	it.Round = d.round()
	return it, d.end()
}

const (
	flagVersioned = 1 << iota
	flagErased
	flagKey
	flagTrace
	flagImplies
)

// eventRow is the value of an event: everything but id and body.
type eventRow struct {
	store.EventRecord
	key *idemHash // of its idempotency key, if it came with one
	at  int64     // acceptance, ns: it implies the deliveries that have no row; 0: it does not
}

// implies returns the row that a delivery without one has.
func (e *eventRow) implies() row {
	return row{State: store.Pending, Version: firstVersion, Size: uint32(e.Size), Due: max(e.at, 0),
		Ordering: e.ordering(), Changed: e.at, implied: true}
}

// ordering is the ordering time as it is stored, ns.
func (e *eventRow) ordering() int64 { return e.Event.Ordering.UnixMicro() * 1000 }

func appendEvent(b []byte, r *eventRow) []byte {
	var flags byte
	if r.Event.Versioned {
		flags |= flagVersioned
	}
	if r.Gone != "" {
		flags |= flagErased
	}
	if r.key != nil {
		flags |= flagKey
	}
	if r.Event.Trace != nil {
		flags |= flagTrace
	}
	if r.at != 0 {
		flags |= flagImplies
	}
	b = append(b, rowVersion, flags)
	if r.key != nil {
		b = append(b, r.key[:]...)
	}
	if t := r.Event.Trace; t != nil {
		b = appendText(appendText(appendText(b, t.Sent.Parent), t.Sent.State), t.Span)
	}
	b = be.AppendUint64(b, uint64(r.Event.Ordering.UnixMicro()))
	if r.at != 0 {
		b = binary.AppendVarint(b, r.at-r.ordering())
	}
	b = binary.AppendUvarint(b, uint64(r.Size))
	for _, t := range [...]string{r.Event.Developer, r.Event.Reference, r.Event.Type, r.Event.Version, r.Event.UserID} {
		b = appendText(b, t)
	}
	b = binary.AppendUvarint(b, uint64(len(r.To)))
	for _, dest := range r.To {
		b = binary.AppendUvarint(b, uint64(dest))
	}
	return b
}

func readEvent(id event.ID, v []byte) (r eventRow, err error) {
	d := decoder{b: v}
	d.version()
	flags := d.byte()
	r.Event.ID = id
	r.Event.Versioned = flags&flagVersioned != 0
	if flags&flagErased != 0 {
		r.Gone = reasonErased
	}
	if flags&flagKey != 0 {
		r.key = new(idemHash)
		copy(r.key[:], d.take(16))
	}
	if flags&flagTrace != 0 {
		r.Event.Trace = &event.Trace{Sent: event.TraceContext{Parent: d.text(), State: d.text()}, Span: d.text()}
	}
	r.Event.Ordering = time.UnixMicro(d.int64()).UTC()
	if flags&flagImplies != 0 {
		r.at = r.ordering() + d.varint()
	}
	r.Size = int(d.uint(1<<32 - 1))
	for _, t := range [...]*string{&r.Event.Developer, &r.Event.Reference, &r.Event.Type, &r.Event.Version, &r.Event.UserID} {
		*t = d.text()
	}
	n := d.uint(uint64(len(d.b)))
	if n > 0 && !d.bad {
		r.To = make([]uint32, n)
		for i := range r.To {
			r.To[i] = uint32(d.uint(1<<32 - 1))
		}
	}
	return r, d.end()
}

func appendAttempt(b []byte, a *store.Attempt) []byte {
	b = append(b, rowVersion, attemptFlags(a))
	b = be.AppendUint64(b, uint64(a.At))
	b = binary.AppendVarint(b, int64(a.Took))
	b = binary.AppendVarint(b, int64(a.Code))
	for _, t := range [...]string{a.Class, a.Answer, a.Address} {
		b = appendText(b, t)
	}
	return b
}

func attemptFlags(a *store.Attempt) byte {
	flags := byte(min(a.Requests, 127)) << 1 // readers before it knew the lowest bit alone
	if a.Counted {
		flags |= 1
	}
	return flags
}

func readAttempt(v []byte) (a store.Attempt, err error) {
	d := decoder{b: v}
	d.version()
	flags := d.byte()
	a.Counted, a.Requests = flags&1 != 0, int(flags>>1)
	a.At, a.Took, a.Code = d.int64(), time.Duration(d.varint()), int(d.varint())
	for _, t := range [...]*string{&a.Class, &a.Answer, &a.Address} {
		*t = d.text()
	}
	return a, d.end()
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decoder reads fields one after the other; the first that does not fit makes
// all later ones zero and end fail.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.b) {
		d.bad = true
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) version() {
	if d.byte() != rowVersion {
		d.bad = true
	}
}

func (d *decoder) byte() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if p := d.take(2); p != nil {
		return be.Uint16(p)
	}
	return 0
}

func (d *decoder) int64() int64 {
	if p := d.take(8); p != nil {
		return int64(be.Uint64(p))
	}
	return 0
}

func (d *decoder) uint(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 || v > most {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// round reads what appendRound wrote.
func (d *decoder) round() uint32 {
	if len(d.b) == 0 {
		return 0
	}
	return uint32(d.uint(1<<32 - 1))
}

func (d *decoder) text() string { return string(d.take(int(d.uint(uint64(len(d.b)))))) }

func (d *decoder) end() error {
	if d.bad || len(d.b) != 0 {
		return errRow
	}
	return nil
}
