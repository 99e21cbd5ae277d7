package pebblestore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// What follows kindRegistry in a key.
const (
	regBodies      = 'b' // the first day whose bodies retention has left
	regDestination = 'd' // id: key and state of a destination
	regErasure     = 'e' // time: who had what erased
	regNewest      = 'i' // the newest event id that retention took
	regLast        = 'l' // id: what the last attempts of a destination came to
	regNext        = 'n' // the next destination id
	regPurge       = 'p' // day: something of it was erased, its files are to be rewritten
	regValue       = 'v' // text: values of subsystems
)

func registryKey(kind byte, rest string) []byte {
	return append([]byte{kindRegistry, kind}, rest...)
}

func destinationKey(id uint32) []byte {
	return be.AppendUint32(registryKey(regDestination, ""), id)
}

func settingsKey(hash uint64) []byte { return be.AppendUint64([]byte{kindSettings}, hash) }

// registry is what is kept in memory of the registry on disk. mu also serialises its writes.
type registry struct {
	mu       sync.Mutex
	ids      map[store.DestinationKey]uint32
	dests    map[uint32]*store.Destination
	next     uint32
	settings map[uint64]bool
}

// write makes a batch filled by f durable.
func (s *Store) write(f func(w *writer)) error {
	w := writer{b: s.db.NewBatch()}
	defer w.b.Close()
	if f(&w); w.err != nil {
		return w.err
	}
	mark := s.settled.Load()
	began := time.Now()
	err := s.watch(func() error { return s.apply(w.b, pebble.Sync) })
	if err == nil {
		s.synced(mark)
		if s.opts.OnCommit != nil {
			s.opts.OnCommit(time.Since(began))
		}
	}
	return err
}

func appendDestination(b []byte, d *store.Destination) []byte {
	var flags byte
	if d.State.Paused {
		flags |= 1
	}
	if d.State.Held {
		flags |= 2
	}
	b = append(b, rowVersion, flags)
	for _, t := range [...]string{d.Developer, d.Name, d.Kind, d.State.Reason} {
		b = appendText(b, t)
	}
	b = binary.AppendUvarint(b, d.State.Settings)
	var since int64
	if !d.State.Since.IsZero() {
		since = d.State.Since.UnixNano()
	}
	b = be.AppendUint64(b, uint64(since))
	f := &d.State.Failing
	if f.Attempts == 0 {
		return b
	}
	b = binary.AppendUvarint(b, f.Settings)
	b = be.AppendUint64(b, uint64(f.Since.UnixNano()))
	b = be.AppendUint64(b, uint64(f.Lasted))
	b = binary.AppendUvarint(b, uint64(f.Attempts))
	return binary.AppendUvarint(b, uint64(f.Told))
}

func readDestination(id uint32, v []byte) (store.Destination, error) {
	r := store.Destination{ID: id}
	d := decoder{b: v}
	d.version()
	flags := d.byte()
	r.State.Paused, r.State.Held = flags&1 != 0, flags&2 != 0
	for _, t := range [...]*string{&r.Developer, &r.Name, &r.Kind, &r.State.Reason} {
		*t = d.text()
	}
	r.State.Settings = d.uint(1<<64 - 1)
	if ns := d.int64(); ns != 0 {
		r.State.Since = time.Unix(0, ns).UTC()
	}
	if len(d.b) > 0 { // the destination fails; a row of an older store ends before this field
		f := &r.State.Failing
		f.Settings = d.uint(1<<64 - 1)
		f.Since, f.Lasted = time.Unix(0, d.int64()).UTC(), time.Duration(d.int64())
		f.Attempts, f.Told = int(d.uint(1<<31-1)), int(d.uint(1<<8-1))
	}
	return r, d.end()
}

func (s *Store) loadRegistry() error {
	r := &s.registry
	r.ids, r.dests, r.settings = map[store.DestinationKey]uint32{}, map[uint32]*store.Destination{}, map[uint64]bool{}
	r.next = 1
	err := scan(s.db, registryKey(regDestination, ""), registryKey(regDestination+1, ""), func(k, v []byte) (bool, error) {
		if len(k) != 6 {
			return false, fmt.Errorf("registry: %w", errRow)
		}
		d, err := readDestination(be.Uint32(k[2:]), v)
		if err != nil {
			return false, fmt.Errorf("registry: %w", err)
		}
		r.ids[d.DestinationKey], r.dests[d.ID] = d.ID, &d
		r.next = max(r.next, d.ID+1)
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := s.loadLast(); err != nil {
		return err
	}
	if v, err := s.get(registryKey(regNext, "")); err != nil {
		return err
	} else if len(v) == 4 {
		r.next = max(r.next, be.Uint32(v))
	}
	if v, err := s.get(registryKey(regBodies, "")); err != nil {
		return err
	} else if len(v) == 2 {
		s.bodies.Store(uint32(be.Uint16(v)))
	}
	return scan(s.db, []byte{kindSettings}, []byte{kindSettings + 1}, func(k, v []byte) (bool, error) {
		if len(k) == 9 {
			r.settings[be.Uint64(k[1:])] = true
		}
		return true, nil
	})
}

// Register returns the ids of the destinations: see store.Registry.
func (s *Store) Register(_ context.Context, keys []store.DestinationKey) ([]uint32, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	r := &s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.next
	made := map[store.DestinationKey]uint32{}
	ids := make([]uint32, len(keys))
	for i, k := range keys {
		id, ok := r.ids[k]
		if !ok {
			if id, ok = made[k]; !ok {
				if next == 1<<32-1 {
					return nil, errors.New("register destinations: no ids left")
				}
				id = next
				made[k] = id
				next++
			}
		}
		ids[i] = id
	}
	if len(made) == 0 {
		return ids, nil
	}
	err := s.write(func(w *writer) {
		for k, id := range made {
			w.k, w.v = destinationKey(id), appendDestination(w.v[:0], &store.Destination{ID: id, DestinationKey: k})
			w.set()
		}
		w.k, w.v = registryKey(regNext, ""), be.AppendUint32(nil, next)
		w.set()
	})
	if err != nil {
		return nil, fmt.Errorf("register destinations: %w", err)
	}
	for k, id := range made {
		r.ids[k], r.dests[id] = id, &store.Destination{ID: id, DestinationKey: k}
	}
	r.next = next
	return ids, nil
}

// Destinations lists every destination ever registered, by id.
func (s *Store) Destinations(context.Context) ([]store.Destination, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	r := &s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	ds := make([]store.Destination, 0, len(r.dests))
	for _, d := range r.dests {
		ds = append(ds, *d)
	}
	slices.SortFunc(ds, func(a, b store.Destination) int { return cmp.Compare(a.ID, b.ID) })
	return ds, nil
}

// ChangeState changes the state of a destination: see store.Registry. Versions live in memory: nobody
// else has the store open.
func (s *Store) ChangeState(_ context.Context, id uint32, change func(*store.DestinationState)) (state store.DestinationState, version uint64, err error) {
	if err := s.enter(); err != nil {
		return state, 0, err
	}
	defer s.leave()
	r := &s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.dests[id]
	if !ok {
		return state, 0, store.ErrNotFound
	}
	next := *d
	next.Version++
	change(&next.State)
	err = s.write(func(w *writer) {
		w.k, w.v = destinationKey(id), appendDestination(nil, &next)
		w.set()
	})
	if err != nil {
		return state, 0, fmt.Errorf("store state of destination %d: %w", id, err)
	}
	r.dests[id] = &next
	return next.State, next.Version, nil
}

// PutSettings stores sealed settings and values of subsystems: see store.Registry.
func (s *Store) PutSettings(_ context.Context, sealed map[uint64][]byte, values map[string][]byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	r := &s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	made := make([]uint64, 0, len(sealed))
	for hash := range sealed {
		if !r.settings[hash] {
			made = append(made, hash)
		}
	}
	if len(made)+len(values) == 0 {
		return nil
	}
	err := s.write(func(w *writer) {
		for _, hash := range made {
			w.k, w.v = settingsKey(hash), sealed[hash]
			w.set()
		}
		for key, value := range values {
			w.k, w.v = registryKey(regValue, key), value
			w.set()
		}
	})
	if err != nil {
		return fmt.Errorf("store settings: %w", err)
	}
	for _, hash := range made {
		r.settings[hash] = true
	}
	return nil
}

// WithoutSettings returns those of the hashes that nothing is stored under.
func (s *Store) WithoutSettings(_ context.Context, hashes []uint64) (without []uint64, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	for _, hash := range hashes {
		if !s.registry.settings[hash] {
			without = append(without, hash)
		}
	}
	return without, nil
}

// Settings returns the sealed settings with that hash or store.ErrNotFound.
func (s *Store) Settings(_ context.Context, hash uint64) ([]byte, error) {
	return s.value(settingsKey(hash))
}

func (s *Store) value(key []byte) ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	v, err := s.get(key)
	if err == nil && v == nil {
		err = store.ErrNotFound
	}
	return v, err
}

// CollectSettings removes settings that no pending delivery needs and keep does not name. The
// queues themselves tell which settings are needed.
func (s *Store) CollectSettings(_ context.Context, keep []uint64) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	// Nobody may freeze a delivery to settings between the look and the removal.
	s.change.Lock()
	defer s.change.Unlock()
	unused := make(map[uint64]bool, len(s.registry.settings))
	for h := range s.registry.settings {
		unused[h] = true
	}
	for _, h := range keep {
		delete(unused, h)
	}
	if len(unused) == 0 {
		return 0, nil
	}
	heads, err := s.queues()
	if err != nil {
		return 0, err
	}
	for _, head := range heads {
		delete(unused, head.Queue.Settings)
	}
	if len(unused) == 0 {
		return 0, nil
	}
	err = s.write(func(w *writer) {
		for h := range unused {
			w.k = settingsKey(h)
			w.delete()
		}
	})
	if err != nil {
		return 0, fmt.Errorf("collect settings: %w", err)
	}
	for h := range unused {
		delete(s.registry.settings, h)
	}
	return len(unused), nil
}

// Put keeps one value of a named subsystem.
func (s *Store) Put(_ context.Context, key string, value []byte) error {
	return s.record(key, func(w *writer) { w.v = value; w.set() })
}

// Delete removes the value of key; a missing key is no error.
func (s *Store) Delete(_ context.Context, key string) error {
	return s.record(key, func(w *writer) { w.delete() })
}

func (s *Store) record(key string, f func(w *writer)) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err := s.write(func(w *writer) {
		w.k = registryKey(regValue, key)
		f(w)
	})
	if err != nil {
		return fmt.Errorf("store %q: %w", key, err)
	}
	return nil
}

// Get returns the value of key or store.ErrNotFound.
func (s *Store) Get(_ context.Context, key string) ([]byte, error) {
	return s.value(registryKey(regValue, key))
}
