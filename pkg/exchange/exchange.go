// Package exchange makes one HTTP/1.1 request over one connection and reads its
// answer. Unlike net/http's Transport it never repeats a request that may have
// arrived, writes a body to its end whatever comes back meanwhile, shares no
// connection between destinations, and prints nothing.
//
// A [Pool] bounds what is kept idle over all destinations and lends a [Client]
// to each. The Client's connections and TLS sessions are its own.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	// firstWrite is how much of head and body goes out in one write. What is
	// beyond is streamed by a second goroutine, while the first one reads.
	firstWrite = 16 << 10
	// lastWords is how long an answer is waited for once a write has failed, and
	// how soon after the request a kept connection must have ended for a second
	// request.
	lastWords = time.Second
)

// Target is where a request goes.
type Target struct {
	Secure bool   // TLS
	Host   string // a name or an address without brackets
	Port   string // decimal
}

// Address returns host:port.
func (t Target) Address() string { return net.JoinHostPort(t.Host, t.Port) }

// Request is what one exchange sends.
type Request struct {
	Target Target
	Method string
	// Head appends the request line and the header fields to b, each with its
	// CRLF and none about the body's length, which is appended after it. It is
	// called for each request, so that a second one is signed anew.
	Head func(b []byte) []byte
	// Body begins the body anew; nil means that there is none. It must hold
	// Length bytes; what it holds beyond is not sent. A reader that is an
	// io.Closer is closed in the end, and also while a Read of it goes on when
	// the exchange ends: one whose Read can wait must be such a reader.
	Body   func() (io.Reader, error)
	Length int64
	// Again permits a second request, as [Client.Do] says.
	Again bool
	// Wait bounds everything that follows the status line; 0 means that ctx
	// alone does. It is for callers whose outcome the status has decided.
	Wait time.Duration
}

// Do sends r and reads the head of the answer. The Answer is never nil; with an
// error it holds no more than Address and Requests. Without one it must be closed.
//
// One Do is one request. Where r.Again permits it, a second one is made when a
// kept connection ended within a second and before a byte of an answer: over a
// fresh connection, under the same ctx. An interim answer (1xx) is skipped, but
// for 101, which ends it.
func (c *Client) Do(ctx context.Context, r *Request) (*Answer, error) {
	a := &Answer{}
	if r.Length < 0 || r.Length > 0 && r.Body == nil {
		return a, errNoLength
	}
	if ctx.Err() != nil {
		return a, ctx.Err() // a kept connection could take the request before it is cut
	}
	cn, kept, err := c.connection(ctx, r.Target)
	if err != nil {
		return a, err
	}
	began := time.Now()
	err = a.try(ctx, cn, r)
	if err == nil || !r.Again || !kept || !a.unheard || timedOut(err) || ctx.Err() != nil || a.failed.Sub(began) > lastWords {
		return a, err
	}
	fresh, again := c.dial(ctx, r.Target)
	if again == nil {
		a = &Answer{Requests: a.Requests}
		again = a.try(ctx, fresh, r)
	}
	if again != nil && a.Requests == 1 {
		return a, fmt.Errorf("%w; a second request could not be made: %w", err, again)
	}
	return a, again
}

// timedOut tells whether err says that time was up, rather than that the far
// side ended the connection.
func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// ended tells whether err says that the far side has no more to say.
func ended(err error) bool { return errors.Is(err, io.EOF) }

// try makes one request over cn and reads the head of its answer. After an
// error cn is closed.
func (a *Answer) try(ctx context.Context, cn *conn, r *Request) error {
	a.conn, a.ctx, a.wait = cn, ctx, r.Wait
	a.Address, a.Length = cn.address, r.Length
	a.stop = context.AfterFunc(ctx, cn.cut)
	answered := false
	defer func() {
		if !answered { // also when Head or the body's source panics
			a.endUpload()
			a.stop()
			cn.end()
			a.closed = true
		}
	}()
	written, err := a.send(r)
	if written != nil {
		a.failed = time.Now()
		cn.readBy(ctx, a.failed.Add(lastWords))
	}
	if err == nil {
		err = a.readHead(r.Method)
	}
	if err == nil {
		answered = true
		return nil
	}
	if written == nil {
		a.failed = time.Now()
	}
	if u := a.upload; u != nil {
		// Before it is cut, which is no failure of the far side's.
		var source error
		if written, source = u.failure(); source != nil {
			a.unheard, err = false, source // the same would come of a second request
		}
	}
	if written != nil && a.unheard {
		err = written // what was read of the answer says less
	}
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return err
}

// send writes head and body, or begins to. It returns the error of writing,
// after which an answer may still come, and that of the body's source, after
// which none can.
func (a *Answer) send(r *Request) (written, err error) {
	var body io.Reader
	defer func() {
		if a.upload == nil {
			closeSource(body)
		}
	}()
	buf := takeBuffer()
	defer buf.give()
	b := r.Head(buf.b[:0])
	if r.Body != nil || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	head := len(b)
	if r.Body != nil && r.Length > 0 {
		if body, err = r.Body(); err != nil {
			return nil, err
		}
		first := int(min(r.Length, int64(max(firstWrite-head, 0))))
		b = append(b, make([]byte, first)...)
		if _, err := io.ReadFull(body, b[head:]); err != nil {
			return nil, fmt.Errorf("read the body: %w", err)
		}
	}
	buf.b = b
	a.Requests++
	n, err := a.conn.Write(b)
	a.sent = int64(max(n-head, 0))
	if rest := r.Length - a.sent; err == nil && rest > 0 {
		a.begin(body, rest)
	}
	return err, nil
}

// Fields returns the header of names and values in turn as Head appends it.
func Fields(b []byte, pairs ...string) []byte {
	for i := 0; i+1 < len(pairs); i += 2 {
		b = append(append(append(append(b, pairs[i]...), ": "...), oneLine(pairs[i+1])...), "\r\n"...)
	}
	return b
}

// oneLine keeps a value within its line: nothing that was not checked may add a
// header of its own.
func oneLine(value string) string {
	for i := range len(value) { // several times as fast as strings.ContainsAny
		if c := value[i]; c == '\r' || c == '\n' || c == 0 {
			return strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace(value)
		}
	}
	return value
}
