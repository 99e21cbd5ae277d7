package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// lastAnswer is a store.Last as it is stored; text is bytes, as in state.
type lastAnswer struct {
	Success, At        int64
	Code               int
	Class, Text, Fault []byte
	Failed             int
	Settings           uint64
	Hour               int64
	Dead               [24]uint32
}

func appendLast(l *store.Last) []byte {
	a := &l.Answer
	b, _ := json.Marshal(lastAnswer{l.Success, a.At, a.Code, []byte(a.Class), []byte(a.Text), []byte(a.Fault), l.Failed, l.Settings, l.Dead.Newest, l.Dead.Counts})
	return b
}

// readLast reads a row. One that cannot be read counts as missing: nothing is decided by it.
func readLast(b []byte) store.Last {
	var l lastAnswer
	if len(b) == 0 || json.Unmarshal(b, &l) != nil {
		return store.Last{}
	}
	return store.Last{Success: l.Success, Failed: l.Failed, Settings: l.Settings, Dead: store.Hours{Newest: l.Hour, Counts: l.Dead},
		Answer: store.Answer{At: l.At, Class: string(l.Class), Code: l.Code, Text: string(l.Text), Fault: string(l.Fault)}}
}

// sortedIDs is the order in which rows of destinations are taken.
func sortedIDs[T any](m map[uint32]T) []uint32 { return slices.Sorted(maps.Keys(m)) }

// PutSettings stores sealed settings under their hashes, and values, in one commit.
func (s *Store) PutSettings(ctx context.Context, sealed map[uint64][]byte, values map[string][]byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if len(sealed)+len(values) == 0 {
		return nil
	}
	var hashes []int64
	var keys, texts, all [][]byte
	for _, h := range slices.Sorted(maps.Keys(sealed)) {
		hashes, texts = append(hashes, int64(h)), append(texts, bytesOf(sealed[h]))
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		keys, all = append(keys, []byte(k)), append(all, bytesOf(values[k]))
	}
	err := s.durably(ctx, time.Now(), func(c *changes) error {
		_, err := c.exec(sqlPutSettings, hashes, texts)
		if err == nil {
			_, err = c.exec(sqlPutValues, keys, all)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("store settings: %w", err)
	}
	return nil
}

// WithoutSettings returns the hashes that nothing is stored under.
func (s *Store) WithoutSettings(ctx context.Context, hashes []uint64) (without []uint64, err error) {
	asked := make([]int64, len(hashes))
	for i, h := range hashes {
		asked[i] = int64(h)
	}
	stored := map[uint64]bool{}
	err = s.read(ctx, func(q query) error {
		return q.each(sqlUseSettings, []any{asked}, func(scan func(...any) error) error {
			var h uint64
			err := scan(hash{&h})
			stored[h] = true
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("look for settings: %w", err)
	}
	for _, h := range hashes {
		if !stored[h] {
			without = append(without, h)
		}
	}
	return without, nil
}

// Settings returns the sealed settings with that hash or store.ErrNotFound.
func (s *Store) Settings(ctx context.Context, hash uint64) ([]byte, error) {
	return s.value(ctx, "settings", sqlSettings, int64(hash))
}

// CollectSettings removes settings that no pending delivery needs and keep does not name. Beside
// other daemons, whose lists are not known here, it spares what was put or asked for lately.
func (s *Store) CollectSettings(ctx context.Context, keep []uint64) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	hashes := make([]int64, len(keep))
	for i, h := range keep {
		hashes[i] = int64(h)
	}
	removed := 0
	// The lock of changes keeps deliveries from being frozen between the look and the removal.
	err := s.durably(ctx, time.Now(), func(c *changes) error {
		tag, err := c.exec(sqlCollect, hashes, s.owner)
		removed = int(tag.RowsAffected())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("collect settings: %w", err)
	}
	return removed, nil
}

// Put keeps one value of a named subsystem.
func (s *Store) Put(ctx context.Context, key string, value []byte) error {
	return s.put(ctx, fmt.Sprintf("%q", key), sqlPutValues, [][]byte{[]byte(key)}, [][]byte{bytesOf(value)})
}

// Delete removes the value of key; a missing key is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.put(ctx, fmt.Sprintf("%q", key), sqlDropValue, []byte(key))
}

// Get returns the value of key or store.ErrNotFound.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	return s.value(ctx, fmt.Sprintf("%q", key), sqlValue, []byte(key))
}

func (s *Store) value(ctx context.Context, what, sql string, key any) (v []byte, err error) {
	err = s.read(ctx, func(q query) error { return q.one(sql, []any{key}, &v) })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return v, nil
}

// bytesOf never returns nil, which the driver would send as NULL.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
