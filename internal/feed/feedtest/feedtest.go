// Package feedtest is what every source of events is tested with: a daemon's API of batches that keeps what it
// takes, and a source that runs until it is stopped.
package feedtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/feed"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// Intake takes batches. It knows an event by its idempotency key, and refuses another under the same one, as the
// daemon does.
type Intake struct {
	mu    sync.Mutex
	taken map[string]Line
	again int
	judge func(event string) (status int, code string)
	took  chan struct{}
}

// Line is what was handed in with a key.
type Line struct {
	Developer string          `json:"dev_id"`
	Reference string          `json:"reference"`
	Event     json.RawMessage `json:"event"`
}

// New starts an intake, and returns a sink that hands in to it, of the developer acme where a record names none. It
// waits a millisecond where the daemon is busy.
func New(t *testing.T) (*Intake, *feed.Sink) {
	t.Helper()
	in := &Intake{taken: map[string]Line{}, took: make(chan struct{}, 1<<16)}
	server := httptest.NewServer(in)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return in, &feed.Sink{Mapping: feed.Mapping{Developer: "acme", Brand: "terra"}, Poster: feed.Poster{
		Client: c, Patience: feed.Forever, Grace: time.Minute, Now: time.Now, Waiting: func(error, time.Duration) {},
		Pause: func(ctx context.Context, _ time.Duration) bool {
			select {
			case <-time.After(time.Millisecond):
				return true
			case <-ctx.Done():
				return false
			}
		},
	}}
}

// Judge has judge say what becomes of each event from now on: 202 with the code "", or a refusal. It is asked for one
// event at a time.
func (in *Intake) Judge(judge func(event string) (status int, code string)) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.judge = judge
}

// Taken returns what was handed in, by its key, and how much of it came again.
func (in *Intake) Taken() (lines map[string]Line, again int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	lines = map[string]Line{}
	for key, line := range in.taken {
		lines[key] = line
	}
	return lines, in.again
}

// Wait waits for n more events, each for the first time.
func (in *Intake) Wait(t *testing.T, n int) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for i := range n {
		select {
		case <-in.took:
		case <-limit:
			t.Fatalf("%d of %d events arrived in two minutes", i, n)
		}
	}
}

func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // first: a server that answers meanwhile loses the rest
	if err != nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	s := bufio.NewScanner(bytes.NewReader(body))
	s.Buffer(nil, 1<<24)
	for n := 1; s.Scan(); n++ {
		if status, code := in.take(s.Bytes()); code != "" {
			fmt.Fprintf(w, `{"line":%d,"status":%d,"error":{"code":%q,"message":"because"}}`+"\n", n, status, code)
		} else {
			fmt.Fprintf(w, `{"line":%d,"status":%d,"id":"e","reference":"r","deliveries":1,"duplicate":%v}`+"\n", n, status, status == 200)
		}
	}
}

// take judges one line. The caller holds mu.
func (in *Intake) take(text []byte) (status int, code string) {
	var line struct {
		Line
		Key string `json:"idempotency_key"`
	}
	if err := json.Unmarshal(text, &line); err != nil {
		return 400, "invalid_json"
	}
	if in.judge != nil {
		if status, code := in.judge(string(line.Event)); code != "" {
			return status, code
		}
	}
	known, repeated := in.taken[line.Key]
	switch {
	case !repeated:
		in.taken[line.Key] = line.Line
		in.took <- struct{}{}
		return 202, ""
	case known.Developer != line.Developer || !bytes.Equal(known.Event, line.Event):
		return 422, "idempotency_mismatch"
	}
	in.again++
	return 200, ""
}

// Note returns what logs for a test. Clients of brokers have more to say after it has ended, which testing takes for a
// fault of the whole package.
func Note(t *testing.T) func(text string) {
	var mu sync.Mutex
	over := false
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	})
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			t.Log(text)
		}
	}
}

// Source is what is tested.
type Source interface {
	Run(ctx context.Context, sink *feed.Sink) error
}

// Running is a source that runs until it is stopped.
type Running struct {
	stop context.CancelFunc
	end  chan error
}

// Run runs a source. The end of the test stops it.
func Run(t *testing.T, s Source, sink *feed.Sink) *Running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{cancel, make(chan error, 1)}
	go func() { r.end <- s.Run(ctx, sink) }()
	t.Cleanup(cancel)
	return r
}

// End waits until the source ends by itself, and returns why.
func (r *Running) End() error { return <-r.end }

// Stop stops the source, which must end well.
func (r *Running) Stop(t *testing.T) {
	t.Helper()
	r.stop()
	if err := r.End(); err != nil {
		t.Error(err)
	}
}
