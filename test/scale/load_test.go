package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// sink remembers when it answered each event.
type sink struct {
	url string

	mu       sync.Mutex
	answered map[string][]time.Time // by reference
	away     bool                   // it answers 503
}

func newSink(t *testing.T) *sink {
	s := &sink{answered: map[string][]time.Time{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		s.mu.Lock()
		away := s.away
		if !away {
			ref := r.Header.Get("terra-reference")
			s.answered[ref] = append(s.answered[ref], time.Now())
		}
		s.mu.Unlock()
		if away {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	s.url = server.URL
	return s
}

func (s *sink) of(ref string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time{}, s.answered[ref]...)
}

func (s *sink) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// load hands in events until it is stopped. A producer repeats with the same key what was not
// acknowledged, as producers do, at the next address.
type load struct {
	clients []*client.Client
	failed  atomic.Int64 // answers of 5xx, and connections that broke
	first   atomic.Pointer[error]
	saw     func(try) // called for each; may be nil

	mu    sync.Mutex
	acked []string
	stop  context.CancelFunc
	over  sync.WaitGroup
}

var loads atomic.Int64 // so far: each has references of its own

func newLoad(t *testing.T, producers int, urls ...string) *load {
	t.Helper()
	return newLoadThat(t, nil, producers, urls...)
}

// try is one request of a producer.
type try struct {
	ref          string
	to           int // which URL
	began, ended time.Time
	err          error
}

// newLoadThat is newLoad that shows its requests.
func newLoadThat(t *testing.T, saw func(try), producers int, urls ...string) *load {
	t.Helper()
	l := &load{saw: saw}
	for _, u := range urls {
		c, err := client.New(u, "", &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: producers}})
		if err != nil {
			t.Fatal(err)
		}
		c.Patience = 0
		l.clients = append(l.clients, c)
	}
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	t.Cleanup(func() { stop(); l.over.Wait() })
	var n atomic.Int64
	series := loads.Add(1)
	for p := range producers {
		l.over.Go(func() {
			for at := p; ctx.Err() == nil; {
				ref := fmt.Sprint("r", series, "-", n.Add(1))
				for ctx.Err() == nil {
					began := time.Now()
					_, err := l.clients[at%len(l.clients)].Send(ctx, client.SendRequest{Developer: "acme", Reference: ref, IdempotencyKey: ref, Body: []byte(`{"type":"sleep","n":"` + ref + `"}`)})
					if l.saw != nil && (err == nil || ctx.Err() == nil) {
						l.saw(try{ref, at % len(l.clients), began, time.Now(), err})
					}
					if err == nil {
						l.mu.Lock()
						l.acked = append(l.acked, ref)
						l.mu.Unlock()
						break
					}
					if refusal, ok := errors.AsType[*client.Error](err); ctx.Err() == nil && (!ok || refusal.Status >= 500) {
						l.failed.Add(1)
						l.first.CompareAndSwap(nil, &err)
					}
					at++
					<-time.After(20 * time.Millisecond)
				}
				<-time.After(2 * time.Millisecond) // some 500 a second from one producer would be the disk's test
			}
		})
	}
	return l
}

// end stops the producers and returns what was acknowledged.
func (l *load) end() []string {
	l.stop()
	l.over.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// more waits until n more are acknowledged.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	from := l.count()
	until(t, time.Minute, fmt.Sprintf("%d more are acknowledged", n), func() bool { return l.count() >= from+n })
}
