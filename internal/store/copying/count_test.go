package copying

import "context"

// Count reads a whole store, and says what it has.
func Count(ctx context.Context, s Store) (p Progress, err error) {
	err = s.Export(ctx, Place{}, func(r Record) error {
		p.count(r)
		return nil
	})
	return p, err
}
