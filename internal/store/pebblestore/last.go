package pebblestore

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func lastKey(id uint32) []byte { return be.AppendUint32(registryKey(regLast, ""), id) }

func appendLast(b []byte, l *store.Last) []byte {
	b = append(b, rowVersion)
	b = be.AppendUint64(b, uint64(l.Success))
	b = be.AppendUint64(b, uint64(l.Answer.At))
	b = binary.AppendVarint(b, int64(l.Answer.Code))
	for _, t := range [...]string{l.Answer.Class, l.Answer.Text, l.Answer.Fault} {
		b = appendText(b, t)
	}
	b = binary.AppendUvarint(b, uint64(max(l.Failed, 0)))
	b = binary.AppendUvarint(b, l.Settings)
	b = be.AppendUint64(b, uint64(l.Dead.Newest))
	for i, n := range l.Dead.Counts { // mostly none
		if n > 0 {
			b = binary.AppendUvarint(append(b, byte(i)), uint64(n))
		}
	}
	return b
}

func readLast(v []byte) (l store.Last, err error) {
	d := decoder{b: v}
	d.version()
	l.Success, l.Answer.At, l.Answer.Code = d.int64(), d.int64(), int(d.varint())
	for _, t := range [...]*string{&l.Answer.Class, &l.Answer.Text, &l.Answer.Fault} {
		*t = d.text()
	}
	l.Failed, l.Settings, l.Dead.Newest = int(d.uint(1<<31-1)), d.uint(1<<64-1), d.int64()
	if l.Dead.Newest < 0 {
		d.bad = true
	}
	for len(d.b) > 0 && !d.bad {
		i := int(d.byte())
		if i >= len(l.Dead.Counts) {
			d.bad = true
			break
		}
		l.Dead.Counts[i] = uint32(d.uint(1<<32 - 1))
	}
	return l, d.end()
}

// loadLast loads what the last attempts of destinations came to into memory. It leaves out a
// row that cannot be read, because nothing is decided by these rows.
func (s *Store) loadLast() error {
	r := &s.registry
	return scan(s.db, registryKey(regLast, ""), registryKey(regLast+1, ""), func(k, v []byte) (bool, error) {
		if len(k) != 6 {
			return true, nil
		}
		l, err := readLast(v)
		if d, known := r.dests[be.Uint32(k[2:])]; known && err == nil {
			d.Last = l
		}
		return true, nil
	})
}

// SetLast stores what the last attempts of destinations came to: see store.Registry.
func (s *Store) SetLast(_ context.Context, last map[uint32]store.Last) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	return s.setLast(last)
}

// setLast needs registry.mu.
func (s *Store) setLast(last map[uint32]store.Last) error {
	r := &s.registry
	for id := range last {
		if _, known := r.dests[id]; !known {
			return store.ErrNotFound
		}
	}
	if len(last) == 0 {
		return nil
	}
	err := s.write(func(w *writer) {
		for id, l := range last {
			w.k, w.v = lastKey(id), appendLast(w.v[:0], &l)
			w.set()
		}
	})
	if err != nil {
		return fmt.Errorf("store the last answers of destinations: %w", err)
	}
	for id, l := range last {
		r.dests[id].Last = l
	}
	return nil
}

// eraseLast empties the last answers of the developer's destinations, which may
// quote what is erased.
func (s *Store) eraseLast(developer string) error {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	mute := map[uint32]store.Last{}
	for id, d := range s.registry.dests {
		if d.Developer == developer && (d.Last.Answer.Text != "" || d.Last.Answer.Fault != "") {
			l := d.Last
			l.Answer.Text, l.Answer.Fault = "", ""
			mute[id] = l
		}
	}
	return s.setLast(mute)
}
