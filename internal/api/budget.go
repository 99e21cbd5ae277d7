package api

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// errBusy: there was no room within the time that a request may wait.
var errBusy = errors.New("no room")

// budget is a number of bytes that requests share, first come, first served.
type budget struct {
	mu      sync.Mutex
	size    int64
	free    int64
	waiting list.List // of *waiter
}

type waiter struct {
	n    int64
	room chan struct{} // closed when the bytes are the waiter's
}

// take takes n bytes, waiting for them at most d, behind those who wait already.
// Give them back with give.
func (b *budget) take(ctx context.Context, n int64, d time.Duration) error {
	b.mu.Lock()
	if n <= b.free && b.waiting.Len() == 0 {
		b.free -= n
		b.mu.Unlock()
		return nil
	}
	if n > b.size || d <= 0 {
		b.mu.Unlock()
		return errBusy
	}
	w := &waiter{n, make(chan struct{})}
	place := b.waiting.PushBack(w)
	b.mu.Unlock()

	timer := time.NewTimer(d)
	defer timer.Stop()
	var err error
	select {
	case <-w.room:
		return nil
	case <-timer.C:
		err = errBusy
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.room: // the bytes came while we gave up
		b.free += n
	default:
		b.waiting.Remove(place)
	}
	b.serve() // whoever stood behind may fit
	return err
}

// give returns n bytes.
func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	b.serve()
}

// serve hands out what is free, in order: a large request is not passed by
// smaller ones for ever.
func (b *budget) serve() {
	for first := b.waiting.Front(); first != nil; first = b.waiting.Front() {
		w := first.Value.(*waiter)
		if w.n > b.free {
			return
		}
		b.free -= w.n
		b.waiting.Remove(first)
		close(w.room)
	}
}
