package exchange

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFraming holds how long the body of an answer is, and after which a
// connection is used again.
func TestFraming(t *testing.T) {
	long := strings.Repeat("x", maxDrain+1)
	for _, c := range []struct {
		name, method, wire string
		body               string
		cutOff             bool // the body ends with an error
		kept               bool
	}{
		{"a length", "POST", "200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false, true},
		{"length 0", "POST", "200 OK\r\nContent-Length: 0\r\n\r\n", "", false, true},
		{"a length with zeros", "POST", "200 OK\r\nContent-Length: 0005\r\n\r\nhello", "hello", false, true},
		{"too little", "POST", "200 OK\r\nContent-Length: 5\r\n\r\nhell", "hell", true, false},
		{"too much", "POST", "200 OK\r\nContent-Length: 5\r\n\r\nhello!", "hello", false, false},
		{"a second answer", "POST", "200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n", "hello", false, false},
		{"a length twice", "POST", "200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "hello", false, false},
		{"two lengths", "POST", "200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello", "hello", false, false},
		{"three lengths", "POST", "200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nhello", "hello", false, false},
		{"a list of lengths", "POST", "200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "hello", false, false},
		{"a length with a sign", "POST", "200 OK\r\nContent-Length: +4\r\n\r\nhello", "hello", false, false},
		{"a length below 0", "POST", "200 OK\r\nContent-Length: -1\r\n\r\nhello", "hello", false, false},
		{"a hex length", "POST", "200 OK\r\nContent-Length: 0x4\r\n\r\nhello", "hello", false, false},
		{"a length beyond numbers", "POST", "200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello", "hello", false, false},
		{"a length beyond all", "POST", "200 OK\r\nContent-Length: 999999999999999999\r\n\r\nhello", "hello", true, false},
		{"chunked", "POST", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n", "hello", false, true},
		{"chunked with a trailer", "POST", "200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", "hello", false, true},
		{"an endless trailer", "POST", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + strings.Repeat("A: b\r\n", 99), "hello", true, false},
		{"a long trailer", "POST", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + long, "hello", true, false},
		{"no last chunk", "POST", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello", true, false},
		{"no trailer", "POST", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello", true, false},
		{"half a chunk", "POST", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "hel", true, false},
		{"no size of a chunk", "POST", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello", "", true, false},
		{"a size beyond all", "POST", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello", "", true, false},
		{"chunked and a length", "POST", "200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", false, false},
		{"chunked twice", "POST", "200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\nhello", "hello", false, false},
		{"another coding", "POST", "200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\nhello", "hello", false, false},
		{"up to the end", "POST", "200 OK\r\n\r\nhello", "hello", false, false},
		{"Connection: close", "POST", "200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "hello", false, false},
		{"Connection: Keep-Alive", "POST", "200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello", "hello", false, true},
		{"Connection: keep-alive, close", "POST", "200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 5\r\n\r\nhello", "hello", false, false},
		{"Keep-Alive: timeout=0", "POST", "200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 5\r\n\r\nhello", "hello", false, false},
		{"HEAD", "HEAD", "200 OK\r\nContent-Length: 5\r\n\r\n", "", false, true},
		{"HEAD chunked", "HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", false, true},
		{"HEAD with a body", "HEAD", "200 OK\r\nContent-Length: 5\r\n\r\nhello", "", false, false},
		{"204", "POST", "204 No Content\r\n\r\n", "", false, true},
		{"204 with length 0", "POST", "204 No Content\r\nContent-Length: 0\r\n\r\n", "", false, true},
		{"204 with a length", "POST", "204 No Content\r\nContent-Length: 5\r\n\r\n", "", false, false},
		{"204 chunked", "POST", "204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "", false, false},
		{"204 with a body", "POST", "204 No Content\r\n\r\nhello", "", false, false},
		{"304", "GET", "304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", false, true},
		{"304 with a body", "GET", "304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", "", false, false},
		{"101", "GET", "101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello", "", false, false},
		{"split", "POST", "200 OK\r\nA: b\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", false, false},
		{"long", "POST", fmt.Sprintf("200 OK\r\nContent-Length: %d\r\n\r\n%s", len(long), long), long, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, body, err, kept := heard(t, c.method, "HTTP/1.1 "+c.wire, !c.kept)
			if body != c.body || (err != nil) != c.cutOff || kept != c.kept || a.Truncated != nil {
				t.Errorf("%d %q, %v, %v, kept: %v", a.Code, body, err, a.Truncated, kept)
			}
		})
	}
	for _, version := range []string{"1.0", "2.0", "1.12"} {
		if a, body, err, kept := heard(t, "POST", "HTTP/"+version+" 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true); body != "ok" || kept {
			t.Errorf("%s: %d %q, %v, kept: %v", version, a.Code, body, err, kept)
		}
	}
}

// TestUnreadBody: what the caller leaves of a short body is read, so that the
// connection can be used again; a long one is not.
func TestUnreadBody(t *testing.T) {
	for _, c := range []struct {
		name string
		head string
		n    int
		kept bool
	}{
		{"short", "Content-Length: 1000", 1000, true},
		{"as long as may be", fmt.Sprintf("Content-Length: %d", maxDrain), maxDrain, true},
		{"long", fmt.Sprintf("Content-Length: %d", maxDrain+1), maxDrain + 1, false},
		{"without an end", "A: b", 100 << 20, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := client(t)
			f := serve(t, false, func(_ int, p *peer) {
				p.request()
				p.say("HTTP/1.1 200 OK\r\n%s\r\n\r\n", c.head)
				for n := 0; n < c.n; n += 1 << 16 {
					if _, err := io.WriteString(p.Conn, strings.Repeat("x", min(c.n-n, 1<<16))); err != nil {
						return
					}
				}
				p.gone()
			})
			r := post(f.Target, "{}")
			r.Wait = 10 * time.Second
			a, err := cl.Do(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Read(make([]byte, 3)); err != nil {
				t.Error(err)
			}
			_ = a.Close()
			if kept := cl.pool.Idle() == 1; kept != c.kept || a.read > 2*maxDrain {
				t.Errorf("kept: %v, %d bytes read", kept, a.read)
			}
		})
	}
}

// TestCloseDoesNotWait for a body that does not come, also where nothing else
// bounds it.
func TestCloseDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range []time.Duration{0, drainTime / 2, 2 * time.Second} {
			cl := piped(t, func(_ int, p *peer) {
				p.request()
				p.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
				p.gone()
			})
			r := post(somewhere, "{}")
			r.Wait = wait
			a, err := cl.Do(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_ = a.Close()
			if took := time.Since(began); wait == 0 && took != drainTime || wait != 0 && took != wait {
				t.Errorf("with %v it took %v", wait, took)
			}
		}
	})
}

// TestFarewellWithTheLastByte: a body that ends together with its connection is
// whole, also where TLS says both at once.
func TestFarewellWithTheLastByte(t *testing.T) {
	body := text(3 * firstWrite)
	over(t, func(t *testing.T, secure bool) {
		for _, chunk := range []int{1 << 10, 1 << 20} {
			// TLS 1.3 hides what is a farewell until it is read.
			cl := client(t).With(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
			f := serve(t, secure, func(_ int, p *peer) {
				p.request()
				p.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
				p.inOneSegment(func() {
					p.say("%s", body)
					if secure {
						_ = p.Conn.(*tls.Conn).CloseWrite()
					}
				})
			})
			a, err := cl.Do(t.Context(), post(f.Target, "{}"))
			if err != nil {
				t.Fatal(err)
			}
			got, b := 0, make([]byte, chunk)
			for {
				n, err := a.Read(b)
				got += n
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("after %d bytes: %v", got, err)
				}
			}
			if _ = a.Close(); got != len(body) {
				t.Errorf("%d bytes", got)
			}
		}
	})
}
