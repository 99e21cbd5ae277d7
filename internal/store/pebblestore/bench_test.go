package pebblestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// bench opens a store on the real disk: b.TempDir must not be a tmpfs.
func bench(b *testing.B) *Store { return mustOpen(b, b.TempDir(), Options{}) }

// noise is text that does not compress.
func noise(r *rand.Rand, n int) []byte {
	const hex = "0123456789abcdef"
	p := make([]byte, n)
	for i := range p {
		p[i] = hex[r.IntN(16)]
	}
	return p
}

// benchBody is JSON of samples, as most large events are.
func benchBody(r *rand.Rand, n int) []byte {
	p := []byte(`{"type":"sleep","data":[`)
	for i := 0; len(p) < n; i++ {
		p = fmt.Appendf(p, `{"timestamp":"2026-07-01T%02d:%02d:%02d.000000+02:00","bpm":%d},`, i/3600%24, i/60%60, i%60, 40+r.IntN(60))
	}
	return append(p[:n-2], "]}"...)
}

// meter measures what a store costs. disk-B/op are bytes of the log, of flushes and
// of compactions, ops/op the keys that were written or deleted.
type meter struct {
	cpu   time.Duration
	start time.Time
	wrote uint64
	ops   uint64
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (s *Store) written() uint64 {
	m := s.db.Metrics()
	n := m.WAL.BytesWritten
	for i := range m.Levels {
		n += m.Levels[i].TableBytesFlushed + m.Levels[i].TableBytesCompacted + m.Levels[i].BlobBytesFlushed + m.Levels[i].BlobBytesCompacted
	}
	return n
}

func startMeter(b *testing.B, s *Store) *meter {
	b.ResetTimer()
	return &meter{cpu: cpuTime(), start: time.Now(), wrote: s.written(), ops: s.operations(b)}
}

func (m *meter) report(b *testing.B, s *Store) {
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(float64((cpuTime()-m.cpu).Microseconds())/n, "cpu-us/op")
	b.ReportMetric(float64(s.written()-m.wrote)/n, "disk-B/op")
	b.ReportMetric(float64(s.operations(b)-m.ops)/n, "ops/op")
	b.ReportMetric(n/time.Since(m.start).Seconds(), "op/s")
}

// run spreads b.N calls over so many goroutines.
func run(b *testing.B, callers int, f func(r *rand.Rand)) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for left.Add(-1) >= 0 {
				f(r)
			}
		})
	}
	wg.Wait()
}

// benchOne appends e as a producer would: again when it is refused.
func benchOne(b *testing.B, s *Store, e *store.Entry) []store.Item {
	for {
		out, err := s.Append(ctx, time.Now(), []*store.Entry{e})
		var u *store.Unavailable
		if errors.As(err, &u) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err != nil {
			b.Error(err)
			return nil
		}
		return out[0].Items
	}
}

func benchAppend(b *testing.B, callers, size int) {
	s := bench(b)
	bodies := make([][]byte, 4096)
	for i := range bodies {
		bodies[i] = benchBody(rand.New(rand.NewPCG(9, uint64(i))), size)
	}
	m := startMeter(b, s)
	run(b, callers, func(r *rand.Rand) {
		e := entry("acme", "user", "", 1, 2, 3)
		e.Event.Body = bodies[r.IntN(4096)]
		benchOne(b, s, e)
	})
	m.report(b, s)
}

// An event of 2 KiB for three destinations, each call with one event.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []struct {
		name          string
		callers, size int
	}{{"alone", 1, 2 << 10}, {"32", 32, 2 << 10}, {"64", 64, 2 << 10}, {"64KiB", 32, 64 << 10}} {
		b.Run(n.name, func(b *testing.B) { benchAppend(b, n.callers, n.size) })
	}
}

// A delivery's rows from beginning to end: appended by 64 callers, settled by one in
// batches of up to 64. One operation is one event with three deliveries.
func BenchmarkCycle(b *testing.B) {
	for _, n := range []struct {
		name string
		size int
	}{{"2KiB", 2 << 10}, {"64KiB", 64 << 10}} {
		b.Run(n.name, func(b *testing.B) { benchCycle(b, n.size) })
	}
}

func benchCycle(b *testing.B, size int) {
	s := bench(b)
	bodies := make([][]byte, 4096)
	for i := range bodies {
		bodies[i] = benchBody(rand.New(rand.NewPCG(9, uint64(i))), size)
	}
	m := startMeter(b, s)
	todo := make(chan store.Item, 1024)
	var wg sync.WaitGroup
	wg.Go(func() { benchSettle(b, s, todo) })
	run(b, 64, func(r *rand.Rand) {
		e := entry("acme", "user", "", 1, 2, 3)
		e.Event.Body = bodies[r.IntN(4096)]
		for _, it := range benchOne(b, s, e) {
			todo <- it
		}
	})
	close(todo)
	wg.Wait()
	m.report(b, s)
	if c := s.Counts(1); c.Delivered != int64(b.N) || c.Pending != 0 {
		b.Fatalf("after %d events: %+v", b.N, c)
	}
}

func benchSettle(b *testing.B, s *Store, todo <-chan store.Item) {
	var batch []store.Outcome
	flush := func() {
		if _, err := s.Settle(ctx, time.Now(), batch); err != nil {
			b.Error(err)
		}
		batch = batch[:0]
	}
	for it := range todo {
		batch = append(batch, delivered(it))
		if len(batch) == 64 || len(todo) == 0 {
			flush()
		}
	}
	if len(batch) > 0 {
		flush()
	}
}

// Settle alone, on deliveries appended before. One operation is one delivery.
func BenchmarkSettle(b *testing.B) {
	s := bench(b)
	items := make([]store.Item, 0, b.N+3)
	for len(items) < b.N {
		es := make([]*store.Entry, 256)
		for i := range es {
			es[i] = entry("acme", "user", "", 1, 2, 3)
			es[i].Event.Body = make([]byte, 2<<10)
		}
		out, err := s.Append(ctx, time.Now(), es)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range out {
			items = append(items, o.Items...)
		}
	}
	todo := make(chan store.Item, len(items))
	for _, it := range items[:b.N] {
		todo <- it
	}
	close(todo)
	m := startMeter(b, s)
	benchSettle(b, s, todo)
	m.report(b, s)
}
