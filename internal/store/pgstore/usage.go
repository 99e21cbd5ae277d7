package pgstore

import (
	"context"
	"fmt"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Usage tells what was used on which day: see store.Usage.
func (s *Store) Usage(ctx context.Context, q store.UsageQuery, each func(*store.UsageRow)) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if q.Dests != nil && len(q.Dests) == 0 {
		return nil
	}
	until := int64(forever)
	if q.Until != 0 {
		until = int64(q.Until)
	}
	var dests []int32
	for _, d := range q.Dests {
		dests = append(dests, int32(d))
	}
	err := s.readingOnce(ctx, func(ask query) error {
		return ask.each(sqlUsage, []any{int32(q.Since), until, dests}, func(scan func(...any) error) error {
			var at dayDest
			var n counts
			if err := scan(at.into(n.into()...)...); err != nil {
				return err
			}
			each(&store.UsageRow{Day: at.day, Dest: at.dest, Counts: n.export(), Attempts: n[nAttempts], Bytes: n[nSizes]})
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	return nil
}
