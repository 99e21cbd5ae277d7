// Package ndjson reads the lines of a batch: one event each, with what goes beside it.
package ndjson

import (
	"bytes"
	"errors"
	"io"
)

// ErrTooMuch: the line goes beyond what one request may hold.
var ErrTooMuch = errors.New("more bytes than are allowed")

// Reader reads lines from In, at most Limit bytes in all.
type Reader struct {
	In    io.Reader
	Limit int64
	Grow  func(size int) error // asked before the buffer becomes larger than LeastBuffer

	Number int // of the line that Next returned, or that it failed to read; from 1

	buf   []byte
	start int   // buf[start:end] is read but not returned
	end   int   //
	gone  int64 // bytes of the input before buf[start]
	err   error // of in; sticky
}

// Ready tells whether Next has a whole line without reading.
func (l *Reader) Ready() bool {
	return l.err != nil || bytes.IndexByte(l.buf[l.start:l.end], '\n') >= 0
}

// Next returns a line without its end, valid until the next call. The last one
// may lack a newline, but only when the input ends as it should: io.EOF comes
// after it. A line that is cut short by any other error is not returned.
func (l *Reader) Next() ([]byte, error) {
	l.Number++
	for searched := 0; ; {
		unread := l.buf[l.start:l.end]
		if i := bytes.IndexByte(unread[searched:], '\n'); i >= 0 {
			return l.take(searched+i, 1)
		}
		searched = len(unread)
		switch {
		case l.gone+int64(searched) > l.Limit:
			return nil, ErrTooMuch
		case errors.Is(l.err, io.EOF) && searched > 0:
			return l.take(searched, 0)
		case l.err != nil:
			return nil, l.err
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// take returns the next n bytes and passes them and the newline.
func (l *Reader) take(n, newline int) ([]byte, error) {
	if l.gone+int64(n+newline) > l.Limit {
		return nil, ErrTooMuch
	}
	line := l.buf[l.start : l.start+n : l.start+n]
	l.start += n + newline
	l.gone += int64(n + newline)
	return line, nil
}

// LeastBuffer is what a Reader begins with: it costs little while nobody sends.
// fastBuffer is for who sends fast: it holds so many lines that committing them
// together pays.
const (
	LeastBuffer = 16 << 10
	fastBuffer  = 64 << 10
)

// widen makes the buffer larger for a sender that has filled it with lines. It is
// false where there is no need, or no room: the lines do with what they have.
func (l *Reader) widen() bool {
	size := min(2*len(l.buf), fastBuffer)
	if size <= len(l.buf) || int64(size) > l.Limit+1 || l.Grow(size) != nil {
		return false
	}
	l.enlarge(size)
	return true
}

// enlarge moves what is not returned yet to the beginning of a buffer of size bytes.
func (l *Reader) enlarge(size int) {
	larger := make([]byte, size)
	l.end = copy(larger, l.buf[l.start:l.end])
	l.buf, l.start = larger, 0
}

// fill reads once. It never reads more than a byte beyond the limit, which is
// enough to know.
func (l *Reader) fill() error {
	if l.start > 0 && l.end == len(l.buf) && !l.widen() {
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	if l.end == len(l.buf) {
		size := min(int64(max(2*len(l.buf), LeastBuffer)), l.Limit+1)
		if size > LeastBuffer {
			if err := l.Grow(int(size)); err != nil {
				return err
			}
		}
		l.enlarge(max(int(size), l.end+1))
	}
	room := min(int64(len(l.buf)-l.end), l.Limit+1-l.gone-int64(l.end-l.start))
	n, err := l.In.Read(l.buf[l.end : l.end+int(room)])
	l.end += n
	l.err = err
	return nil
}
