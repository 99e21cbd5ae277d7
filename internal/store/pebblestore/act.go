package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// An act is stored twice: among all acts of its day, and, when it is about a developer,
// among that developer's, so that one tenant's trail is read without everybody else's.
// The key ends in milliseconds<<16 and a number within the millisecond. The ids of events
// begin in the same way, so that one walk reads both.
//
//	h day 0 time          act
//	h day 1 hash time     the same act, by hash(developer)
const (
	actsOfAll       = 0
	actsOfDeveloper = 1
)

type acts struct {
	mu    sync.Mutex
	last  uint64       // the time of the newest act
	write sync.RWMutex // held for reading while acts are written, and by an erasure
}

func actPrefix(b []byte, day event.Day, developer string) []byte {
	b = dayKey(b, kindAct, day)
	if developer == "" {
		return append(b, actsOfAll)
	}
	h := keys.Hash(developer)
	return append(append(b, actsOfDeveloper), h[:8]...)
}

func actKey(b []byte, at uint64, developer string) []byte {
	return be.AppendUint64(actPrefix(b, event.DayOf(time.UnixMilli(int64(at>>16))), developer), at)
}

func appendAct(b []byte, a *store.Act) []byte {
	b = append(b, rowVersion)
	for _, t := range [...]string{a.By, a.Via, a.From, a.Call, a.Developer, a.Object, a.Reason, a.Result, a.State} {
		b = appendText(b, t)
	}
	return binary.AppendUvarint(b, uint64(max(a.Count, 0)))
}

func readAct(at uint64, v []byte) (a store.Act, err error) {
	d := decoder{b: v}
	d.version()
	for _, t := range [...]*string{&a.By, &a.Via, &a.From, &a.Call, &a.Developer, &a.Object, &a.Reason, &a.Result, &a.State} {
		*t = d.text()
	}
	a.Count = int(d.uint(1<<31 - 1))
	a.At = int64(at>>16) * int64(time.Millisecond)
	return a, d.end()
}

// loadActs finds the newest act, so that later ones do not run backward.
func (s *Store) loadActs() error {
	days, err := s.days(kindAct)
	if err != nil || len(days) == 0 {
		return err
	}
	prefix := actPrefix(nil, days[len(days)-1], "")
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(bytes.Clone(prefix))})
	if err != nil {
		return err
	}
	if it.Last() && len(it.Key()) == len(prefix)+8 {
		s.acts.last = be.Uint64(it.Key()[len(prefix):])
	}
	return it.Close()
}

// Note keeps acts: see store.Trail.
func (s *Store) Note(_ context.Context, now time.Time, all []store.Act) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if len(all) == 0 {
		return nil
	}
	s.acts.write.RLock()
	defer s.acts.write.RUnlock()
	s.acts.mu.Lock()
	at := max(s.acts.last+1, uint64(max(now.UnixMilli(), 0))<<16)
	s.acts.last = at + uint64(len(all)-1)
	s.acts.mu.Unlock()
	err := s.write(func(w *writer) {
		for i := range all {
			w.setAct(at, &all[i])
			at++
		}
	})
	if err != nil {
		return fmt.Errorf("note what was done: %w", err)
	}
	return nil
}

func (w *writer) setAct(at uint64, a *store.Act) {
	w.k, w.v = actKey(w.k[:0], at, ""), appendAct(w.v[:0], a)
	w.set()
	if a.Developer != "" {
		w.k = actKey(w.k[:0], at, a.Developer)
		w.set()
	}
}

// Acts lists acts: see store.Trail.
func (s *Store) Acts(_ context.Context, q store.ActQuery) (store.Page[store.Act], error) {
	var page store.Page[store.Act]
	if err := s.enter(); err != nil {
		return page, err
	}
	defer s.leave()
	print := keys.Query("acts", q.Developers, q.By, q.Call, q.Object, q.States)
	from, err := readCursor(print, q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Developers != nil && len(q.Developers) == 0 {
		return page, nil
	}
	ranges := 1
	prefix := func(b []byte, day event.Day, _ int) []byte { return actPrefix(b, day, "") }
	if n := len(q.Developers); n > 0 && n <= mostRanges {
		ranges, prefix = n, func(b []byte, day event.Day, i int) []byte { return actPrefix(b, day, q.Developers[i]) }
	}
	w := walk{from: from, since: q.Since, until: q.Until, source: source{kind: kindAct, ranges: ranges, prefix: prefix,
		place: func(_ int, tail []byte) (p place, ok bool) { return p, copy(p[:], tail) == 8 && len(tail) == 8 },
		below: func(b []byte, _ int, p place) []byte { return append(b, p[:8]...) },
	}}
	limit, full, last := pageLimit(q.Limit), position{}, place{}
	stopped, more, err := w.run(s, s.db, func(day event.Day, p place, it *pebble.Iterator) (bool, error) {
		if p == last { // a developer named twice
			return true, nil
		}
		last = p
		at := be.Uint64(p[:])
		v, err := it.ValueAndErr()
		if ranges > 1 { // the iterator stands elsewhere
			s.asked.Add(1)
			v, err = s.get(actKey(nil, at, ""))
		}
		if err != nil {
			return false, err
		}
		a, err := readAct(at, v)
		if err != nil {
			return false, err
		}
		if !wantsAct(&q, &a) {
			return true, nil
		}
		if len(page.Items) == limit {
			return false, nil
		}
		page.Items = append(page.Items, a)
		full = position{day, p}
		return true, nil
	})
	if err != nil {
		return page, fmt.Errorf("list acts: %w", err)
	}
	if more {
		if len(page.Items) == limit {
			stopped = full
		}
		page.Next, page.Back = appendCursor(print, stopped), back(stopped)
	}
	return page, nil
}

func wantsAct(q *store.ActQuery, a *store.Act) bool {
	return (len(q.Developers) == 0 || slices.Contains(q.Developers, a.Developer)) &&
		(q.By == "" || q.By == a.By) && (q.Call == "" || q.Call == a.Call) && (q.Object == "" || q.Object == a.Object) &&
		(!q.States || a.State != "")
}

// retainActs removes the acts of every day before kept.
func (s *Store) retainActs(kept event.Day) error {
	return s.dropDays([]byte{kindAct}, kept, nil, nil)
}

// eraseActs takes the name of a user, or of all users, out of the acts of their developer and
// out of those that belong to no developer: see store.Act.Lose. The files that hold the name
// are rewritten in the background.
func (s *Store) eraseActs(ctx context.Context, req store.Erasure) error {
	s.acts.write.Lock() // after it, acts that were being written are there
	days, err := s.days(kindAct)
	s.acts.write.Unlock()
	for i := 0; i < len(days) && err == nil; i++ {
		if err = s.eraseActsOf(days[i], req); err == nil {
			err = s.interrupted(ctx)
		}
	}
	return err
}

func (s *Store) eraseActsOf(day event.Day, req store.Erasure) error {
	s.acts.write.Lock()
	defer s.acts.write.Unlock()
	prefix := actPrefix(nil, day, "")
	end := after(bytes.Clone(prefix))
	for from := prefix; from != nil; {
		named, next := map[uint64]store.Act{}, []byte(nil)
		err := scan(s.db, from, end, func(k, v []byte) (bool, error) {
			if len(k) != len(prefix)+8 {
				return false, errRow
			}
			at := be.Uint64(k[len(prefix):])
			a, err := readAct(at, v)
			if err != nil {
				return false, err
			}
			if a.Lose(req) {
				named[at] = a
			}
			if len(named) == eraseChunk {
				next = append(bytes.Clone(k), 0)
			}
			return next == nil, nil
		})
		if err != nil {
			return err
		}
		if from = next; len(named) == 0 {
			continue
		}
		err = s.write(func(w *writer) {
			for at, a := range named {
				w.setAct(at, &a)
			}
			w.k, w.v = append(registryKey(regPurge, ""), dayKey(nil, 0, day)[1:]...), w.v[:0]
			w.set()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
