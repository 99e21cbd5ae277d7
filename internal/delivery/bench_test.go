package delivery

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// costless is a store that keeps nothing, to measure what the scheduler costs.
type costless struct {
	Store
	settled atomic.Int64
	want    int64
	done    chan struct{}
}

func (c *costless) Queues(context.Context) ([]store.QueueID, error) { return nil, nil }

func (c *costless) Due(context.Context, store.QueueID, store.Position, int64, int) ([]store.Item, int64, error) {
	return nil, 0, nil
}

func (c *costless) Settle(_ context.Context, _ time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	out := make([]store.Settled, len(outcomes))
	for i := range outcomes {
		out[i].State = outcomes[i].State
	}
	if c.settled.Add(int64(len(outcomes))) == c.want {
		close(c.done)
	}
	return out, nil
}

func (c *costless) Counts(uint32) store.Counts { return store.Counts{} }

// noop accepts everything at once.
type noop struct{}

func (noop) Send(context.Context, destination.Delivery) (destination.Receipt, error) {
	return destination.Receipt{Code: 200}, nil
}
func (noop) Close() error { return nil }

// BenchmarkDeliver measures scheduler and worker of one delivery, with a
// destination and a store that cost nothing, fan-out 4.
func BenchmarkDeliver(b *testing.B) {
	const fan = 4
	c := &costless{done: make(chan struct{})}
	s := New(Options{Store: c})
	var ts []Target
	for i := uint32(1); i <= 64; i++ {
		ts = append(ts, Target{
			ID: i, Key: store.DestinationKey{Developer: fmt.Sprint(i / 8), Name: fmt.Sprint(i), Kind: "noop"},
			Current: &Settings{Hash: uint64(i), Destination: noop{}, Timeout: 30 * time.Second, MaxInFlight: 16, Schedule: retry.Exponential(30*time.Second, 3, 8, 0.1)},
		})
	}
	s.Apply(ts)
	if err := s.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	n := (b.N + fan - 1) / fan
	c.want = int64(n * fan)
	body := make([]byte, 2048)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range n {
		now := time.Now()
		e := &event.Event{ID: event.NewID(now, uint16(i), uint64(i)), Body: body}
		items := make([]store.Item, fan)
		for k := range items {
			dest := uint32(1 + (i*fan+k)%64)
			items[k] = store.Item{ID: store.DeliveryID{Day: e.ID.Day(), Event: e.ID, Dest: dest}, Queue: store.QueueID{Dest: dest}, Due: now.UnixNano(), Size: 2048, Version: 1}
		}
		s.Offer(e, items)
		for int64(i*fan)-c.settled.Load() > 2048 { // as a producer would be held back
			time.Sleep(10 * time.Microsecond)
		}
	}
	<-c.done
	b.StopTimer()
	s.Stop(context.Background())
}
