package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func (m *model) Register(ctx context.Context, keys []store.DestinationKey) ([]uint32, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.commit()
	ids := make([]uint32, len(keys))
	for i, k := range keys {
		at := slices.IndexFunc(m.dests, func(d store.Destination) bool { return d.DestinationKey == k })
		if at < 0 {
			at = len(m.dests)
			m.dests = append(m.dests, store.Destination{ID: uint32(at) + 1, DestinationKey: k})
			m.member.changed(at)
		}
		ids[i] = m.dests[at].ID
	}
	return ids, nil
}

func (m *model) Destinations(ctx context.Context) ([]store.Destination, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return slices.Clone(m.dests), nil
}

func (m *model) ChangeState(ctx context.Context, id uint32, change func(*store.DestinationState)) (s store.DestinationState, version uint64, err error) {
	if err := m.lock(); err != nil {
		return s, 0, err
	}
	defer m.commit()
	if id == 0 || int(id) > len(m.dests) {
		return s, 0, store.ErrNotFound
	}
	d := &m.dests[id-1]
	change(&d.State)
	d.Version++
	m.member.changed(int(id) - 1)
	return d.State, d.Version, nil
}

func (m *model) SetLast(ctx context.Context, last map[uint32]store.Last) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.commit()
	for id := range last {
		if id == 0 || int(id) > len(m.dests) {
			return store.ErrNotFound
		}
	}
	for id, l := range last {
		m.dests[id-1].Last = l
	}
	return nil
}

func (m *model) PutSettings(ctx context.Context, sealed map[uint64][]byte, values map[string][]byte) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.commit()
	for hash, text := range sealed {
		if m.settings[hash] == nil {
			m.settings[hash] = bytes.Clone(text)
		}
	}
	for key, value := range values {
		m.values[key] = bytes.Clone(value)
	}
	return nil
}

func (m *model) WithoutSettings(ctx context.Context, hashes []uint64) (without []uint64, err error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	for _, hash := range hashes {
		if m.settings[hash] == nil {
			without = append(without, hash)
		}
	}
	return without, nil
}

func (m *model) Settings(ctx context.Context, hash uint64) ([]byte, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return find(m.settings, hash)
}

func find[K comparable](values map[K][]byte, key K) ([]byte, error) {
	v, ok := values[key]
	if !ok {
		return nil, store.ErrNotFound
	}
	return bytes.Clone(v), nil
}

func (m *model) CollectSettings(ctx context.Context, keep []uint64) (int, error) {
	if err := m.lock(); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	needed := map[uint64]bool{}
	for _, row := range m.rows {
		needed[row.Queue.Settings] = needed[row.Queue.Settings] || row.state == store.Pending
	}
	before := len(m.settings)
	maps.DeleteFunc(m.settings, func(hash uint64, _ []byte) bool { return !needed[hash] && !slices.Contains(keep, hash) })
	return before - len(m.settings), nil
}

func (m *model) Put(ctx context.Context, key string, value []byte) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.commit()
	m.values[key] = bytes.Clone(value)
	return nil
}

func (m *model) Get(ctx context.Context, key string) ([]byte, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return find(m.values, key)
}

func (m *model) Delete(ctx context.Context, key string) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.commit()
	delete(m.values, key)
	return nil
}

func (m *model) Counts(dest uint32) store.Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count()[dest]
}

func (m *model) Ready() error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.hangs() {
		return &store.Unavailable{Reason: "store stalled", After: time.Second}
	}
	return nil
}

func (m *model) Stats() store.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := store.Stats{Bytes: 1, DiskFree: 1}
	for _, c := range m.count() {
		s.Pending += c.Pending
	}
	return s
}

// Retain takes whole days, as soon as their last instant is too old.
func (m *model) Retain(ctx context.Context, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
	if err := m.lock(); err != nil {
		return store.RetainReport{}, err
	}
	defer m.mu.Unlock()
	var rep store.RetainReport
	old := func(d event.Day, keep time.Duration) bool { return keep > 0 && d < event.DayOf(now.Add(-keep)) }
	rep.Expired = m.end(now, store.Expire, expired, func(id store.DeliveryID) bool { return old(id.Day, r.Events) })
	days := map[event.Day]bool{}
	for id, e := range m.events {
		if old(id.Day(), r.Events) && e.gone == "" {
			e.gone, e.Body, days[id.Day()] = "expired", nil, true
		}
		if old(id.Day(), r.Attempts) {
			delete(m.events, id)
			days[id.Day()] = true
		}
	}
	for at, e := range m.copies {
		if old(at.day, r.Events) && e.gone == "" {
			e.gone, e.Body, days[at.day] = "expired", nil, true
		}
		if old(at.day, r.Attempts) {
			delete(m.copies, at)
		}
	}
	maps.DeleteFunc(m.rows, func(id store.DeliveryID, _ *modelRow) bool { return old(id.Day, r.Attempts) })
	maps.DeleteFunc(m.keys, func(_ modelKey, f modelFirst) bool { return old(f.day, r.Idempotency) })
	m.acts = slices.DeleteFunc(m.acts, func(a store.Act) bool { return old(event.DayOf(time.Unix(0, a.At)), r.Acts) })
	rep.Days = len(days)
	return rep, nil
}

// end changes every pending delivery that is meant, and shows them to seen in chunks.
func (m *model) end(now time.Time, c store.Change, seen func([]store.Moved), meant func(store.DeliveryID) bool) int {
	var all []store.Moved
	for id, row := range m.rows {
		if row.state == store.Pending && meant(id) {
			all = append(all, m.change(now, c, id))
		}
	}
	for chunk := range slices.Chunk(all, 100) {
		if seen != nil {
			m.mu.Unlock()
			seen(chunk)
			m.mu.Lock()
		}
	}
	return len(all)
}

func (m *model) Erase(ctx context.Context, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
	if err := m.lock(); err != nil {
		return store.ErasureReport{}, err
	}
	defer m.mu.Unlock()
	var rep store.ErasureReport
	whose := func(e *modelEvent) bool {
		return e.gone != "erased" && e.Developer == req.Developer && (req.Whole || e.UserID == req.User)
	}
	rep.Cancelled = m.end(now, store.Cancel, cancelled, func(id store.DeliveryID) bool { return whose(m.at(id.Day, id.Event)) })
	erased := map[event.ID]bool{}
	wipe := func(e *modelEvent) {
		if whose(e) {
			erased[e.ID] = true
			e.UserID, e.Reference, e.Trace, e.Body, e.gone = "", "", nil, nil, "erased"
			m.forget(e)
		}
	}
	for _, e := range m.events {
		wipe(e)
	}
	for _, e := range m.copies {
		wipe(e)
	}
	for i := range m.dests {
		if d := &m.dests[i]; d.Developer == req.Developer {
			d.Last.Answer.Text, d.Last.Answer.Fault = "", ""
		}
	}
	for i := range m.acts {
		m.acts[i].Lose(req)
	}
	rep.Events = len(erased)
	m.erasures = append(m.erasures, req)
	return rep, nil
}

// forget empties what the far side said, which may quote the body, and the
// reference that an idempotency key keeps, which may name the user.
func (m *model) forget(e *modelEvent) {
	for k, first := range m.keys {
		if first.ID == e.ID {
			first.Reference = ""
			m.keys[k] = first
		}
	}
	for id, row := range m.rows {
		if id.Event != e.ID {
			continue
		}
		row.reason, _, _ = strings.Cut(row.reason, ": ")
		for i := range row.attempts {
			row.attempts[i].Answer = ""
		}
	}
}

func (m *model) Backup(ctx context.Context, dir string) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if m.backups[dir] != nil {
		return fmt.Errorf("backup to %s: %w", dir, fs.ErrExist)
	}
	m.backups[dir] = m.clone()
	return nil
}

// clone copies m as it stands, open.
func (m *model) clone() *model {
	c := newModel()
	c.accepted, c.newest, c.version = m.accepted, m.newest, m.version
	for id, e := range m.events {
		again := *e
		c.events[id] = &again
	}
	for at, e := range m.copies {
		again := *e
		c.copies[at] = &again
	}
	for id, row := range m.rows {
		again := *row
		again.attempts = slices.Clone(row.attempts)
		c.rows[id] = &again
	}
	c.keys, c.settings, c.values = maps.Clone(m.keys), maps.Clone(m.settings), maps.Clone(m.values)
	for developer, all := range m.docs {
		c.docs[developer] = slices.Clone(all)
	}
	c.dests, c.erasures, c.backups = slices.Clone(m.dests), slices.Clone(m.erasures), m.backups
	c.acts = slices.Clone(m.acts)
	return c
}

func (m *model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
