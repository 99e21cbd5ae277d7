package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Counts returns the counters of dest: those of a primary that cannot be reached as they were last.
func (p *Primaries) Counts(dest uint32) (n store.Counts) {
	for _, s := range p.open() {
		n = plus(n, s.Counts(dest))
	}
	return n
}

// Ready is nil while Append can work: see store.Keeper. Without the home database nothing can.
func (p *Primaries) Ready() error { return p.home.Ready() }

// Stats returns figures of all databases.
func (p *Primaries) Stats() (sum store.Stats) {
	for _, s := range p.open() {
		one := s.Stats()
		sum.Bytes, sum.Pending = sum.Bytes+one.Bytes, sum.Pending+one.Pending
	}
	return sum
}

// Vitals are figures of this daemon's part in the store: the worst of all databases.
func (p *Primaries) Vitals() store.Vitals {
	v := p.home.Vitals()
	for _, s := range p.open()[1:] {
		one := s.Vitals()
		v.Slots, v.Adopted = v.Slots+one.Slots, v.Adopted+one.Adopted
		v.LeaseAge, v.OldestSnapshot = max(v.LeaseAge, one.LeaseAge), max(v.OldestSnapshot, one.OldestSnapshot)
		if v.Durability == durableStandby || one.Durability == durableNone {
			v.Durability = one.Durability
		}
	}
	return v
}

// Warnings says what somebody should look at although events are accepted.
func (p *Primaries) Warnings() []string {
	all := p.home.Warnings()
	for _, m := range p.more {
		s, err := m.up()
		switch {
		case err != nil:
			all = append(all, fmt.Sprintf("the primary %s of the store cannot be reached: what is pending there stands still, and lists and searches are refused", m.name))
			continue
		case !m.active.Load():
			all = append(all, fmt.Sprintf("no event goes to the primary %s of the store yet: a daemon works that does not know it; add it to the settings of every daemon and restart them one after the other", m.name))
		}
		for _, w := range s.Warnings() {
			all = append(all, "primary "+m.name+": "+w)
		}
	}
	return all
}

// Retain removes what is too old from every database: see store.Keeper. One that cannot be reached
// keeps no other waiting.
func (p *Primaries) Retain(ctx context.Context, now time.Time, r store.Retention, expired func([]store.Moved)) (rep store.RetainReport, err error) {
	gone := map[event.Day]bool{}
	err = p.home.retain(ctx, now, r, expired, gone, &rep)
	for _, m := range p.more {
		s, away := m.up()
		if away == nil {
			away = s.retain(ctx, now, r, expired, gone, &rep)
		}
		if away != nil {
			err = errors.Join(err, fmt.Errorf("primary %s: %w", m.name, away))
		}
	}
	rep.Days = len(gone)
	return rep, err
}

// Erase erases from every database: see store.Keeper. Nothing begins where one cannot be reached.
func (p *Primaries) Erase(ctx context.Context, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (rep store.ErasureReport, err error) {
	all, err := p.each()
	if err != nil {
		return rep, fmt.Errorf("erase: %w", err)
	}
	for i := range all {
		one, err := all[len(all)-1-i].Erase(ctx, now, req, cancelled) // the home database has the trail, and comes last
		rep.Events, rep.Cancelled = rep.Events+one.Events, rep.Cancelled+one.Cancelled
		if err != nil {
			return rep, err
		}
	}
	return rep, nil
}

// CollectSettings removes settings that no pending delivery of any database needs: see
// store.Registry.
func (p *Primaries) CollectSettings(ctx context.Context, keep []uint64) (int, error) {
	all, err := p.each()
	if err != nil {
		return 0, fmt.Errorf("collect settings: %w", err)
	}
	for i, s := range all[1:] {
		if m := p.more[i]; m.misses() { // outcomes that are late may freeze deliveries to anything
			return 0, fmt.Errorf("collect settings: %w", m.unavailable())
		}
		var frozen []uint64
		err := s.read(ctx, func(q query) error {
			frozen = nil
			return q.each(sqlFrozen, nil, func(scan func(...any) error) error {
				var h uint64
				err := scan(hash{&h})
				frozen = append(frozen, h)
				return err
			})
		})
		if err != nil {
			return 0, fmt.Errorf("collect settings: %w", err)
		}
		keep = append(keep[:len(keep):len(keep)], frozen...)
	}
	return p.home.CollectSettings(ctx, keep)
}
