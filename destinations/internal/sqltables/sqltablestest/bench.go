package sqltablestest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// InFlight is how many attempts run at a time in benchmarks.
const InFlight = 16

// Forgetful is a payload store that costs nothing.
type Forgetful struct{}

func (Forgetful) Put(context.Context, string, event.Payload) error { return nil }
func (Forgetful) Link(_ context.Context, _, id string, ttl time.Duration) (destination.Link, error) {
	return destination.Link{URL: LinkTo(id), Expires: time.Now().Add(ttl)}, nil
}

// LinkTo is as long as a presigned URL is.
func LinkTo(id string) string {
	return "https://payloads.example/2026-07-01/acme/" + id + ".json?X-Amz-Signature=" + strings.Repeat("0123456789abcdef", 24)
}

// Deliveries returns a source of deliveries of 2 KiB, of a thousand users, no two
// of one id.
func Deliveries(b *testing.B) (next func() destination.Delivery) {
	bodies := make([]destination.Delivery, 1000)
	for i := range bodies {
		bodies[i] = destinationtest.Delivery(b, i, fmt.Appendf(nil, `{"type":"daily","version":"2022-03-16","user":{"user_id":"40f7b0e1-89e2-43ac-a5b8-1e29c8d4%04d","provider":"GARMIN","reference_id":"r%d","scopes":"A,B"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z","end_time":"2026-07-02T00:00:00Z"},"x":"%s"}]}`, i, i, strings.Repeat("x", 1700)))
	}
	var n atomic.Uint64
	start := time.Now()
	return func() destination.Delivery {
		i := n.Add(1)
		d := bodies[i%1000]
		e := *d.Event
		e.ID = event.NewID(start, uint16(i), i)
		e.Ordering = e.Ordering.Add(time.Duration(i) * time.Microsecond)
		d.Event, d.ID = &e, e.ID.String()+"_1"
		return d
	}
}

// Measure runs InFlight workers until b.N deliveries were made, several in one
// call where size says so, and reports rows and CPU of this process: the server
// is another.
func Measure(b *testing.B, size int, work func(worker int, n int) error) {
	b.Helper()
	var taken atomic.Int64
	var all sync.WaitGroup
	for w := range InFlight { // connections and the server's caches
		all.Go(func() {
			for range 4 {
				if err := work(w, size); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	cpu := processCPU()
	b.ResetTimer()
	for w := range InFlight {
		all.Go(func() {
			for {
				from := int(taken.Add(int64(size))) - size
				n := min(size, b.N-from)
				if n <= 0 {
					return
				}
				if err := work(w, n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64((processCPU()-cpu).Microseconds())/float64(b.N), "cpu-µs/delivery")
}

func processCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
