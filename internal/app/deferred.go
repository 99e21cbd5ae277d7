package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// deferred is a destination that is opened when it is first used: of thousands most
// have nothing to deliver for long, and what is open costs kilobytes.
type deferred struct {
	open      func() (destination.Destination, error)
	checkable bool // or not known

	dest atomic.Pointer[destination.Destination] // nil: not open
	mu   sync.Mutex                              // of opening and closing
}

// deferredBatch is one that delivers in batches.
type deferredBatch struct {
	*deferred
	most int
}

var (
	_ destination.Destination = (*deferred)(nil)
	_ destination.Batcher     = deferredBatch{}
)

// deferredAs returns what stands for dest, which was opened to see that it can be.
func deferredAs(dest destination.Destination, open func() (destination.Destination, error)) destination.Destination {
	d := &deferred{open: open}
	_, d.checkable = dest.(destination.Checker)
	if b, ok := dest.(destination.Batcher); ok {
		return deferredBatch{d, b.MaxBatch()}
	}
	return d
}

// checkable tells whether the kind of an open destination has a check, as far as that is known.
func checkable(dest destination.Destination) bool {
	switch d := dest.(type) {
	case *deferred:
		return d.checkable
	case deferredBatch:
		return d.checkable
	}
	_, can := dest.(destination.Checker)
	return can
}

func (d *deferred) Send(ctx context.Context, x destination.Delivery) (destination.Receipt, error) {
	dest, err := d.opened()
	if err != nil {
		return destination.Receipt{}, destination.Misconfigure(err)
	}
	return dest.Send(ctx, x)
}

func (d deferredBatch) MaxBatch() int { return d.most }

func (d deferredBatch) SendBatch(ctx context.Context, xs []destination.Delivery) []destination.Result {
	all := make([]destination.Result, len(xs))
	dest, err := d.opened()
	if batch, ok := dest.(destination.Batcher); ok {
		return batch.SendBatch(ctx, xs)
	}
	if err == nil {
		err = errors.New("it delivered in batches when it was opened first, and does not now")
	}
	for i := range all {
		all[i].Err = destination.Misconfigure(err)
	}
	return all
}

func (d *deferred) opened() (destination.Destination, error) {
	if dest := d.dest.Load(); dest != nil {
		return *dest, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if dest := d.dest.Load(); dest != nil {
		return *dest, nil
	}
	dest, err := d.open()
	if err == nil {
		d.dest.Store(&dest)
	}
	return dest, err
}

func (d *deferred) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dest := d.dest.Load(); dest != nil {
		return (*dest).Close()
	}
	return nil
}
