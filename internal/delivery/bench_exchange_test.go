package delivery

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// TestMain is also the far side of BenchmarkExchange: a process of its own, so
// that what is measured is the CPU of the scheduler's alone.
func TestMain(m *testing.M) {
	if os.Getenv("DELIVERY_FAR_SIDE") == "" {
		os.Exit(m.Run())
	}
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	_, _ = os.Stdout.WriteString(strings.TrimPrefix(far.URL, "http://") + "\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends
	os.Exit(0)
}

// poster posts the body of an event, as a webhook does, without its signature.
type poster struct {
	client *exchange.Client
	target exchange.Target
}

func (p poster) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	a, err := p.client.Do(ctx, &exchange.Request{
		Target: p.target, Method: http.MethodPost,
		Head: func(b []byte) []byte {
			return exchange.Fields(append(b, "POST / HTTP/1.1\r\n"...), "Host", p.target.Host, "X-Trace-Id", d.ID)
		},
		Body:   func() (io.Reader, error) { return bytes.NewReader(d.Event.Body), nil },
		Length: int64(len(d.Event.Body)), Again: true, Wait: 2 * time.Second,
	})
	if err != nil {
		return destination.Receipt{Address: a.Address}, err
	}
	return destination.Receipt{Code: a.Code, Address: a.Address}, a.Close()
}

func (p poster) Close() error { return p.client.Close() }

// BenchmarkExchange is BenchmarkDeliver with webhooks on loopback: fan-out 3,
// 2 KiB, 32 events at a time.
func BenchmarkExchange(b *testing.B) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DELIVERY_FAR_SIDE=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(strings.TrimSpace(line))

	const fan, atOnce = 3, 32
	pool := exchange.NewPool((&net.Dialer{}).DialContext, exchange.Limits{All: 1024, Owner: 1024})
	defer pool.Close()
	c := &costless{done: make(chan struct{}), some: make(chan struct{}, 1)}
	s := New(Options{Store: c})
	var ts []Target
	for i, name := range []string{"one", "two", "three"} {
		ts = append(ts, Target{ID: uint32(i + 1), Key: store.DestinationKey{Developer: "acme", Name: name, Kind: "webhook"}, Current: &Settings{
			Hash: uint64(i + 1), Timeout: 30 * time.Second, MaxInFlight: 64, Schedule: retry.Exponential(30*time.Second, 3, 8, 0.1),
			Destination: poster{pool.Client("acme", nil), exchange.Target{Host: host, Port: port}},
		}})
	}
	s.Apply(ts)
	if err := s.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	over := make(chan struct{})
	defer close(over)
	for range 128 { // Go sizes new stacks by the average, and a daemon's connections wait on small ones
		go func() { <-over }()
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
			dest := uint32(k + 1)
			items[k] = store.Item{ID: store.DeliveryID{Day: e.ID.Day(), Event: e.ID, Dest: dest}, Queue: store.QueueID{Dest: dest}, Due: now.UnixNano(), Size: 2048, Version: 1}
		}
		s.Offer(e, items)
		for int64(i*fan)-c.settled.Load() > atOnce*fan {
			<-c.some
		}
	}
	<-c.done
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	s.Stop(context.Background())
}
