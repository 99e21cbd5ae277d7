package inbound

import (
	"bytes"
	"io"
	"net/http"
)

// A request with both Content-Length and Transfer-Encoding has two lengths. A
// proxy that goes by one and a server that goes by the other take different bytes
// for the next request, which is how requests of strangers are smuggled in (RFC
// 9112 section 6.3). net/http goes by Transfer-Encoding, drops Content-Length
// before any handler could see it, and serves what follows. So the bytes of a
// connection are looked at before the server has them.

// oneLength refuses every request of a connection that had one with two lengths,
// and closes it. Below TLS the bytes are not to be seen: there, a request with
// Transfer-Encoding is the last of its connection, as the RFC has it at the least.
func oneLength(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 && r.TLS != nil {
			w.Header().Set("Connection", "close")
		}
		if c, _ := r.Context().Value(connKey{}).(*conn); c != nil && c.twofold.Load() {
			w.Header()["Connection"] = []string{"close"}
			w.Header()["Content-Type"] = []string{"application/json"}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"code":"two_lengths","message":"the request has both Content-Length and Transfer-Encoding"}}`+"\n")
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.heads.scan(b[:n]) {
		c.twofold.Store(true)
	}
	return n, err
}

// heads looks for heads with both headers in the bytes of a connection. It does
// not know where bodies are: lines that begin like those headers are no JSON, so
// that it takes nothing for a head that the API would have accepted.
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
