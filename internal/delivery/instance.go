package delivery

import (
	"reflect"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// instance is an open destination and how many calls use it.
type instance struct {
	to       destination.Destination
	batch    destination.Batcher // nil: one by one
	maxBatch int                 // deliveries of a batch
	calls    int
	retired  bool
}

// open wraps a destination that was handed over.
func open(d destination.Destination) *instance {
	i := &instance{to: d, maxBatch: 1}
	if b, ok := d.(destination.Batcher); ok {
		func() {
			defer func() { _ = recover() }() // then it gets its deliveries one by one
			i.maxBatch = max(1, min(b.MaxBatch(), windowSize))
			i.batch = b
		}()
	}
	return i
}

// same tells whether a and b are one destination; values that cannot be compared are not.
func same(a, b destination.Destination) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// retire lets an instance end its calls and closes it.
func (s *Scheduler) retire(i *instance) {
	if i != nil && !i.retired {
		i.retired = true
		s.closeUnused(i)
	}
}

// closeUnused closes an instance that is retired when its last call has ended.
func (s *Scheduler) closeUnused(i *instance) {
	if i.retired && i.calls == 0 {
		s.work.Go(func() { s.closeDestination(i.to) })
	}
}

func (s *Scheduler) closeDestination(d destination.Destination) {
	defer func() {
		if v := recover(); v != nil {
			s.logPanic(v)
		}
	}()
	if err := d.Close(); err != nil {
		s.log.Warn("closing a destination failed", "error", err)
	}
}
