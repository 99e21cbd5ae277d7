package destination_test

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// The conformance suite for the kind of the example: how each kind is tested.
func TestConformance(t *testing.T) {
	destinationtest.Run(t, destinationtest.Kind{
		Start:   func(tb testing.TB) destinationtest.FarSide { return listen(tb) },
		Secrets: []string{"a-token"},
		Failures: []destinationtest.Failure{
			{Name: "busy", Class: destination.Transient},
			{Name: "who", Class: destination.Misconfigured},
			{Name: "never", Class: destination.Rejected},
			{Name: "echo a-token", Class: destination.Transient}, // repeats the credentials
			{Name: strings.Repeat("long ", 1<<9), Class: destination.Transient},
		},
		Requests: func(_ testing.TB, far destinationtest.FarSide) int { return far.(*server).count() },
	})
}

// server is a far side: it keeps each line once, by its id, or says what it is
// told to.
type server struct {
	net.Listener
	mu       sync.Mutex
	bodies   map[string]string
	says     string // "": it keeps the line
	requests int
}

func listen(tb testing.TB) *server {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{Listener: l, bodies: map[string]string{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { answer(c, s.line) })
		}
	})
	tb.Cleanup(func() { l.Close(); all.Wait() })
	return s
}

func (s *server) line(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.says != "" {
		return s.says
	}
	id, quoted, _ := strings.Cut(text, " ")
	body, err := strconv.Unquote(quoted)
	if err != nil {
		return "never"
	}
	s.bodies[id] = body
	return "ok"
}

func (s *server) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	d, err := open(Config{s.Addr().String(), secret.New("a-token")}, deps)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (s *server) Stored(testing.TB) (bodies [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bodies {
		bodies = append(bodies, []byte(b))
	}
	return bodies
}

func (s *server) Break(_ testing.TB, f destinationtest.Failure) { s.say(f.Name) }
func (s *server) Mend(testing.TB)                               { s.say("") }

func (s *server) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says = text
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}
