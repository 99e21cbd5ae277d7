package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxHead bounds the head of an answer together with the interim answers
	// before it.
	maxHead = 64 << 10
	// maxDrain is how much of an answer's body is read for nothing, so that the
	// connection can be used again. Beyond it a new connection is cheaper.
	maxDrain = 64 << 10
	// drainTime is how long that is waited for where Request.Wait does not say.
	drainTime = 250 * time.Millisecond
	// maxIdle is how long a connection is kept when the far side does not say:
	// below the 60 s after which many servers and load balancers drop it.
	maxIdle = 50 * time.Second
)

var (
	errTooLong = errors.New("the head of the answer is too long")
	errClosed  = errors.New("the answer is closed")
	errNotHTTP = errors.New("malformed HTTP: the answer does not begin with a status line")
)

// Answer is what came back. Its status line decides; the rest is read leniently
// and never trusted.
type Answer struct {
	Code     int    // 101, or 200 and above
	Address  string // connected to, host:port; "" when no connection was made
	Requests int    // requests made: 0, 1, or 2 as [Client.Do] says

	// Truncated is why the head ended after its status line; nil: it is whole.
	Truncated error
	// Sent is how much of the request's body was written, of Length bytes, and
	// Interrupted why it was not all although the far side had not closed the
	// connection: ctx had ended. They are known once the answer is closed.
	Sent, Length int64
	Interrupted  error

	conn    *conn
	ctx     context.Context
	stop    func() bool // of what cuts conn when ctx ends
	upload  *upload     // nil: the body went out with the head
	sent    int64       // before the upload
	early   bool        // the answer came before the body was written
	unheard bool        // not a byte of an answer came
	failed  time.Time   // when the connection did

	head   []byte // the lines after the status line
	body   io.Reader
	length int64 // of the body; -1: unknown
	// announced is what Content-Length says, -1 when it says nothing that can
	// be believed: with HEAD it is another body's.
	announced int64
	read      int64 // of it
	done      bool  // the body was read to its end
	odd       bool  // something about the head is not to be trusted
	keep      time.Duration
	wait      time.Duration
	armed     bool
	closed    bool
}

// Read reads the answer's body. It ends with io.EOF, or with an error where the
// body is cut off.
func (a *Answer) Read(p []byte) (int, error) {
	switch {
	case a.done:
		return 0, io.EOF
	case a.closed:
		return 0, errClosed // not io.EOF: the body did not end here
	}
	if a.length < 0 || a.length-a.read > int64(a.conn.in.Buffered()) {
		a.arm()
	}
	n, err := a.body.Read(p)
	a.read += int64(n)
	ended := errors.Is(err, io.EOF)
	a.done = ended || a.length >= 0 && a.read == a.length
	if err != nil && !ended {
		a.odd = true // there is nothing to drain
		if a.ctx.Err() != nil {
			err = errors.Join(a.ctx.Err(), err)
		}
	}
	return n, err
}

// arm bounds what follows the status line, once.
func (a *Answer) arm() {
	if a.wait > 0 && !a.armed {
		a.armed = true
		a.conn.readBy(a.ctx, time.Now().Add(a.wait))
	}
}

// Whole tells whether every byte of the request's body was written. It is known
// once the answer is closed.
func (a *Answer) Whole() bool { return a.Sent == a.Length }

// Close ends the exchange. With a 2xx the upload first goes on to its end: all
// is written, the far side closes, or the ctx of Do ends; with another code it
// is cut off. Then the connection is kept where that is safe, else closed.
func (a *Answer) Close() error {
	if a.closed || a.conn == nil {
		return nil
	}
	success := a.Code >= 200 && a.Code <= 299
	if a.early && success {
		a.awaitUpload(io.Discard, a.Length+maxDrain)
	} else {
		a.endUpload()
	}
	a.Sent = a.written()
	if !a.early && !a.done && !a.odd && a.length <= maxDrain {
		if a.wait == 0 {
			a.wait = drainTime
		}
		_, _ = io.CopyN(io.Discard, a, maxDrain)
	}
	fit := a.Whole() && a.Truncated == nil && !a.early && a.done && !a.odd && a.keep > 0 && a.conn.in.Buffered() == 0
	if success && !fit {
		a.Sent -= a.settle()
	}
	if !a.Whole() {
		a.Interrupted = a.ctx.Err()
	}
	a.closed = true
	cn := a.conn
	switch untouched := a.stop(); {
	case untouched && fit:
		cn.rest()
		cn.client.pool.keep(cn, a.keep, false)
	case untouched && success && a.upload != nil && a.Whole():
		// The far side may still be reading. To close now could reset the
		// connection under it, and another request would wait behind this one.
		cn.rest()
		cn.client.pool.keep(cn, maxIdle, true)
	default:
		cn.end()
	}
	return nil
}

// Header returns the fields of the head under their canonical names, those that
// are malformed left out.
func (a *Answer) Header() http.Header {
	h := http.Header{}
	for name, value := range a.fields() {
		key := http.CanonicalHeaderKey(string(name))
		h[key] = append(h[key], string(value))
	}
	return h
}

// fields yields name and value of every line of the head that has both.
func (a *Answer) fields() func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		for rest := a.head; len(rest) > 0; {
			var line []byte
			line, rest, _ = bytes.Cut(rest, []byte("\n"))
			name, value, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\r")), []byte(":"))
			if !ok || !token(name) || bytes.ContainsFunc(value, control) {
				a.odd = true // a folded line is one of these, too
				continue
			}
			if !yield(name, bytes.Trim(value, " \t")) {
				return
			}
		}
	}
}

// control tells whether c has no place in a field's value (RFC 9110, 5.5).
func control(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// token tells whether b may be the name of a field (RFC 9110, 5.6.2).
func token(b []byte) bool {
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0:
		default:
			return false
		}
	}
	return len(b) > 0
}
