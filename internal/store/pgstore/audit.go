package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// auditTime bounds one day of a deep audit, which reads all of it.
const auditTime = 10 * time.Minute

// Audit returns the counters of every destination: see store.Log. A deep audit goes by day
// and counts each day and its counters on one snapshot. One snapshot for all days would be
// held for long, and keep the server from removing dead rows.
func (s *Store) Audit(ctx context.Context, deep bool, progress func(int64)) ([]store.AuditRow, error) {
	ds, err := s.Destinations(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return s.audit(ctx, ds, deep, progress)
}

func (s *Store) audit(ctx context.Context, ds []store.Destination, deep bool, progress func(int64)) ([]store.AuditRow, error) {
	rows := make([]store.AuditRow, len(ds))
	if !deep {
		for i, d := range ds {
			rows[i] = store.AuditRow{Dest: d.ID, Counts: s.Counts(d.ID)}
		}
		return rows, nil
	}
	counted, found := deltas{}, deltas{}
	var read int64
	days, err := s.listDays(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	for _, day := range days {
		if err := s.enter(); err != nil {
			return nil, err
		}
		args := []any{int32(day), firstID(day), [16]byte(lastOf(day))}
		bounded, cancel := context.WithTimeout(ctx, auditTime)
		err := query{bounded, s.pool}.each(sqlRecount, args, func(scan func(...any) error) error {
			var dest uint32
			var c, f counts
			err := scan(append(append([]any{unsigned{&dest}}, c.into()[:nAttempts]...), f.into()[:nAttempts]...)...)
			counted.of(0, dest).add(&c)
			found.of(0, dest).add(&f)
			read += f[nAccepted]
			return err
		})
		cancel()
		s.leave()
		if err == nil {
			err = s.interrupted(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("audit %s: %w", day.Start().Format(time.DateOnly), err)
		}
		if read > 0 {
			progress(read)
		}
	}
	for i, d := range ds {
		again := found.of(0, d.ID).export()
		rows[i] = store.AuditRow{Dest: d.ID, Counts: counted.of(0, d.ID).export(), Recounted: &again}
	}
	return rows, nil
}
