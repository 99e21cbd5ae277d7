package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
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
	some    chan struct{} // signalled when something was settled
}

func (c *costless) Queues(context.Context) ([]store.Head, error) { return nil, nil }

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
	signal(c.some)
	return out, nil
}

func (c *costless) Counts(uint32) store.Counts { return store.Counts{} }

func (c *costless) ChangeState(context.Context, uint32, func(*store.DestinationState)) (s store.DestinationState, version uint64, err error) {
	return s, 0, nil
}

func (c *costless) SetLast(context.Context, map[uint32]store.Last) error { return nil }

// cpuTime is what the process has used: other processes do not disturb it much.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// noop accepts everything at once.
type noop struct{}

func (noop) Send(context.Context, destination.Delivery) (destination.Receipt, error) {
	return destination.Receipt{Code: 200}, nil
}
func (noop) Close() error { return nil }

// BenchmarkDeliver measures scheduler and worker of one delivery, with a
// destination and a store that cost nothing, fan-out 4.
func BenchmarkDeliver(b *testing.B) {
	const fan, dests = 4, 640
	c := &costless{done: make(chan struct{}), some: make(chan struct{}, 1)}
	s := New(Options{Store: c})
	var ts []Target
	for i := uint32(1); i <= dests; i++ {
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
	cpu := cpuTime()
	for i := range n {
		now := time.Now()
		e := &event.Event{ID: event.NewID(now, uint16(i), uint64(i)), Body: body}
		items := make([]store.Item, fan)
		for k := range items {
			dest := uint32(1 + (i*fan+k)%dests)
			items[k] = store.Item{ID: store.DeliveryID{Day: e.ID.Day(), Event: e.ID, Dest: dest}, Queue: store.QueueID{Dest: dest}, Due: now.UnixNano(), Size: 2048, Version: 1}
		}
		s.Offer(e, items)
		for int64(i*fan)-c.settled.Load() > 2048 { // as a producer would be held back; far from spilling a queue, which this store would lose
			<-c.some
		}
	}
	<-c.done
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	s.Stop(context.Background())
}

// one is a store in which every queue has one delivery that is due.
type one struct{ costless }

func (o *one) Due(_ context.Context, q store.QueueID, _ store.Position, until int64, _ int) ([]store.Item, int64, error) {
	return []store.Item{{ID: store.DeliveryID{Dest: q.Dest}, Queue: q, Due: 1, Version: 1}}, 1, nil
}

func (o *one) Event(_ context.Context, _ event.Day, id event.ID) (*event.Event, error) {
	return &event.Event{ID: id, Body: []byte("{}")}, nil
}

func (o *one) Settle(_ context.Context, _ time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	out := make([]store.Settled, len(outcomes))
	for i := range outcomes {
		out[i] = store.Settled{State: store.Pending, Item: outcomes[i].Item}
		out[i].Item.Due = 1
	}
	if o.settled.Add(int64(len(outcomes))) == o.want {
		o.done <- struct{}{}
	}
	return out, nil
}

type dead struct{ noop }

func (dead) Send(context.Context, destination.Delivery) (destination.Receipt, error) {
	return destination.Receipt{}, errors.New("connection refused")
}

// BenchmarkDeadDestination measures one look of an open breaker, of 10,000 that
// look once a minute: timer, read, attempt, settle.
func BenchmarkDeadDestination(b *testing.B) {
	const n = 10_000
	o := &one{costless{done: make(chan struct{}, 1)}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := New(Options{Store: o})
	var ts []Target
	plan := retry.Schedule{Waits: make([]time.Duration, 60_000)}
	for i := uint32(1); i <= n; i++ {
		ts = append(ts, Target{ID: i, Key: store.DestinationKey{Developer: fmt.Sprint(i / 8), Name: fmt.Sprint(i), Kind: "dead"},
			Current: &Settings{Hash: uint64(i), Destination: dead{}, Timeout: 30 * time.Second, MaxInFlight: 16, Schedule: plan}})
	}
	s.Apply(ts)
	if err := s.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	s.mu.Lock()
	s.watchdog.running = true // it would read 10,000 queues meanwhile
	for _, d := range s.dests {
		l := d.current
		l.breaker.Open = true
		l.breaker.Pace = policy.Pacer{Wait: policy.BreakerMost, At: s.now().mono + int64(time.Hour)}
		s.queue(store.QueueID{Dest: d.id}).spill(store.Position{})
		s.consider(l, s.now())
	}
	s.mu.Unlock()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportAllocs()
	b.ResetTimer()
	cpu, looks := cpuTime(), 0
	for range b.N {
		o.want = o.settled.Load() + n
		s.mu.Lock()
		s.epoch = s.epoch.Add(-2 * time.Hour)
		s.mu.Unlock()
		s.tick()
		<-o.done
		looks += n
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(looks), "cpu-ns/look")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/destination")
	s.Stop(context.Background())
}
