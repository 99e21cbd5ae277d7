package exchange

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// heard makes one exchange whose far side writes wire and then closes, or
// leaves the connection open. It returns the closed answer, its body, the error
// of reading it, and whether the connection was kept.
func heard(t *testing.T, method, wire string, closes bool) (a *Answer, body string, err error, kept bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { a, body, err, kept = hear(t, method, wire, closes) })
	return a, body, err, kept
}

func hear(t *testing.T, method, wire string, closes bool) (a *Answer, body string, err error, kept bool) {
	t.Helper()
	cl := piped(t, func(_ int, p *peer) {
		p.request()
		p.say("%s", wire)
		if !closes {
			p.gone()
		}
	})
	r := post(somewhere, "{}")
	r.Method, r.Wait = method, 100*time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if a, err = cl.Do(ctx, r); err != nil {
		return a, "", err, false
	}
	b, err := io.ReadAll(a)
	_ = a.Close()
	return a, string(b), err, cl.pool.Idle() == 1
}

// TestStatusLine holds what is taken for a status line.
func TestStatusLine(t *testing.T) {
	for line, code := range map[string]int{
		"HTTP/1.1 200 OK":              200,
		"HTTP/1.1 200":                 200,
		"HTTP/1.1 200 ":                200,
		"HTTP/1.1  200  OK":            200,
		"HTTP/1.1 404 Not\x00Found":    404,
		"http/1.1 200 ok":              200,
		"HTTP/1.0 200 OK":              200,
		"HTTP/2.0 200 OK":              200,
		"HTTP/1.1 999 ":                999,
		"HTTP/1.1 200 \xff\xfe":        200,
		"HTTP/1.1 099 x":               0,
		"HTTP/1.1 000 x":               0,
		"HTTP/1.1 20 x":                0,
		"HTTP/1.1 2000 x":              0,
		"HTTP/1.1 +20 x":               0,
		"HTTP/1.1 -20 x":               0,
		"HTTP/1.1 2x0 x":               0,
		"HTTP/1.1 200OK":               0,
		"HTTP/1 200 OK":                0,
		"HTTP/1.1":                     0,
		"HTTP":                         0,
		"":                             0,
		" ":                            0,
		"200 OK":                       0,
		"SSH-2.0-OpenSSH_9.6":          0,
		"ICY 200 OK":                   0,
		"<html>HTTP/1.1 200 OK":        0,
		"\x15\x03\x01\x00\x02\x02\x46": 0,
		"HTTP/1.1 \x00200 OK":          0,
		"HTTP/1.1 ٢٠٠ OK":              0,
	} {
		a, _, err, _ := heard(t, "POST", line+"\r\nContent-Length: 0\r\n\r\n", true)
		if a.Code != code || (code == 0) != errors.Is(err, errNotHTTP) {
			t.Errorf("%q: %d, %v", line, a.Code, err)
		}
		if code == 0 && err != nil && len(line) > 4 && strings.Contains(err.Error(), line) {
			t.Errorf("the error shows what the far side sent: %v", err)
		}
	}
}

// TestMalformedHead: the status decides; the connection is not used again.
func TestMalformedHead(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 3\r\n"
	for _, c := range []struct {
		name, wire string
		retry      string // Retry-After as it is read
		truncated  bool
		kept       bool
	}{
		{"well formed", good + "\r\nok", "3", false, true},
		{"bare LF", strings.ReplaceAll(good, "\r", "") + "\nok", "3", false, false},
		{"Transfer-Encoding twice", good + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "3", false, false},
		{"a line without a colon", good + "what is this\r\n\r\nok", "3", false, false},
		{"an empty name", good + ": x\r\n\r\nok", "3", false, false},
		{"a blank in a name", good + "Set Cookie: x\r\n\r\nok", "3", false, false},
		{"a blank behind a name", "HTTP/1.1 200 OK\r\nRetry-After : 3\r\nContent-Length: 2\r\n\r\nok", "", false, false},
		{"a folded line", good + " folded: x\r\n\r\nok", "3", false, false},
		{"an empty Content-Length", "HTTP/1.1 200 OK\r\nRetry-After: 3\r\nContent-Length: \r\n\r\nok", "3", false, false},
		{"NUL in a name", good + "A\x00B: x\r\n\r\nok", "3", false, false},
		{"NUL in a value", "HTTP/1.1 200 OK\r\nRetry-After: 3\x00\r\nContent-Length: 2\r\n\r\nok", "", false, false},
		{"a blank line with CR twice", good + "\r\r\nok", "3", true, false},
		{"a line of CR", good + "\r\r\n\r\nok", "3", false, false},
		{"a control in a value", "HTTP/1.1 200 OK\r\nRetry-After: 3\x1b\r\nContent-Length: 2\r\n\r\nok", "", false, false},
		{"a tab in a value", "HTTP/1.1 200 OK\r\nRetry-After: 3\t4\r\nContent-Length: 2\r\n\r\nok", "3\t4", false, true},
		{"CR in a value", "HTTP/1.1 200 OK\r\nRetry-After: 3\rX: y\r\nContent-Length: 2\r\n\r\nok", "", false, false},
		{"bytes above ASCII in a name", good + "\xe4: x\r\n\r\nok", "3", false, false},
		{"an end in the head", good, "3", true, false},
		{"an end in a line", good + "Retry-After: 1", "3", true, false},
		{"an end after the status line", "HTTP/1.1 200 OK\r\n", "", true, false},
		{"a huge line", good + "A: " + strings.Repeat("x", maxHead) + "\r\n\r\nok", "3", true, false},
		{"too many lines", good + strings.Repeat("A: b\r\n", maxHead/6) + "\r\nok", "3", true, false},
		{"as much as there may be", good + strings.Repeat("A: b\r\n", maxHead/6-20) + "\r\nok", "3", false, true},
		{"a blank line that is long", good + strings.Repeat("\r", maxHead) + "\n", "3", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, body, err, kept := heard(t, "POST", c.wire, !c.kept)
			if a.Code != 200 || !a.Whole() {
				t.Fatalf("%d, %v", a.Code, err)
			}
			if got := a.Header().Get("Retry-After"); got != c.retry {
				t.Errorf("Retry-After: %q", got)
			}
			if (a.Truncated != nil) != c.truncated || kept != c.kept {
				t.Errorf("truncated: %v, kept: %v", a.Truncated, kept)
			}
			if c.kept && (body != "ok" || err != nil) || c.truncated && body != "" {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}

// TestFlood: what comes before the end of a head is bounded, however it is cut.
func TestFlood(t *testing.T) {
	for name, wire := range map[string]string{
		"interim answers":                  "HTTP/1.1 100 Continue\r\n\r\n",
		"interim answers with fields":      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
		"interim answers with blank lines": "HTTP/1.1 100\r\n" + strings.Repeat("\r", 32<<10) + "\n",
		"a status line":                    "HTTP/1.1 200 ",
		"words":                            "a ",
		"nothing but NUL":                  "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			sent := make(chan int, 1)
			cl := piped(t, func(_ int, p *peer) {
				p.request()
				n := 0
				defer func() { sent <- n }()
				for ; n < 100<<20; n += len(wire) {
					if _, err := io.WriteString(p.Conn, wire); err != nil {
						return
					}
				}
			})
			a, err := cl.Do(within(t, time.Minute), post(somewhere, "{}"))
			if !errors.Is(err, errTooLong) && !errors.Is(err, errNotHTTP) || a.Code != 0 {
				t.Errorf("%d, %v", a.Code, err)
			}
			if n := <-sent; n > maxHead+8<<10 {
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}

// TestWait bounds all that follows the status line, and nothing before it.
func TestWait(t *testing.T) {
	drip := func(p *peer, text string) {
		for range 1000 {
			time.Sleep(time.Second)
			if _, err := io.WriteString(p.Conn, text); err != nil {
				return
			}
		}
	}
	for _, c := range []struct {
		name   string
		script func(p *peer)
		takes  time.Duration // all
	}{
		{"a slow status line", func(p *peer) {
			for _, b := range []byte("HTTP/1.1 200 OK\r\n") {
				time.Sleep(time.Second)
				p.say("%c", b)
			}
			p.say("Content-Length: 0\r\n\r\n")
			p.gone()
		}, 17 * time.Second},
		{"slow interim answers", func(p *peer) {
			for range 10 {
				time.Sleep(time.Second)
				p.say("HTTP/1.1 102 Processing\r\n\r\n")
			}
			p.say(ok)
			p.gone()
		}, 10 * time.Second},
		{"nothing after the status line", func(p *peer) { p.say("HTTP/1.1 200 OK\r\n"); p.gone() }, 2 * time.Second},
		{"half a line after it", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nContent-"); p.gone() }, 2 * time.Second},
		{"a dripping head", func(p *peer) { p.say("HTTP/1.1 200 OK\r\n"); drip(p, "A: b\r\n") }, 2 * time.Second},
		{"a dripping line", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nA: "); drip(p, "b") }, 2 * time.Second},
		{"no body", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"); p.gone() }, 2 * time.Second},
		{"half a body", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"); p.gone() }, 2 * time.Second},
		{"a dripping body", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"); drip(p, "x") }, 2 * time.Second},
		{"dripping chunks", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"); drip(p, "1\r\nx\r\n") }, 2 * time.Second},
		{"half a chunk", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx"); p.gone() }, 2 * time.Second},
		{"no trailer", func(p *peer) { p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"); p.gone() }, 2 * time.Second},
		{"no end", func(p *peer) { p.say("HTTP/1.1 200 OK\r\n\r\nx"); p.gone() }, 2 * time.Second},
		{"head, then body", func(p *peer) {
			time.Sleep(time.Second)
			p.say("HTTP/1.1 200 OK\r\n")
			time.Sleep(time.Second)
			p.say("Content-Length: 9\r\n\r\n")
			p.gone()
		}, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, read := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					cl := piped(t, func(_ int, p *peer) { p.request(); c.script(p) })
					r := post(somewhere, "{}")
					r.Wait = 2 * time.Second
					began := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					a, err := cl.Do(ctx, r)
					if err != nil || a.Code != 200 {
						t.Fatalf("%d, %v", a.Code, err)
					}
					if read {
						_, _ = io.ReadAll(a)
					}
					_ = a.Close()
					if took := time.Since(began); took > c.takes || read && took < c.takes || !a.Whole() {
						t.Errorf("it took %v, %d bytes sent", took, a.Sent)
					}
				})
			}
		})
	}
}

// TestWaitIsOverWithTheAnswer: its deadline does not stand in the next exchange.
func TestWaitIsOverWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := piped(t, func(_ int, p *peer) {
			for p.request() != nil {
				time.Sleep(5 * time.Second)
				p.say("HTTP/1.1 200 OK\r\n")
				time.Sleep(time.Second)
				p.say("Content-Length: 0\r\n\r\n")
			}
		})
		r := post(somewhere, "{}")
		r.Wait = 2 * time.Second
		for range 3 {
			if a, _ := exchanged(t, cl, r); a.Truncated != nil || a.Address != "1" {
				t.Errorf("%v over connection %s", a.Truncated, a.Address)
			}
		}
	})
}
