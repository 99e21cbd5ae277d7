package pebblestore

import (
	"bytes"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	walkTime  = 30 * time.Millisecond // what one page may take, of the 50 that are promised
	walkRows  = 100_000               // or read
	readAhead = 16                    // rows of each range, when several are merged
)

// place is where a row stands in its day: event, destination, replay. Its bytes
// sort as rows do.
type place [24]byte

var lastPlace = place(bytes.Repeat([]byte{0xff}, 24))

func placeOf(e event.ID, dest, replay uint32) (p place) {
	copy(p[:], e[:])
	be.PutUint32(p[16:], dest)
	be.PutUint32(p[20:], replay)
	return p
}

// placeAt is the place before every event accepted at t or later.
func placeAt(t time.Time) (p place) {
	ms := t.Add(time.Millisecond - 1).UnixMilli() // ids know milliseconds: round up
	be.PutUint64(p[:], uint64(min(max(ms, 0), 1<<48-1))<<16)
	return p
}

func (p place) event() event.ID { return event.ID(p[:16]) }

func (p place) delivery(day event.Day) store.DeliveryID {
	return store.DeliveryID{Day: day, Event: p.event(), Dest: be.Uint32(p[16:]), Replay: be.Uint32(p[20:])}
}

// source is a set of key ranges of one kind, each sorted by place within its
// day, that are read together as one list.
type source struct {
	kind   byte
	ranges int
	prefix func(b []byte, day event.Day, i int) []byte
	// place reads what follows the prefix of range i; below appends the first
	// tail of range i that is not before p.
	place func(i int, tail []byte) (place, bool)
	below func(b []byte, i int, p place) []byte
}

// walk visits rows newest first.
type walk struct {
	source
	from         position // only what stands before it
	since, until time.Time
}

type position struct {
	day event.Day
	at  place
}

var newest = position{math.MaxUint16, lastPlace}

// run calls visit for each row until it returns false, the budget is spent or
// nothing is left. It returns where it stopped, and whether rows may follow.
func (w *walk) run(s *Store, db pebble.Reader, visit func(day event.Day, p place, it *pebble.Iterator) (bool, error)) (position, bool, error) {
	lowest, firstDay := place{}, event.Day(0)
	if !w.since.IsZero() {
		lowest = placeAt(w.since)
		firstDay = event.Day(min(max(w.since.Unix()/86400, 0), math.MaxUint16))
	}
	highest := lastPlace
	if !w.until.IsZero() {
		highest = placeAt(w.until)
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: dayKey(nil, w.kind, firstDay), UpperBound: []byte{w.kind + 1}})
	if err != nil {
		return position{}, false, err
	}
	defer func() {
		s.countRows(it)
		it.Close()
	}()
	end := budget{start: time.Now()}
	rs := make([]ahead, w.ranges)
	var key, prefix []byte
	// fill reads on in range i, from its last row before p.
	fill := func(day event.Day, i int, p place) error {
		r := &rs[i]
		r.next, r.end = r.next[:0], false
		prefix = w.prefix(prefix[:0], day, i)
		key = w.below(append(key[:0], prefix...), i, p)
		for ok := it.SeekLT(key); ; ok = it.Prev() {
			if !ok || !bytes.HasPrefix(it.Key(), prefix) {
				r.end = true
				return it.Error()
			}
			p, ok := w.place(i, it.Key()[len(prefix):])
			if !ok {
				return errRow
			}
			if bytes.Compare(p[:], lowest[:]) < 0 {
				r.end = true
				return nil
			}
			// A single range is not read ahead: the iterator stays on the row, whose value is wanted too.
			if r.next = append(r.next, p); len(r.next) == readAhead || w.ranges == 1 {
				return nil
			}
		}
	}
	for pos := w.from; ; {
		// The day to read is the newest one that has anything.
		upper := []byte{w.kind + 1}
		if pos.day < math.MaxUint16 {
			upper = dayKey(nil, w.kind, pos.day+1)
		}
		if !it.SeekLT(upper) || len(it.Key()) < 3 {
			return position{}, false, it.Error()
		}
		if day := event.Day(be.Uint16(it.Key()[1:])); day != pos.day {
			pos = position{day, lastPlace}
		}
		if bytes.Compare(pos.at[:], highest[:]) > 0 {
			pos.at = highest
		}
		for i := range w.ranges {
			if err := fill(pos.day, i, pos.at); err != nil {
				return position{}, false, err
			}
		}
		for {
			i := newestOf(rs)
			if i < 0 {
				break
			}
			p := rs[i].next[0]
			more, err := visit(pos.day, p, it)
			if err != nil || !more {
				return pos, true, err
			}
			pos.at = p
			if rs[i].next = rs[i].next[1:]; len(rs[i].next) == 0 && !rs[i].end {
				if w.ranges > 1 {
					err = fill(pos.day, i, p)
				} else {
					err = w.step(it, &rs[0], len(prefix), lowest)
				}
				if err != nil {
					return position{}, false, err
				}
			}
			if end.spent() {
				return pos, true, nil
			}
		}
		if err := it.Error(); err != nil {
			return position{}, false, err
		}
		if pos.day <= firstDay {
			return position{}, false, nil
		}
		pos = position{pos.day - 1, lastPlace}
		if end.spent() {
			return pos, true, nil
		}
	}
}

// ahead is what was read of one range and not visited yet.
type ahead struct {
	next []place
	end  bool // nothing follows
}

// step moves the only range to its next row.
func (w *walk) step(it *pebble.Iterator, r *ahead, prefix int, lowest place) error {
	before := bytes.Clone(it.Key()[:prefix])
	r.next = r.next[:0]
	if !it.Prev() || !bytes.HasPrefix(it.Key(), before) {
		r.end = true
		return it.Error()
	}
	p, ok := w.place(0, it.Key()[prefix:])
	if !ok {
		return errRow
	}
	if r.end = bytes.Compare(p[:], lowest[:]) < 0; !r.end {
		r.next = append(r.next, p)
	}
	return nil
}

// newestOf returns the range whose next row comes first in the list, -1 if none has any.
func newestOf(rs []ahead) int {
	best := -1
	for i := range rs {
		if len(rs[i].next) > 0 && (best < 0 || bytes.Compare(rs[i].next[0][:], rs[best].next[0][:]) > 0) {
			best = i
		}
	}
	return best
}

// budget ends a walk; the clock is asked now and then only.
type budget struct {
	start time.Time
	rows  int
}

func (b *budget) spent() bool {
	b.rows++
	return b.rows >= walkRows || b.rows%8 == 0 && time.Since(b.start) >= walkTime
}

// byEvent reads tails that are an event id alone.
func byEvent(kind byte, ranges int, prefix func(b []byte, day event.Day, i int) []byte) source {
	return source{kind: kind, ranges: ranges, prefix: prefix,
		place: func(_ int, tail []byte) (p place, ok bool) {
			return placeOf(event.ID(tail[:min(len(tail), 16)]), 0, 0), len(tail) == 16
		},
		below: func(b []byte, _ int, p place) []byte { return append(b, p[:16]...) },
	}
}

// wholeDay reads every row of kind.
func wholeDay(kind byte) func(b []byte, day event.Day, i int) []byte {
	return func(b []byte, day event.Day, _ int) []byte { return dayKey(b, kind, day) }
}

// allDeliveries reads the deliveries themselves.
func allDeliveries() source {
	return source{kind: kindDelivery, ranges: 1, prefix: wholeDay(kindDelivery),
		place: func(_ int, tail []byte) (p place, ok bool) {
			return p, copy(p[:], tail) == len(p) && len(tail) == len(p)
		},
		below: func(b []byte, _ int, p place) []byte { return append(b, p[:]...) },
	}
}

type destState struct {
	dest  uint32
	state store.State
}

// byState reads the index of deliveries by destination and state.
func byState(of []destState) source {
	return source{kind: kindState, ranges: len(of),
		prefix: func(b []byte, day event.Day, i int) []byte { return statePrefix(b, day, of[i].dest, of[i].state) },
		place: func(i int, tail []byte) (place, bool) {
			if len(tail) != 20 {
				return place{}, false
			}
			return placeOf(event.ID(tail[:16]), of[i].dest, be.Uint32(tail[16:])), true
		},
		below: func(b []byte, i int, p place) []byte {
			b = append(b, p[:16]...)
			switch dest := be.Uint32(p[16:]); {
			case of[i].dest < dest: // every replay of that event stands before p
				return append(b, 0xff, 0xff, 0xff, 0xff, 0)
			case of[i].dest > dest:
				return append(b, 0, 0, 0, 0)
			}
			return append(b, p[20:]...)
		},
	}
}
