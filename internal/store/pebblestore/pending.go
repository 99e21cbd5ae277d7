package pebblestore

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

var errPending = errors.New("being written")

func (s *Store) checkLogs() error { return nil }
func (s *Store) checkpoint(dir string) error {
	return s.db.Checkpoint(dir, pebble.WithFlushedWAL())
}
func (s *Store) Events(ctx context.Context, q store.EventQuery) (store.Page[store.EventRecord], error) {
	return store.Page[store.EventRecord]{}, errPending
}
func (s *Store) Deliveries(ctx context.Context, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
	return store.Page[store.DeliveryRecord]{}, errPending
}
func (s *Store) Audit(ctx context.Context, deep bool, progress func(int64)) ([]store.AuditRow, error) {
	return nil, errPending
}
func (s *Store) Retain(ctx context.Context, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
	return store.RetainReport{}, errPending
}
func (s *Store) Erase(ctx context.Context, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
	return store.ErasureReport{}, errPending
}
func (s *Store) Backup(ctx context.Context, dir string) error { return errPending }
