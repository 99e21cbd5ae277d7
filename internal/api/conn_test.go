package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/trail"
)

// pipes is a listener whose connections are pipes: their deadlines run on the
// fake clock of a bubble.
type pipes struct {
	api    *API
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return local4{c}, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }
func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.accept <- far
	return near
}

// local4 is a pipe that says it comes from this machine.
type local4 struct{ net.Conn }

func (local4) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711} }

// serveFake serves an API over pipes; the Ingest takes everything.
func serveFake(t *testing.T, in Ingest) *pipes {
	t.Helper()
	a, err := New(Options{
		Ingest: in, Scheduler: &scheduler{}, Store: &noLog{}, Eraser: &noLog{}, Daemon: &daemon{names: NewNames(nil)}, Replays: noReplays{}, Checks: &checks{}, Documents: &documents{}, Sessions: noSessions(), Settings: &stocks{}, Queues: noLog{}, Trail: trail.New(noLog{}, slog.New(slog.DiscardHandler)),
		Metrics: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler), Listen: "127.0.0.1:0", Brand: "terra", MaxBody: 32 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := newPipes()
	p.api = a
	server := &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(p) }()
	t.Cleanup(func() {
		server.Close()
		<-done
		<-time.After(time.Second) // in fake time: net/http lingers before it closes
	})
	return p
}

func TestSlowBodyIsCutAfterItsTime(t *testing.T) {
	for name, c := range map[string]struct {
		length int // announced
		every  time.Duration
		bytes  int // each time
		status int
		after  time.Duration // of the answer, at least
		before time.Duration
	}{
		"nothing comes":           {100, time.Hour, 1, 408, window, window + time.Second},
		"a byte a second":         {100, time.Second, 1, 408, window, window + 2*time.Second},
		"small and slow":          {100, time.Second, 20, 202, 5 * time.Second, window},
		"below the floor":         {100 << 10, time.Second, 900, 408, 60 * time.Second, 90 * time.Second},
		"at the floor":            {60 << 10, 2 * time.Second, 2100, 202, 58 * time.Second, 61 * time.Second},
		"pauses":                  {60 << 10, 9 * time.Second, 20 << 10, 202, 27 * time.Second, 36 * time.Second},
		"slow and large":          {8 << 20, time.Second, 5 << 10, 408, maxBodyTime, maxBodyTime + 2*time.Second},
		"large and at some speed": {8 << 20, time.Second, 300 << 10, 202, 20 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stored := 0
				p := serveFake(t, fixed{accept: func(rs []ingest.Request) { stored += len(rs) }})
				conn := p.dial()
				defer conn.Close()
				began := time.Now()
				stop := make(chan struct{})
				var sender sync.WaitGroup
				sender.Go(func() {
					_, err := fmt.Fprintf(conn, "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: %d\r\n\r\n", c.length)
					chunk := make([]byte, c.bytes)
					for sent := 0; err == nil && sent < c.length; sent += len(chunk) {
						select {
						case <-time.After(c.every):
						case <-stop:
							return
						}
						_, err = conn.Write(chunk[:min(len(chunk), c.length-sent)])
					}
				})
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				if res.StatusCode != c.status || took < c.after || took > c.before || (stored == 1) != (c.status == 202) {
					t.Errorf("%d after %v, %d stored", res.StatusCode, took, stored)
				}
				close(stop)
				conn.Close()
				sender.Wait()
			})
		})
	}
}

// Answers that need no body do not wait for one for long.
func TestUnreadBodyDelaysAnAnswerByASecondAtMost(t *testing.T) {
	for request, status := range map[string]int{
		"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n":                       200,
		"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n":                       404,
		"PUT /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n":                     405,
		"POST /v1/events HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 10\r\n\r\n":                 403,
		"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n":                    400,
		"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n":            400,
		"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: a\r\nContent-Length: 99999999\r\n\r\n": 413,
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := serveFake(t, fixed{}).dial()
			defer conn.Close()
			began := time.Now()
			send(conn, request)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%q: %v", request, err)
			}
			if took := time.Since(began); res.StatusCode != status || took > drain {
				t.Errorf("%q: %d after %v, want %d", request, res.StatusCode, took, status)
			}
			// What comes late is no request of its own.
			go send(conn, "0123456789")
			if rest, _ := io.ReadAll(conn); strings.Contains(string(rest), "HTTP/1.1") {
				t.Errorf("%q: the rest of the body was answered %q", request, rest)
			}
		})
	}
}

func TestSilentBatchIsToldAndCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serveFake(t, fixed{}).dial()
		defer conn.Close()
		began := time.Now()
		send(conn, "POST /v1/events/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"+
			line(`{"type":"sleep","d":"`+strings.Repeat("x", 30<<10)+`"}`)+line(sleep)[:20]) // what came fast saves up no more than a window
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if got, _ := outcomes(t, body); err != nil || len(got) != 2 || got[1] != "2 408 slow_body" {
			t.Errorf("got %q, %v", got, err)
		}
		if took := time.Since(began); took < window || took > window+time.Second {
			t.Errorf("after %v", took)
		}
		go send(conn, "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		if rest, _ := io.ReadAll(conn); len(rest) != 0 {
			t.Errorf("the rest of the batch was answered %q", rest)
		}
	})
}

func TestSteadyBatchEndsAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serveFake(t, fixed{}).dial()
		defer conn.Close()
		began := time.Now()
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			send(conn, "POST /v1/events/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000000\r\n\r\n")
			steady := line(`{"type":"sleep","d":"` + strings.Repeat("x", 30<<10) + `"}`)
			for {
				if _, err := io.WriteString(conn, steady); err != nil {
					return
				}
				select {
				case <-time.After(8500 * time.Millisecond):
				case <-stop:
					return
				}
			}
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		got, _ := outcomes(t, body)
		if took := time.Since(began); len(got) != 107 || got[106] != "107 408 slow_body" || took < maxBodyTime || took > maxBodyTime+time.Second {
			t.Errorf("%d results, the last %q, after %v", len(got), got[len(got)-1], took)
		}
	})
}

// A commit that takes longer than a body may is no reason to give up on it.
func TestLongCommitIsNotTakenForASlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut error
		conn := serveFake(t, waiting{2 * time.Minute, &cut}).dial()
		defer conn.Close()
		send(conn, fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: %d\r\n\r\n%s", len(sleep), sleep))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 202 || cut != nil {
			t.Errorf("%v, %v, context %v", res, err, cut)
		}
	})
}

// waiting is an Ingest that takes its time.
type waiting struct {
	d   time.Duration
	cut *error
}

func (waiting) Ready() error      { return nil }
func (waiting) Knows(string) bool { return true }
func (w waiting) Accept(ctx context.Context, rs []ingest.Request) []ingest.Result {
	select {
	case <-time.After(w.d):
	case <-ctx.Done():
		*w.cut = context.Cause(ctx)
	}
	return make([]ingest.Result, len(rs))
}

func TestCutConnectionStoresNothing(t *testing.T) {
	r := newRig(t, setup{})
	for name, request := range map[string]string{
		"known length":     fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: %d\r\n\r\n%s", len(sleep)+1, sleep),
		"unknown length":   fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(sleep), sleep),
		"bad chunk":        fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nzz\r\n\r\n", len(sleep), sleep),
		"batch":            fmt.Sprintf("POST /v1/events/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n%s", strings.TrimSpace(line(sleep))),
		"right at the end": "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: 10\r\n\r\n",
	} {
		conn := r.dial()
		send(conn, request)
		conn.Close()
		<-r.closed
		if n := r.stored(); n != 0 {
			t.Errorf("%s: %d events stored", name, n)
		}
	}
	if log := r.log.String(); strings.Contains(log, "request") || strings.Contains(log, "panic") {
		t.Errorf("log %s", log)
	}
}

func TestBadFramingIsAnswered(t *testing.T) {
	r := newRig(t, setup{maxBody: 1000})
	head := "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nTransfer-Encoding: chunked\r\n\r\n"
	for body, want := range map[string]string{
		fmt.Sprintf("%x\r\n%s\r\nzz\r\n\r\n", len(sleep), sleep):        "incomplete_body",
		fmt.Sprintf("%x\r\n%s\r\n", 1001, strings.Repeat("x", 1001)):    "too_large",
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(sleep), sleep+"trail"): "incomplete_body",
	} {
		if got := r.raw(head + body); got.code() != want {
			t.Errorf("%.30q: %s, want %s", body, got, want)
		}
	}
	if got := r.raw(head + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(sleep), sleep)); got.status != 202 {
		t.Errorf("a sound one: %s", got)
	}
}

func TestPanicIs500AndHasAnID(t *testing.T) {
	r := newRig(t, setup{ingest: fixed{accept: func([]ingest.Request) { panic("no such luck") }}})
	got := r.do("POST", "/v1/events", sleep, "dev-id: acme")
	_, id, found := strings.Cut(strings.TrimRight(string(got.body), "\"}\n"), "under ")
	if got.status != 500 || got.code() != "internal" || !found || strings.Contains(string(got.body), "luck") {
		t.Fatalf("got %s", got)
	}
	if log := r.log.String(); !strings.Contains(log, id) || !strings.Contains(log, "no such luck") || !strings.Contains(log, "conn_test.go") {
		t.Errorf("log %s", log)
	}
	if got := r.do("GET", "/healthz", ""); got.status != 200 {
		t.Errorf("then %s", got)
	}
}

// Half an answer must not look like a whole one.
func TestPanicInABatchCutsTheAnswer(t *testing.T) {
	calls := 0
	r := newRig(t, setup{maxBody: 8 << 20, ingest: fixed{accept: func([]ingest.Request) {
		if calls++; calls == 2 {
			panic("no such luck")
		}
	}}})
	large := line(`{"type":"a","d":"` + strings.Repeat("x", chunkBytes) + `"}`)
	res, err := r.server.Client().Post(r.server.URL+"/v1/events/batch", "", strings.NewReader(large+large))
	if err != nil {
		return // cut before the first result was through
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the answer %q ended as if it were whole", body)
	}
}
