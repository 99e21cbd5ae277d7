package pgstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
)

// actBits is how many low bits of an act's key tell acts of one millisecond apart.
const actBits = 16

// Note keeps acts: see store.Trail.
func (s *Store) Note(ctx context.Context, now time.Time, acts []store.Act) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if len(acts) == 0 {
		return nil
	}
	columns := make([][][]byte, 9)
	keys, numbers := make([]int64, len(acts)), make([]int64, len(acts))
	for i := range acts {
		a := &acts[i]
		for k, t := range [...]string{a.Developer, a.By, a.Via, a.From, a.Call, a.Object, a.Reason, a.Result, a.State} {
			columns[k] = append(columns[k], []byte(t))
		}
		numbers[i] = int64(a.Count)
	}
	err := s.durably(ctx, now, func(c *changes) error {
		// Another daemon that notes something meanwhile would find the same newest one, and what it notes
		// would come before this.
		if err := c.one(sqlLockActs, nil, nil); err != nil {
			return err
		}
		var newest int64
		if err := c.one(sqlNewestAct, nil, &newest); err != nil {
			return err
		}
		at := max(newest+1, max(now.UnixMilli(), 0)<<actBits)
		for i := range keys {
			keys[i] = at + int64(i)
		}
		args := []any{keys}
		for _, c := range columns {
			args = append(args, c)
		}
		_, err := c.exec(sqlPutActs, append(args, numbers)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("note what was done: %w", err)
	}
	return nil
}

func scanAct(scan func(...any) error) (at int64, a store.Act, err error) {
	var n int64
	err = scan(&at, text{&a.Developer}, text{&a.By}, text{&a.Via}, text{&a.From}, text{&a.Call}, text{&a.Object}, text{&a.Reason}, text{&a.Result}, text{&a.State}, &n)
	a.At, a.Count = at>>actBits*int64(time.Millisecond), int(n)
	return at, a, err
}

// Acts lists acts: see store.Trail.
func (s *Store) Acts(ctx context.Context, q store.ActQuery) (page store.Page[store.Act], err error) {
	print := keys.Query("acts", q.Developers, q.By, q.Call, q.Object, q.States)
	at, err := readCursor(print, q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Developers != nil && len(q.Developers) == 0 {
		return page, s.open()
	}
	from, before := actsFrom(q.Since, 0), min(at.replay, actsFrom(q.Until, math.MaxInt64))
	limit := pageLimit(q.Limit)
	args := []any{before, from, texts(q.Developers), []byte(q.By), []byte(q.Call), []byte(q.Object), q.States, limit + 1}
	err = s.read(ctx, func(ask query) error {
		page = store.Page[store.Act]{}
		var last int64
		return ask.each(sqlActs, args, func(scan func(...any) error) error {
			at, a, err := scanAct(scan)
			if len(page.Items) == limit {
				page.Next, page.Back = appendCursor(print, place{replay: last}), time.UnixMilli(last>>actBits).UTC()
				return err
			}
			page.Items, last = append(page.Items, a), at
			return err
		})
	})
	if err != nil {
		return store.Page[store.Act]{}, fmt.Errorf("list acts: %w", err)
	}
	return page, nil
}

// actsFrom is the first key of acts noted at t or later.
func actsFrom(t time.Time, otherwise int64) int64 {
	if t.IsZero() {
		return otherwise
	}
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return min(max(ms, 0), 1<<46) << actBits
}

// eraseActs takes whom an erasure is of out of the acts of their developer, and of those
// that belong to no developer.
func (c *changes) eraseActs(req store.Erasure) error {
	owners := [][]byte{[]byte(req.Developer), {}}
	for before := int64(math.MaxInt64); req.User != "" || req.Whole; {
		named := map[int64]store.Act{}
		read := 0
		args := []any{before, int64(0), owners, []byte{}, []byte{}, []byte{}, false, pieceRows}
		err := c.each(sqlActs, args, func(scan func(...any) error) error {
			at, a, err := scanAct(scan)
			if read, before = read+1, at; a.Lose(req) {
				named[at] = a
			}
			return err
		})
		if err != nil {
			return err
		}
		for at, a := range named {
			if _, err := c.exec(sqlForgetAct, at, []byte(a.Object), []byte(a.Reason)); err != nil {
				return err
			}
		}
		if read < pieceRows {
			break
		}
	}
	return nil
}
