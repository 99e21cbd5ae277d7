package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestContextEnds holds, for each phase of an exchange, that the end of ctx ends
// it at once, says so, and leaves nothing.
func TestContextEnds(t *testing.T) {
	large := text(32 << 20)
	// reached is closed by the far side when the phase has come.
	for _, c := range []struct {
		name   string
		body   string
		secure bool
		script func(p *peer, reached func())
	}{
		{"in the handshake", "{}", true, func(p *peer, reached func()) { reached(); p.hang() }},
		{"in the upload", large, false, func(p *peer, reached func()) { p.head(); reached(); p.hang() }},
		{"in the upload over TLS", large, true, func(p *peer, reached func()) { p.head(); reached(); p.hang() }},
		{"before the answer", "{}", false, func(p *peer, reached func()) { p.request(); reached(); p.gone() }},
		{"before the answer over TLS", "{}", true, func(p *peer, reached func()) { p.request(); reached(); p.gone() }},
		{"in an interim answer", "{}", false, func(p *peer, reached func()) {
			p.request()
			p.say("HTTP/1.1 100 Continue\r\nA: b\r\n")
			reached()
			p.gone()
		}},
		{"in the status line", "{}", false, func(p *peer, reached func()) { p.request(); p.say("HTTP/1.1 2"); reached(); p.gone() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, kept := range []bool{false, true} {
				if kept && c.name == "in the handshake" {
					continue
				}
				cl := client(t)
				reached := make(chan struct{})
				f := serve(t, c.secure, func(_ int, p *peer) {
					if kept {
						p.request()
						p.say(ok)
					}
					c.script(p, func() { close(reached) })
				})
				if kept {
					exchanged(t, cl, post(f.Target, "{}"))
				}
				ctx, cancel := context.WithCancel(t.Context())
				var began time.Time
				go func() { <-reached; began = time.Now(); cancel() }()
				a, err := cl.Do(ctx, post(f.Target, c.body))
				if !errors.Is(err, context.Canceled) || a.Requests > 1 || a.Code != 0 {
					t.Errorf("%d after %d requests: %v", a.Code, a.Requests, err)
				}
				if took := time.Since(began); took > time.Minute {
					t.Errorf("it took %v", took)
				}
				_ = a.Close()
				if cl.pool.Idle() != 0 {
					t.Error("the connection is kept")
				}
			}
		})
	}
}

// TestContextEndsInTheAnswer: the status has decided, what follows is cut off,
// and who reads on is told why.
func TestContextEndsInTheAnswer(t *testing.T) {
	for name, answer := range map[string]string{
		"head": "HTTP/1.1 200 OK\r\nA: b\r\nC",
		"body": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				f := serve(t, secure, func(_ int, p *peer) { p.request(); p.say("%s", answer); p.gone() })
				var a *Answer
				var b []byte
				var err, failed error
				inTime(t, func(ctx context.Context) (late bool) {
					if a, failed = cl.Do(ctx, post(f.Target, "{}")); failed == nil {
						b, err = io.ReadAll(a)
					}
					_ = a.Close()
					return deadline(failed) || name == "body" && len(b) == 0
				})
				if failed != nil || a.Code != 200 {
					t.Fatalf("%d, %v", a.Code, failed)
				}
				if name == "head" && a.Truncated == nil || name == "body" && (string(b) != "half" || !deadline(err)) {
					t.Errorf("%v, %q: %v", a.Truncated, b, err)
				}
				if _, err := a.Read(make([]byte, 1)); name == "body" && (err == nil || err == io.EOF) {
					t.Errorf("reading what is closed: %v", err)
				}
				if !a.Whole() || cl.pool.Idle() != 0 {
					t.Error("the connection is kept")
				}
			})
		})
	}
}

// TestContextEndsAfterTheAnswer: a connection that ctx's end could have cut is
// not kept, one that it could not is.
func TestContextEndsAfterTheAnswer(t *testing.T) {
	cl := client(t)
	f := serve(t, false, answering)
	for _, before := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		a, err := cl.Do(ctx, post(f.Target, "{}"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(a)
		if before {
			cancel()
		}
		_ = a.Close()
		cancel()
		if kept := cl.pool.Idle() == 1; kept == before {
			t.Errorf("kept: %v", kept)
		}
	}
	if a, _ := exchanged(t, cl, post(f.Target, "{}")); a.Requests != 1 || f.conns.Load() != 2 {
		t.Errorf("%d requests, %d connections", a.Requests, f.conns.Load())
	}
}

// TestCutStands: a deadline that is set after ctx has ended undoes no cut.
func TestCutStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, there := net.Pipe()
		defer near.Close()
		defer there.Close()
		cn := &conn{Conn: near}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, by := range []time.Time{{}, time.Now().Add(time.Second)} {
			cn.cut()
			cn.readBy(ctx, by)
			began := time.Now()
			if _, err := near.Read(make([]byte, 1)); err == nil || time.Since(began) != 0 {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
	})
}

// TestDialFails: the error is the dialler's, and no request was made.
func TestDialFails(t *testing.T) {
	nothingLeft(t)
	refused := errors.New("the guard says no")
	pool := NewPool(func(ctx context.Context, _, _ string) (net.Conn, error) {
		if _, ok := ctx.Deadline(); ok {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, refused
	}, Limits{8, 8})
	cl := pool.Client("acme", nil)
	if a, err := cl.Do(t.Context(), post(somewhere, "{}")); !errors.Is(err, refused) || a.Requests != 0 || a.Address != "" || a.Close() != nil {
		t.Errorf("%d requests, %v", a.Requests, err)
	}
	if a, err := cl.Do(within(t, 10*time.Millisecond), post(somewhere, "{}")); !deadline(err) || a.Requests != 0 {
		t.Errorf("%d requests, %v", a.Requests, err)
	}
}
