package api

import (
	"bytes"
	"errors"
	"io"
)

// errTooMuch: the line goes beyond what one request may hold.
var errTooMuch = errors.New("more bytes than are allowed")

// lines reads lines from in, at most limit bytes in all.
type lines struct {
	in    io.Reader
	limit int64
	grow  func(size int) error // asked before the buffer becomes larger than leastLines

	number int // of the line that next returned, or that it failed to read; from 1
	buf    []byte
	start  int   // buf[start:end] is read but not returned
	end    int   //
	gone   int64 // bytes of the input before buf[start]
	err    error // of in; sticky
}

// ready tells whether next has a whole line without reading.
func (l *lines) ready() bool {
	return l.err != nil || bytes.IndexByte(l.buf[l.start:l.end], '\n') >= 0
}

// next returns a line without its end, valid until the next call. The last one
// may lack a newline, but only when the input ends as it should: io.EOF comes
// after it. A line that is cut short by any other error is not returned.
func (l *lines) next() ([]byte, error) {
	l.number++
	for searched := 0; ; {
		unread := l.buf[l.start:l.end]
		if i := bytes.IndexByte(unread[searched:], '\n'); i >= 0 {
			return l.take(searched+i, 1)
		}
		searched = len(unread)
		switch {
		case l.gone+int64(searched) > l.limit:
			return nil, errTooMuch
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
func (l *lines) take(n, newline int) ([]byte, error) {
	if l.gone+int64(n+newline) > l.limit {
		return nil, errTooMuch
	}
	line := l.buf[l.start : l.start+n : l.start+n]
	l.start += n + newline
	l.gone += int64(n + newline)
	return line, nil
}

// Buffers of this many bytes cost little while nobody sends, and have as many lines
// committed together as pays while somebody does.
const (
	leastLines = 16 << 10
	fastLines  = 64 << 10
)

// widen makes the buffer larger for a sender that has filled it with lines. It is
// false where there is no need, or no room: the lines do with what they have.
func (l *lines) widen() bool {
	size := min(2*len(l.buf), fastLines)
	if size <= len(l.buf) || int64(size) > l.limit+1 || l.grow(size) != nil {
		return false
	}
	l.enlarge(size)
	return true
}

// enlarge moves what is not returned yet to the begin of a buffer of size bytes.
func (l *lines) enlarge(size int) {
	larger := make([]byte, size)
	l.end = copy(larger, l.buf[l.start:l.end])
	l.buf, l.start = larger, 0
}

// fill reads once. It never reads more than a byte beyond the limit, which is
// enough to know.
func (l *lines) fill() error {
	if l.start > 0 && l.end == len(l.buf) && !l.widen() {
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	if l.end == len(l.buf) {
		size := min(int64(max(2*len(l.buf), leastLines)), l.limit+1)
		if size > leastLines {
			if err := l.grow(int(size)); err != nil {
				return err
			}
		}
		l.enlarge(max(int(size), l.end+1))
	}
	room := min(int64(len(l.buf)-l.end), l.limit+1-l.gone-int64(l.end-l.start))
	n, err := l.in.Read(l.buf[l.end : l.end+int(room)])
	l.end += n
	l.err = err
	return nil
}
