package exchange

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// upload streams the rest of a body while the answer is read.
type upload struct {
	done chan struct{}
	body io.Reader

	mu   sync.Mutex
	over bool
	// awaited has the reader woken when the upload is over: it only reads to
	// keep the far side from waiting for us.
	awaited bool
	sent    int64
	err     error // of the connection
	source  error // of the body
	closed  bool  // body
}

// begin streams rest bytes of body.
func (a *Answer) begin(body io.Reader, rest int64) {
	u := &upload{done: make(chan struct{}), body: body}
	a.upload = u
	go func() {
		defer close(u.done)
		defer u.closeBody()
		n, err, source := stream(a.conn, body, rest)
		u.mu.Lock()
		defer u.mu.Unlock()
		u.over, u.sent, u.err, u.source = true, n, err, source
		switch {
		case u.awaited, source != nil: // the far side waits for a body that will not come
			_ = a.conn.SetReadDeadline(past)
		case err != nil:
			a.conn.readBy(a.ctx, time.Now().Add(lastWords))
		}
	}()
}

// stream writes n bytes of body to w and returns how many were written, and the
// error of writing or that of the body's source. A panic of the source is an
// error: it must not end the process.
func stream(w io.Writer, body io.Reader, n int64) (written int64, err, source error) {
	to := &counter{w: w, left: n}
	defer func() {
		if v := recover(); v != nil {
			written, err, source = n-to.left, nil, fmt.Errorf("reading the body panicked (%T)", v)
		}
	}()
	if whole, ok := body.(io.WriterTo); ok { // bytes.Reader: one write, no copy
		_, source = whole.WriteTo(to)
	} else {
		_, source = io.Copy(to, io.LimitReader(body, n))
	}
	switch {
	case to.err != nil, to.left == 0: // the source has done its part
		return n - to.left, to.err, nil
	case source == nil:
		source = io.ErrUnexpectedEOF
	}
	return n - to.left, nil, fmt.Errorf("read the body: %w", source)
}

// counter counts down what is written and takes no more than it was made for.
type counter struct {
	w    io.Writer
	left int64
	err  error
}

func (c *counter) Write(b []byte) (n int, err error) {
	whole := int64(len(b)) <= c.left
	n, c.err = c.w.Write(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	if c.err == nil && !whole {
		return n, errLonger
	}
	return n, c.err
}

var errLonger = errors.New("the body is longer than it was announced to be")

// failure returns why the upload ended early, by the connection or by the
// body's source; nil while it goes on.
func (u *upload) failure() (err, source error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err, u.source
}

// running tells whether the upload goes on.
func (u *upload) running() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.over
}

// closeBody closes the body's source, once.
func (u *upload) closeBody() {
	u.mu.Lock()
	before := u.closed
	u.closed = true
	u.mu.Unlock()
	if !before {
		closeSource(u.body)
	}
}

// closeSource closes what Request.Body gave, where that can be closed.
func closeSource(body io.Reader) {
	if c, ok := body.(io.Closer); ok {
		_ = c.Close() // nothing was written to it
	}
}

// written returns how much of the body was written. It is final once the upload
// is over.
func (a *Answer) written() int64 {
	u := a.upload
	if u == nil {
		return a.sent
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return a.sent + u.sent
}

// endUpload cuts an upload that goes on and waits for its goroutine.
func (a *Answer) endUpload() {
	if u := a.upload; u != nil {
		if u.running() {
			_ = a.conn.SetWriteDeadline(past)
			u.closeBody()
		}
		<-u.done
	}
}

// awaitUpload lets the upload come to its end: all is written, the far side has
// closed, or ctx has ended. Meanwhile it copies to w what the far side sends, at
// most so many bytes, since some write their answer as they read.
func (a *Answer) awaitUpload(w io.Writer, most int64) {
	u := a.upload
	if u == nil {
		return
	}
	u.mu.Lock()
	u.awaited = !u.over
	u.mu.Unlock()
	if !u.awaited {
		return
	}
	a.conn.readBy(a.ctx, time.Time{})
	if u.running() { // readBy may have undone its waking
		_, _ = io.CopyN(w, a.conn.in, most)
	}
	select {
	case <-u.done:
	case <-a.ctx.Done():
		a.endUpload()
	}
	a.conn.readBy(a.ctx, time.Time{})
}
