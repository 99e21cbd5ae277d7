package exchange

import "time"

// stuck is how long a request is waited for of which nothing gets through, where
// no ctx ends before.
const stuck = time.Minute

// settle makes sure of what a connection that ends carries still, and returns how
// many bytes of the request the far side has not taken. A socket that is closed
// with bytes in it that nobody read is reset, and drops what it has yet to send:
// a receiver that answers while it reads would lose the rest of what it has said
// to have. So what comes is read, for nothing, until the far side's machine has
// the whole request; after an upload also for as long as more comes, up to the
// request's length and a little: some receivers send all of it back.
func (a *Answer) settle() (unsent int64) {
	cn, wait := a.conn, a.wait
	if wait == 0 {
		wait = drainTime
	}
	most, last, before := a.Length+maxDrain, time.Now(), int64(-1)
	// Nothing tells when a socket has sent all: it is looked at again and again.
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		left, open := queued(cn.socket)
		if left != before {
			before, last = left, time.Now()
		}
		if unsent = min(left, a.Sent); unsent > 0 && (!open || time.Since(last) >= stuck) { // what is more is of the head, or of TLS
			return unsent
		}
		if unsent == 0 && (a.upload == nil || a.done || most <= 0 || time.Since(last) >= wait) || a.ctx.Err() != nil {
			return unsent
		}
		cn.readBy(a.ctx, time.Now().Add(pause))
		_, err := cn.in.Peek(1)
		switch n := cn.in.Buffered(); {
		case n > 0:
			_, _ = cn.in.Discard(n)
			a.odd = true // the framing is lost
			most, last, pause = most-int64(n), time.Now(), time.Millisecond/2
		case timedOut(err):
		case unsent > 0 && ended(err): // it has nothing more to say, and may be reading still
			a.pause(pause)
		default:
			return unsent
		}
	}
}

// pause waits, at most for so long.
func (a *Answer) pause(long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.ctx.Done():
	}
}
