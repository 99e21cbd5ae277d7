package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

func TestBudgetIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{size: 10, free: 10}
		var order []int64
		var mu sync.Mutex
		ask := func(n int64) {
			go func() {
				if err := b.take(t.Context(), n, time.Minute); err != nil {
					t.Errorf("%d: %v", n, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, n)
			}()
			synctest.Wait()
		}
		ask(6)
		ask(9) // waits
		ask(1) // would fit, and stands behind
		ask(2)
		if !slices.Equal(order, []int64{6}) {
			t.Fatalf("served %v", order)
		}
		b.give(6)
		synctest.Wait()
		slices.Sort(order[1:])
		if !slices.Equal(order, []int64{6, 1, 9}) {
			t.Fatalf("served %v", order)
		}
		b.give(9)
		synctest.Wait()
		b.give(1)
		b.give(2)
		if b.free != 10 || b.waiting.Len() != 0 {
			t.Errorf("%d free, %d waiting", b.free, b.waiting.Len())
		}
	})
}

func TestBudgetWaitsForALimitedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{size: 10, free: 10}
		if err := b.take(t.Context(), 8, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := b.take(t.Context(), 11, time.Minute); !errors.Is(err, errBusy) {
			t.Errorf("more than there is: %v", err)
		}
		began := time.Now()
		behind := make(chan error, 1)
		go func() {
			<-time.After(time.Second)
			behind <- b.take(t.Context(), 2, time.Hour) // stands behind the 5
		}()
		if err := b.take(t.Context(), 5, time.Minute); !errors.Is(err, errBusy) || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := <-behind; err != nil || time.Since(began) != time.Minute {
			t.Errorf("whoever stood behind: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		cancel(gone)
		if err := b.take(ctx, 5, time.Minute); !errors.Is(err, gone) {
			t.Errorf("cancelled: %v", err)
		}
		b.give(10)
		if b.free != 10 || b.waiting.Len() != 0 {
			t.Errorf("%d free, %d waiting", b.free, b.waiting.Len())
		}
	})
}

// same is an endless body that costs no memory.
type same struct{}

func (same) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func heapBytes() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func TestManyLargeBodiesStayWithinTheBudget(t *testing.T) {
	const size, memory = 32 << 20, 128 << 20
	for name, c := range map[string]struct{ length, clients int64 }{"known length": {size, 64}, "unknown length": {-1, 16}} {
		t.Run(name, func(t *testing.T) {
			var peak atomic.Uint64
			before := heapBytes()
			in := fixed{result: sound, accept: func(rs []ingest.Request) {
				if len(rs[0].Body) != size {
					t.Errorf("a body of %d bytes", len(rs[0].Body))
				}
				for now := heapBytes(); ; {
					old := peak.Load()
					if now <= old || peak.CompareAndSwap(old, now) {
						return
					}
				}
			}}
			r := newRig(t, setup{ingest: in, maxBody: size, memory: memory})
			var accepted, refused atomic.Int64
			var all sync.WaitGroup
			for range c.clients {
				all.Go(func() {
					req, err := http.NewRequestWithContext(t.Context(), "POST", r.server.URL+"/v1/events", io.LimitReader(same{}, size))
					if err != nil {
						t.Error(err)
						return
					}
					req.ContentLength = c.length
					req.Header.Set("Dev-Id", "acme")
					res, err := r.client.Do(req)
					if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
						refused.Add(1) // while it was still sending: on a slow machine the end of the connection overtakes the answer
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					defer res.Body.Close()
					_, _ = io.Copy(io.Discard, res.Body)
					switch res.StatusCode {
					case 202:
						accepted.Add(1)
					case 429, 503: // of the developer's share, or of all: on a slow machine they wait too long
						refused.Add(1) // the description wants a Retry-After
					default:
						t.Errorf("answered %s", res.Status)
					}
				})
			}
			all.Wait()
			if accepted.Load()+refused.Load() != c.clients || accepted.Load() == 0 {
				t.Errorf("%d accepted, %d refused", accepted.Load(), refused.Load())
			}
			// Up to twice the budget, until the collector has been round.
			if used := int64(peak.Load()) - int64(before); used > 2*memory+64<<20 {
				t.Errorf("the heap grew by %d MiB", used>>20)
			}
			for _, b := range []*budget{&r.api.memory.whole.small, &r.api.memory.whole.large} {
				if b.free != b.size {
					t.Errorf("%d of %d bytes were not given back", b.size-b.free, b.size)
				}
			}
		})
	}
}

// Someone's large uploads that stand still must not delay ordinary events.
func TestSmallBodiesPassLargeOnesThatStandStill(t *testing.T) {
	r := newRig(t, setup{maxBody: 32 << 20, memory: 128 << 20})
	for range 5 {
		send(r.dial(), "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: 33554432\r\n\r\n{")
	}
	began := time.Now()
	r.post(sleep)
	if took := time.Since(began); took > maxWait/2 {
		t.Errorf("an event took %v", took)
	}
}

// Waiting ends, with the bound that was met.
func TestBusyIsToldAfterAWait(t *testing.T) {
	for want, take := range map[string]func(a *API) *budget{
		"503 busy": func(a *API) *budget { return &a.memory.whole.small },
		"429 busy_developer": func(a *API) *budget {
			h := a.memory.hold(&local, "acme")
			return &h.developer.small
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := serveFake(t, fixed{})
			b := take(p.api)
			if err := b.take(t.Context(), b.size, time.Second); err != nil {
				t.Fatal(err)
			}
			conn := p.dial()
			defer conn.Close()
			began := time.Now()
			send(conn, "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: 100\r\n\r\n")
			text := make([]byte, 1000)
			n, err := conn.Read(text)
			status, code, _ := strings.Cut(want, " ")
			if got := string(text[:n]); err != nil || !strings.HasPrefix(got, "HTTP/1.1 "+status+" ") || !strings.Contains(got, "Retry-After: 1\r\n") || !strings.Contains(got, `"`+code+`"`) {
				t.Errorf("want %s: %q, %v", want, got, err)
			}
			if took := time.Since(began); took != maxWait {
				t.Errorf("%s after %v", want, took)
			}
		})
	}
}
