package inbound

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// A request with both Content-Length and Transfer-Encoding has two lengths. When a proxy goes by
// one and a server by the other, they disagree on where the next request begins, and a stranger
// can smuggle requests in (RFC 9112 section 6.3). net/http goes by Transfer-Encoding, drops
// Content-Length before any handler could see it, and serves what follows. So this file looks at
// the bytes of a connection before the server has them.

// oneLength refuses every request of a connection that had one with two lengths,
// and closes it.
func (l *Limit) oneLength(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, _ := r.Context().Value(connKey{}).(interface{ twoLengths() bool }); c != nil && c.twoLengths() {
			l.smuggled.Add(1)
			w.Header()["Connection"] = []string{"close"}
			w.Header()["Content-Type"] = []string{"application/json"}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"code":"two_lengths","message":"the request has both Content-Length and Transfer-Encoding"}}`+"\n")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// framed is a connection of HTTP/1 whose framing is watched.
type framed struct {
	net.Conn
	heads   heads
	twofold atomic.Bool // it had a request with two lengths
}

func (c *framed) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.heads.scan(b[:n]) {
		c.twofold.Store(true)
	}
	return n, err
}

func (c *framed) twoLengths() bool { return c.twofold.Load() }

// NetConn is the connection below.
func (c *framed) NetConn() net.Conn { return c.Conn }

// CloseWrite lets the server end its side first, so that a client can read an
// answer that came before its request was read.
func (c *framed) CloseWrite() error {
	if half, ok := c.below().(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ReadFrom lets the kernel copy files of payloads.
func (c *framed) ReadFrom(r io.Reader) (int64, error) {
	if from, ok := c.below().(io.ReaderFrom); ok {
		return from.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// below is the connection that writes go to: TLS, or the system's.
func (c *framed) below() net.Conn {
	if counted, ok := c.Conn.(*conn); ok {
		return counted.Conn
	}
	return c.Conn
}

// plain accepts connections without TLS.
type plain struct{ *listener }

func (l plain) Accept() (net.Conn, error) {
	c, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framed{Conn: c}, nil
}

// heads looks for heads with both headers in the bytes of a connection. It does not know where
// bodies are. Lines that begin like those headers are no JSON, so that it can mistake no body
// that the API accepts for a head.
type heads struct {
	line           [len(transferEncoding)]byte // how the line began
	n              int                         // bytes of it
	length, coding bool                        // since the last blank line
}

const (
	contentLength    = "content-length:"
	transferEncoding = "transfer-encoding:"
)

// scan tells whether the blank line that ends such a head is in b.
func (h *heads) scan(b []byte) bool {
	for rest := b; len(rest) > 0; {
		piece, after, ended := bytes.Cut(rest, []byte{'\n'})
		h.n += copy(h.line[h.n:], piece)
		if !ended {
			break
		}
		rest = after
		switch line := h.line[:h.n]; {
		case len(line) == 0 || string(line) == "\r":
			if h.length && h.coding {
				return true
			}
			h.length, h.coding = false, false
		case begins(line, contentLength):
			h.length = true
		case begins(line, transferEncoding):
			h.coding = true
		}
		h.n = 0
	}
	return false
}

func begins(line []byte, name string) bool {
	return len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name))
}
