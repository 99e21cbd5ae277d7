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
	mu   sync.Mutex
	over bool
	// awaited has the reader woken when the upload is over: it only reads to
	// keep the far side from waiting for us.
	awaited bool
	sent    int64
	err     error
}

// begin streams rest bytes of body.
func (a *Answer) begin(body io.Reader, rest int64) {
	u := &upload{done: make(chan struct{})}
	a.upload = u
	go func() {
		defer close(u.done)
		n, err := stream(a.conn, body, rest)
		u.mu.Lock()
		defer u.mu.Unlock()
		u.over, u.sent, u.err = true, n, err
		switch {
		case u.awaited:
			_ = a.conn.SetReadDeadline(past)
		case err != nil:
			a.conn.readBy(a.ctx, time.Now().Add(lastWords))
		}
	}()
}

// stream writes n bytes of body to w and returns how many were written. A
// panic of the body's source is an error: it must not end the process.
func stream(w io.Writer, body io.Reader, n int64) (written int64, err error) {
	to := &counter{w: w, left: n}
	defer func() {
		if v := recover(); v != nil {
			written, err = n-to.left, fmt.Errorf("reading the body panicked (%T)", v)
		}
	}()
	if whole, ok := body.(io.WriterTo); ok { // bytes.Reader: one write, no copy
		_, err = whole.WriteTo(to)
	} else {
		_, err = io.Copy(to, io.LimitReader(body, n))
	}
	if err == nil && to.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n - to.left, err
}

// counter counts down what is written and takes no more than it was made for.
type counter struct {
	w    io.Writer
	left int64
}

func (c *counter) Write(b []byte) (int, error) {
	if int64(len(b)) > c.left {
		return 0, errors.New("the body is longer than it was announced to be")
	}
	n, err := c.w.Write(b)
	c.left -= int64(n)
	return n, err
}

// failure returns why the upload ended early; nil while it goes on.
func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// running tells whether the upload goes on.
func (u *upload) running() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.over
}

// endUpload cuts an upload that goes on and waits for its goroutine.
func (a *Answer) endUpload() {
	if u := a.upload; u != nil {
		if u.running() {
			_ = a.conn.SetWriteDeadline(past)
		}
		<-u.done
	}
}

// awaitUpload lets the upload come to its end: all is written, the far side has
// closed, or ctx has ended. Meanwhile it takes what the far side sends, up to a
// bound, since some write their answer as they read.
func (a *Answer) awaitUpload() {
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
	deadline, _ := a.ctx.Deadline()
	a.conn.readBy(a.ctx, deadline)
	if u.running() { // readBy may have undone its waking
		_, _ = io.CopyN(io.Discard, a.body, a.Length+maxDrain)
	}
	<-u.done
}
