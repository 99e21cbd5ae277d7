package exchange

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// text returns n bytes of which no two stretches are alike.
func text(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

// TestUploadArrivesWhole holds bodies of all sizes, from a reader and from one
// that writes itself.
func TestUploadArrivesWhole(t *testing.T) {
	over(t, func(t *testing.T, secure bool) {
		cl := client(t)
		f := serve(t, secure, func(_ int, p *peer) {
			for r := p.request(); r != nil; r = p.request() {
				b, _ := io.ReadAll(r.Body)
				sum := fmt.Sprintf("%x", sha256.Sum256(b))
				p.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(sum), sum)
			}
		})
		head := len(post(f.Target, "").Head(nil)) + len("Content-Length: 12345\r\n\r\n")
		for _, n := range []int{0, 1, firstWrite - head - 1, firstWrite - head, firstWrite - head + 1, firstWrite, 64 << 10, 4 << 20} {
			for _, wrap := range []func(io.Reader) io.Reader{
				func(r io.Reader) io.Reader { return r },
				func(r io.Reader) io.Reader { return struct{ io.Reader }{r} },
			} {
				body := text(n)
				r := post(f.Target, body)
				r.Body = func() (io.Reader, error) { return wrap(strings.NewReader(body)), nil }
				a, sum := exchanged(t, cl, r)
				if sum != fmt.Sprintf("%x", sha256.Sum256([]byte(body))) || !a.Whole() || a.Sent != int64(n) {
					t.Errorf("%d bytes: %d sent", n, a.Sent)
				}
			}
		}
	})
}

// TestEarlySuccess: after a 2xx that comes early the upload goes on to its end,
// and the connection is left to the far side, which may be reading still.
func TestEarlySuccess(t *testing.T) {
	for name, answer := range map[string]string{
		"200":            ok,
		"without a body": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"204":            "HTTP/1.1 204 No Content\r\n\r\n",
		"chunked":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"after interims": "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				body := text(256 << 10)
				answered, closed, whole := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
				f := serve(t, secure, func(n int, p *peer) {
					if n > 1 {
						answering(n, p)
						return
					}
					r := p.head()
					p.say("%s", answer)
					first := make([]byte, len(body)-16<<10)
					_, err := io.ReadFull(r.Body, first)
					if err != nil {
						t.Errorf("reading on: %v", err)
					}
					select {
					case <-closed:
					case <-t.Context().Done():
					}
					rest, err := io.ReadAll(r.Body)
					whole <- err == nil && string(first)+string(rest) == body
					p.gone()
				})
				r := post(f.Target, body)
				r.Body = func() (io.Reader, error) { return held(body, answered), nil }
				a, err := cl.Do(within(t, time.Minute), r)
				if err != nil {
					t.Fatal(err)
				}
				close(answered)
				_ = a.Close()
				if !a.Whole() || a.Sent != int64(len(body)) || cl.pool.Idle() != 1 {
					t.Errorf("%d of %d bytes, %d parked", a.Sent, a.Length, cl.pool.Idle())
				}
				exchanged(t, cl, post(f.Target, "{}")) // over another connection
				close(closed)
				if !<-whole {
					t.Error("the body arrived in part")
				}
				if n := f.conns.Load(); n != 2 {
					t.Errorf("%d connections", n)
				}
			})
		})
	}
}

// TestEarlySuccessThenClosed: the far side's word counts, with how much it took.
func TestEarlySuccessThenClosed(t *testing.T) {
	for name, end := range map[string]func(c *peer){
		"closed": func(*peer) {}, "reset": (*peer).reset,
		"closed after a part": func(c *peer) { _, _ = io.CopyN(io.Discard, c.in, 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				f := serve(t, secure, func(_ int, p *peer) { p.head(); p.say("HTTP/1.1 204 No Content\r\n\r\n"); end(p) })
				r := post(f.Target, text(16<<20))
				for range 8 {
					a, err := cl.Do(within(t, time.Minute), r)
					if err != nil {
						t.Fatal(err)
					}
					_ = a.Close()
					least := int64(0) // whoever closes at once may have taken nothing
					if name == "closed after a part" {
						least = 1
					}
					if a.Code != 204 || a.Whole() || a.Sent < least || a.Sent >= a.Length || cl.pool.Idle() != 0 {
						t.Errorf("%d: %d of %d bytes, %d kept", a.Code, a.Sent, a.Length, cl.pool.Idle())
					}
				}
			})
		})
	}
}

// TestEarlyRefusal: an answer that comes before the body was read is seen,
// whatever becomes of the connection, and cuts the upload off.
func TestEarlyRefusal(t *testing.T) {
	for name, end := range map[string]func(c *peer){
		"reset": (*peer).reset, "closed with data unread": func(*peer) {}, "left open": (*peer).hang,
	} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				body := text(4 << 20)
				f := serve(t, secure, func(_ int, p *peer) {
					p.head()
					p.say("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow")
					end(p)
				})
				for range 24 {
					a, err := cl.Do(within(t, time.Minute), post(f.Target, body))
					if err != nil || a.Code != 429 || a.Header().Get("Retry-After") != "7" {
						t.Fatalf("%d, %v", a.Code, err)
					}
					if b, _ := io.ReadAll(a); string(b) != "slow" {
						t.Errorf("%q", b)
					}
					_ = a.Close()
					if !a.Whole() && cl.pool.Idle() != 0 {
						t.Error("the connection is kept")
					}
					_ = cl.Close() // buffers of the machine may have taken all
					cl = cl.With(trusting)
				}
			})
		})
	}
}

// hang leaves the connection open without reading until the test ends.
func (p *peer) hang() { <-p.ended }

// TestEcho: who writes the answer while they read is not waited for without
// reading it, by the caller or in Close.
func TestEcho(t *testing.T) {
	body := text(8 << 20)
	over(t, func(t *testing.T, secure bool) {
		for name, head := range map[string]string{
			"with a length":          fmt.Sprintf("Content-Length: %d", len(body)),
			"up to the end":          "Connection: close",
			"more than was promised": "Content-Length: 4",
		} {
			t.Run(name, func(t *testing.T) {
				cl := client(t)
				f := serve(t, secure, func(_ int, p *peer) {
					r := p.head()
					p.say("HTTP/1.1 200 OK\r\n%s\r\n\r\n", head)
					_, _ = io.Copy(p.Conn, r.Body)
				})
				for _, read := range []bool{true, false} {
					a, err := cl.Do(within(t, time.Minute), post(f.Target, body))
					if err != nil {
						t.Fatal(err)
					}
					if read {
						b, err := io.ReadAll(a)
						if want := body[:min(len(body), int(max(a.length, 4)))]; a.length != -1 && string(b) != want || err != nil {
							t.Errorf("%d bytes came back: %v", len(b), err)
						}
					}
					_ = a.Close()
					if !a.Whole() {
						t.Errorf("%d bytes were sent", a.Sent)
					}
				}
			})
		}
	})
}

// TestNeverRead: a far side that does not read holds an exchange until ctx
// ends, before an answer and after one of success.
func TestNeverRead(t *testing.T) {
	for name, answer := range map[string]string{"without an answer": "", "after 200": ok} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				f := serve(t, secure, func(_ int, p *peer) { p.head(); p.say("%s", answer); p.hang() })
				r := post(f.Target, text(32<<20))
				var a *Answer
				var err error
				inTime(t, func(ctx context.Context) (late bool) {
					a, err = cl.Do(ctx, r)
					_ = a.Close()
					if ctx.Err() == nil {
						t.Error("it ended before its time")
					}
					return answer != "" && deadline(err)
				})
				if answer == "" && (!deadline(err) || a.Requests != 1) || answer != "" && (err != nil || a.Code != 200 || a.Whole()) {
					t.Errorf("%d, %d of %d bytes: %v", a.Code, a.Sent, a.Length, err)
				}
			})
		})
	}
}

// TestWriteFails: the answer is waited for a second at most.
func TestWriteFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		body  int           // bytes; beyond firstWrite it is the upload that fails
		after time.Duration // of the answer
		code  int
	}{
		{"answered", 2, 900 * time.Millisecond, 413},
		{"not in time", 2, 1100 * time.Millisecond, 0},
		{"answered during the upload", 64 << 10, 900 * time.Millisecond, 413},
		{"not in time during the upload", 64 << 10, 1100 * time.Millisecond, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, there := net.Pipe()
				broken := errors.New("broken pipe")
				pool := NewPool(func(context.Context, string, string) (net.Conn, error) {
					return failing{named{near, "pipe"}, broken, int64(c.body)}, nil
				}, Limits{8, 8})
				defer synctest.Wait()
				defer time.Sleep(time.Second)
				go func() {
					defer there.Close()
					time.Sleep(c.after)
					_, _ = there.Write([]byte("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"))
				}()
				began := time.Now()
				a, err := pool.Client("acme", nil).Do(t.Context(), post(somewhere, text(c.body)))
				if took := time.Since(began); a.Code != c.code || took > lastWords || (c.code == 0) != errors.Is(err, broken) {
					t.Errorf("%d, %v after %v", a.Code, err, took)
				}
				_ = a.Close()
			})
		})
	}
}

// failing fails writes: the first, or that after the first when there are more
// bytes than go out in one.
type failing struct {
	net.Conn
	err  error
	body int64
}

func (f failing) Write(b []byte) (int, error) {
	if f.body > firstWrite && len(b) == firstWrite {
		return len(b), nil
	}
	return 0, f.err
}

// sourceCase is a source of a body that should have sourceSize bytes, and what becomes of it.
type sourceCase struct {
	name   string
	source io.Reader
	err    error // nil: there is none
	sent   int   // requests
	panics bool
}

const sourceSize = 64 << 10

// TestSource holds what becomes of a body whose source is not what it should be.
func TestSource(t *testing.T) {
	broken := errors.New("the disk is gone")
	const size = sourceSize
	for _, c := range []sourceCase{
		{"fails at once", io.MultiReader(fails{broken}), broken, 0, false},
		{"fails late", io.MultiReader(strings.NewReader(text(size/2)), fails{broken}), broken, 1, false},
		{"is short at once", strings.NewReader("x"), io.ErrUnexpectedEOF, 0, false},
		{"is short late", strings.NewReader(text(size - 1)), io.ErrUnexpectedEOF, 1, false},
		{"is short late, read", struct{ io.Reader }{strings.NewReader(text(size - 1))}, io.ErrUnexpectedEOF, 1, false},
		{"is long", strings.NewReader(text(size + 1)), nil, 1, false},
		{"is long, read", struct{ io.Reader }{strings.NewReader(text(size + 1))}, nil, 1, false},
		{"panics at once", io.MultiReader(fails{nil}), nil, 0, true},
		{"panics late", io.MultiReader(strings.NewReader(text(size/2)), fails{nil}), errAny, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, kept := range []bool{false, true} {
				if _, ok := c.source.(*strings.Reader); !ok && kept {
					continue // it is used up
				}
				synctest.Test(t, func(t *testing.T) { sourced(t, c, kept) })
			}
		})
	}
}

func sourced(t *testing.T, c sourceCase, kept bool) {
	cl := piped(t, answering)
	if kept {
		exchanged(t, cl, post(somewhere, "{}"))
	}
	s := &closing{Reader: c.source}
	if w, ok := c.source.(*strings.Reader); ok {
		_, _ = w.Seek(0, io.SeekStart)
	}
	r := post(somewhere, "")
	r.Length, r.Body = sourceSize, func() (io.Reader, error) { return s, nil }
	began := time.Now()
	a, err, panicked := try(func() (*Answer, error) { return cl.Do(within(t, time.Minute), r) })
	if panicked != c.panics || !panicked && (a.Requests != c.sent || (err == nil) != (c.err == nil)) {
		t.Errorf("%d requests, %v, panicked: %v", a.Requests, err, panicked)
	}
	if c.err != nil && c.err != errAny && !errors.Is(err, c.err) {
		t.Errorf("%v is not %v", err, c.err)
	}
	if !panicked {
		_ = a.Close()
	}
	if took := time.Since(began); took > lastWords {
		t.Errorf("it took %v", took)
	}
	if !s.closed() {
		t.Error("the source is open still")
	}
}

var errAny = errors.New("any error")

func try(f func() (*Answer, error)) (a *Answer, err error, panicked bool) {
	defer func() { panicked = recover() != nil }()
	a, err = f()
	return a, err, false
}

// fails is a source that fails, or panics without an error.
type fails struct{ err error }

func (f fails) Read([]byte) (int, error) {
	if f.err == nil {
		panic("a source")
	}
	return 0, f.err
}

// closing counts how often a source is closed.
type closing struct {
	io.Reader
	ended chan struct{}
	times int
}

func (c *closing) Close() error {
	if c.times++; c.ended != nil {
		close(c.ended)
	}
	return nil
}
func (c *closing) closed() bool { return c.times == 1 }

// TestSourceOfAFailureIsNotRepeated: a kept connection that ends when the source
// fails has not ended before its request.
func TestSourceOfAFailureIsNotRepeated(t *testing.T) {
	cl := client(t)
	f := serve(t, false, func(n int, p *peer) {
		p.request()
		p.say(ok)
		p.head()
		_ = p.raw.SetReadDeadline(time.Now().Add(lastWords / 2)) // the near side ends before
		p.gone()
	})
	exchanged(t, cl, post(f.Target, "{}"))
	r := post(f.Target, "")
	bodies := 0
	r.Length, r.Body = 64<<10, func() (io.Reader, error) {
		bodies++
		return io.MultiReader(strings.NewReader(text(32<<10)), fails{os.ErrClosed}), nil
	}
	if a, err := cl.Do(within(t, time.Minute), r); !errors.Is(err, os.ErrClosed) || a.Requests != 1 || bodies != 1 {
		t.Errorf("%d requests, %v", a.Requests, err)
	}
}

// TestSourceThatWaits is let go when the exchange ends.
func TestSourceThatWaits(t *testing.T) {
	for name, answer := range map[string]string{
		"with ctx": "", "with a refusal": "HTTP/1.1 403 Forbidden\r\n\r\n", "with ctx after a success": ok,
	} {
		t.Run(name, func(t *testing.T) {
			cl := client(t)
			f := serve(t, false, func(_ int, p *peer) { p.head(); p.say("%s", answer); p.gone() })
			s := &closing{}
			r := post(f.Target, "")
			r.Length, r.Body = 1<<20, func() (io.Reader, error) { return s, nil }
			var a *Answer
			var err error
			inTime(t, func(ctx context.Context) (late bool) {
				s.ended, s.times = make(chan struct{}), 0
				s.Reader = io.MultiReader(strings.NewReader(text(firstWrite)), waits{s.ended})
				a, err = cl.Do(ctx, r)
				_ = a.Close()
				return answer != "" && deadline(err)
			})
			if (answer == "") != (err != nil) || a.Whole() && err == nil {
				t.Errorf("%d, %v", a.Code, err)
			}
			if !s.closed() {
				t.Errorf("the source was closed %d times", s.times)
			}
		})
	}
}

// held is a source of body whose last part waits, so that an answer is early.
func held(body string, until chan struct{}) io.Reader {
	last := len(body) - 20<<10
	return io.MultiReader(strings.NewReader(body[:last]), after{until}, strings.NewReader(body[last:]))
}

// after is a source that is empty, but not at once.
type after struct{ c chan struct{} }

func (a after) Read([]byte) (int, error) { <-a.c; return 0, io.EOF }

// waits is a source that gives nothing until it is closed.
type waits struct{ until chan struct{} }

func (w waits) Read([]byte) (int, error) { <-w.until; return 0, http.ErrBodyReadAfterClose }
