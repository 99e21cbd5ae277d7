package pgstore

import (
	"context"
	"fmt"

	"github.com/seed-51f8da91/fantail/internal/store"
)

var _ store.Swapper = (*Store)(nil)

// Swap stores value under key if what is there is was: see store.Swapper.
func (s *Store) Swap(ctx context.Context, key string, was, value []byte) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	sql, args := sqlSwapValue, []any{[]byte(key), bytesOf(value), was}
	if was == nil {
		sql, args = sqlFirstValue, args[:2]
	}
	err := s.durably(ctx, s.now(), func(c *changes) error {
		tag, err := c.exec(sql, args...)
		if err == nil && tag.RowsAffected() == 0 {
			err = store.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("swap %q: %w", key, err)
	}
	return nil
}
