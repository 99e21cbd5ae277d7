package app

import (
	"context"
	"sync"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// deferred is a destination that is opened when it is needed.
type deferred struct {
	open func() (destination.Destination, error)

	mu   sync.Mutex
	dest destination.Destination // nil: not open
}

var _ destination.Destination = (*deferred)(nil)

func (d *deferred) Send(ctx context.Context, x destination.Delivery) (destination.Receipt, error) {
	dest, err := d.opened()
	if err != nil {
		return destination.Receipt{}, destination.Misconfigure(err)
	}
	return dest.Send(ctx, x)
}

func (d *deferred) opened() (destination.Destination, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dest != nil {
		return d.dest, nil
	}
	var err error
	d.dest, err = d.open()
	return d.dest, err
}

func (d *deferred) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dest == nil {
		return nil
	}
	return d.dest.Close()
}
