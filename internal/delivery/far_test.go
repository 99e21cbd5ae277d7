package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// hit is one attempt as the far side saw it.
type hit struct {
	at      time.Duration // since the rig began
	id      string
	attempt int
	name    string // of the instance
}

// farSays is what a far side answers to what it refuses. People read of a hold, or of
// a death, what the kind says of it instead.
const farSays = "<Error>no</Error>"

// far is a destination whose answers a test decides.
type far struct {
	name   string
	rig    *rig
	answer func(ctx context.Context, d destination.Delivery) error // nil: accepts
	// unguarded is what receipts say.
	unguarded int

	mu      sync.Mutex
	hits    []hit
	open    int // Sends running
	most    int
	closed  int
	overlap map[string]int
	twice   []string // deliveries that were tried twice at once
}

func (f *far) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	f.mu.Lock()
	f.hits = append(f.hits, hit{f.rig.since(), d.ID, d.Attempt, f.name})
	f.open++
	f.most = max(f.most, f.open)
	if f.overlap == nil {
		f.overlap = make(map[string]int)
	}
	if f.overlap[d.ID]++; f.overlap[d.ID] > 1 {
		f.twice = append(f.twice, d.ID)
	}
	if f.closed > 0 {
		f.rig.t.Errorf("%s: Send after Close", f.name)
	}
	answer := f.answer
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.open--
		f.overlap[d.ID]--
		f.mu.Unlock()
	}()
	if answer == nil {
		return destination.Receipt{Code: 200, Unguarded: f.unguarded}, nil
	}
	err := answer(ctx, d)
	if err != nil {
		return destination.Receipt{Code: 200, Answer: farSays, Unguarded: f.unguarded}, err
	}
	return destination.Receipt{Code: 200, Unguarded: f.unguarded}, nil
}

func (f *far) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open > 0 {
		f.rig.t.Errorf("%s: Close while %d Sends run", f.name, f.open)
	}
	f.closed++
	return nil
}

func (f *far) set(answer func(context.Context, destination.Delivery) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *far) seen() []hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]hit(nil), f.hits...)
}

func (f *far) closes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

func (f *far) peak() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most
}

func (f *far) doubled() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.twice...)
}

func (f *far) running() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

func hang(ctx context.Context, _ destination.Delivery) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func fails(context.Context, destination.Delivery) error { return errors.New("503") }

func takes(d time.Duration) func(context.Context, destination.Delivery) error {
	return func(ctx context.Context, _ destination.Delivery) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
