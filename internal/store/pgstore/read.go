package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// readTimeout bounds every statement that commits nothing.
const readTimeout = 10 * time.Second

// errRow: the database holds a value that this program has not written.
var errRow = errors.New("unreadable row")

// queryer is a connection, a transaction or the pool.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// query asks one of them, within a deadline.
type query struct {
	ctx context.Context
	on  queryer
}

// each calls row for every row of the answer, with a function that scans it.
func (q query) each(sql string, args []any, row func(scan func(...any) error) error) error {
	rows, err := q.on.Query(q.ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the only row of the answer; store.ErrNotFound if there is none.
func (q query) one(sql string, args []any, to ...any) error {
	found := false
	err := q.each(sql, args, func(scan func(...any) error) error {
		found = true
		return scan(to...)
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return err
}

// read runs f, which only reads. It runs f once more when its connection was dead: after a
// failover the old connections are, and the pool notices only when it uses one.
func (s *Store) read(ctx context.Context, f func(query) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.reading(ctx, f)
}

func (s *Store) reading(ctx context.Context, f func(query) error) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for try := 0; ; try++ {
		err := f(query{ctx, s.pool})
		if err == nil || errors.Is(err, store.ErrNotFound) {
			return err
		}
		if _, answered := refused(err); answered || errors.Is(err, errRow) {
			return err
		}
		if ctx.Err() != nil || try == 2 {
			return s.unanswered(ctx, err)
		}
	}
}

// readingOnce is reading for what takes up to auditTime, and hands on what it reads while it does.
func (s *Store) readingOnce(ctx context.Context, f func(query) error) error {
	ctx, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	err := f(query{ctx, s.pool})
	if _, answered := refused(err); err == nil || answered || errors.Is(err, errRow) {
		return err
	}
	return s.unanswered(ctx, err)
}

// unanswered is what callers are told who asked until ctx ended: whose deadline it was, or that the database is away.
func (s *Store) unanswered(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		s.log.Debug("the database does not answer", "error", err)
		return &store.Unavailable{Reason: "the database does not answer", After: time.Second}
	}
	return fmt.Errorf("ask the database: %w", context.Cause(ctx))
}
