package inbound

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is what something may take that happens, or fails the test, on a busy machine too.
const patience = time.Minute

// served is a server under a limit. A request for /hold is answered when something
// is sent to release.
type served struct {
	t       *testing.T
	limit   *Limit
	addr    string
	entered chan struct{}
	release chan struct{}
	server  *http.Server
}

func serve(t *testing.T, most int) *served {
	t.Helper()
	s := &served{t: t, limit: NewLimit(most), entered: make(chan struct{}, 100), release: make(chan struct{})}
	s.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			s.entered <- struct{}{}
			<-s.release
		}
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %q %v", r.URL.Path, b, err)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	l = s.limit.Serve(s.server, l)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.server.Serve(l) }()
	t.Cleanup(func() { close(s.release); s.server.Close(); <-done })
	return s
}

func (s *served) dial() *peer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{s.t, c, bufio.NewReader(c)}
}

// until waits for a condition that nothing tells of.
func (s *served) until(what string, ok func() bool) {
	s.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			s.t.Fatalf("never: %s; %d open", what, s.limit.Open())
		}
	}
}

type peer struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

// answer reads one; "" when the connection has ended.
func (p *peer) answer() string {
	res, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return ""
	}
	b, _ := io.ReadAll(res.Body)
	return fmt.Sprint(res.StatusCode, " ", string(b))
}

func (p *peer) get(path string) string {
	p.t.Helper()
	p.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
	return p.answer()
}

// ended tells whether the server has closed the connection.
func (p *peer) ended() bool {
	_ = p.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	defer func() { _ = p.SetReadDeadline(time.Now().Add(patience)) }()
	_, err := p.in.Peek(1)
	e, ok := err.(net.Error)
	return err != nil && !(ok && e.Timeout())
}

func TestTheLongestIdleMakesRoom(t *testing.T) {
	s := serve(t, 3)
	silent := s.dial() // never asks anything
	s.until("one", func() bool { return s.limit.Open() == 1 })
	half := s.dial()
	half.send("GET / HTTP/1.1\r\nHo") // never ends its head
	s.until("two", func() bool { return s.limit.Open() == 2 })
	kept := s.dial()
	if got := kept.get("/a"); got != `200 /a "" <nil>` {
		t.Fatal(got)
	}
	for i, victim := range []*peer{silent, half} {
		if got := s.dial().get("/b"); got != `200 /b "" <nil>` {
			t.Fatalf("a new one got %q", got)
		}
		s.until("the victim is closed", victim.ended)
		if n := s.limit.Open(); n != 3 || s.limit.Evicted() != uint64(i+1) {
			t.Errorf("%d open, %d evicted", n, s.limit.Evicted())
		}
	}
	// The connection used last is the last to be closed.
	if got := kept.get("/c"); got != `200 /c "" <nil>` {
		t.Error(got)
	}
}

func TestAConnectionInARequestIsNotClosed(t *testing.T) {
	s := serve(t, 2)
	busy := []*peer{s.dial(), s.dial()}
	for _, p := range busy {
		p.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
		<-s.entered
	}
	next := s.dial()
	next.send("GET /d HTTP/1.1\r\nHost: x\r\n\r\n")
	got := make(chan string)
	go func() { got <- next.answer() }()
	select {
	case a := <-got:
		t.Fatalf("answered %q while there was no room", a)
	case <-time.After(100 * time.Millisecond):
	}
	s.release <- struct{}{}
	if a := <-got; a != `200 /d "" <nil>` {
		t.Errorf("then %q", a)
	}
	s.release <- struct{}{}
	answers := 0
	for _, p := range busy {
		if strings.HasPrefix(p.answer(), "200 /hold") {
			answers++
		}
	}
	if answers != 2 || s.limit.Evicted() != 1 {
		t.Errorf("%d answers, %d evicted", answers, s.limit.Evicted())
	}
}

func TestShutdownEndsWhileConnectionsWait(t *testing.T) {
	s := serve(t, 1)
	p := s.dial()
	p.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	<-s.entered
	waiting := s.dial()
	stopped := make(chan error)
	go func() { stopped <- s.server.Shutdown(t.Context()) }()
	if a := waiting.answer(); a != "" {
		t.Errorf("who waited got %q", a)
	}
	s.release <- struct{}{}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	s.until("none is open", func() bool { return s.limit.Open() == 0 })
}

// An answer that goes on for hours takes no place from others. Its connection counts again when
// the answer has ended.
func TestALongAnswerTakesNoPlace(t *testing.T) {
	s := &served{t: t, limit: NewLimit(1), entered: make(chan struct{}, 1), release: make(chan struct{})}
	s.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			defer Outside(r.Context())()
			s.entered <- struct{}{}
			<-s.release
		}
		fmt.Fprint(w, r.URL.Path)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	l = s.limit.Serve(s.server, l)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.server.Serve(l) }()
	t.Cleanup(func() { s.server.Close(); <-done })
	long := s.dial()
	long.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
	<-s.entered
	if n := s.limit.Open(); n != 0 {
		t.Errorf("%d count while the only one is outside", n)
	}
	other := s.dial()
	if got := other.get("/a"); got != "200 /a" {
		t.Fatalf("somebody else got %q", got)
	}
	other.Close()
	s.until("nobody else is there", func() bool { return s.limit.Open() == 0 })
	s.release <- struct{}{}
	if got := long.answer(); got != "200 /long" {
		t.Errorf("the long one got %q", got)
	}
	s.until("it counts again", func() bool { return s.limit.Open() == 1 })
	// A connection that ends in the middle of such an answer is counted out once.
	gone := s.dial()
	gone.send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
	<-s.entered
	gone.Close()
	s.release <- struct{}{}
	s.until("both are gone", func() bool { return s.limit.Open() == 0 })
}
