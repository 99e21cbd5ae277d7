package exchange

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// readHead reads up to the end of the head of the final answer. An error means
// that no status line came; one after it stands in a.Truncated.
func (a *Answer) readHead(method string) error {
	in := a.conn.in
	first, err := in.Peek(1)
	if err != nil {
		a.unheard = true
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the far side closed the connection before an answer: %w", err)
		}
		return err
	}
	if first[0] != 'H' && first[0] != 'h' { // what is no HTTP need not have lines
		return errNotHTTP
	}
	a.head = make([]byte, 0, 256)
	for left := maxHead; ; {
		a.head = a.head[:0]
		if err := a.line(&left); err != nil {
			return err
		}
		version, code, ok := statusLine(a.head)
		if !ok {
			return errNotHTTP
		}
		a.odd = !proper(a.head)
		a.head = a.head[:0]
		if code >= 200 || code == 101 {
			a.Code, a.early = code, a.upload != nil && a.upload.running()
			a.Truncated = a.block(&left)
			a.frame(method, version)
			return nil
		}
		if err := a.block(&left); err != nil {
			return err
		}
	}
}

// line appends one line to a.head, with its end, and takes its length off left.
func (a *Answer) line(left *int) error {
	in := a.conn.in
	for {
		if a.Code != 0 && a.wait > 0 && !a.armed {
			if here, _ := in.Peek(in.Buffered()); bytes.IndexByte(here, '\n') < 0 {
				a.arm()
			}
		}
		part, err := in.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return errTooLong
		}
		a.head = append(a.head, part...)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return cutOff(err)
		}
	}
}

// cutOff words the end of a connection inside an answer.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the answer is cut off: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// block reads lines up to an empty one, which it leaves out.
func (a *Answer) block(left *int) error {
	for {
		before := len(a.head)
		if err := a.line(left); err != nil {
			a.head = a.head[:before] // half a line says nothing
			return err
		}
		line := a.head[before:]
		a.odd = a.odd || !proper(line)
		if blank(line) {
			a.head = a.head[:before]
			return nil
		}
	}
}

// proper tells whether a line ends as it should and has no control characters.
func proper(line []byte) bool {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	return ok && !bytes.ContainsFunc(text, control)
}

// blank tells whether a line ends a head or a trailer.
func blank(line []byte) bool { return string(line) == "\r\n" || string(line) == "\n" }

// statusLine reads "HTTP/1.1 200 OK". Real servers leave out the phrase or the
// space before it, or write the protocol in lower case.
func statusLine(line []byte) (version string, code int, ok bool) {
	protocol, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	status, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	if len(protocol) < len("HTTP/1.1") || !bytes.EqualFold(protocol[:5], []byte("HTTP/")) || len(status) != 3 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(string(status), 10, 16)
	return string(protocol[5:]), int(n), err == nil && n >= 100
}

// frame finds out from the head how long the body is and whether the connection
// can be used again.
func (a *Answer) frame(method, version string) {
	a.keep = maxIdle
	if version != "1.1" {
		a.keep = 0
	}
	var codings []string
	lengths, length := 0, "" // one that is repeated is one (RFC 9110, 8.6)
	for name, value := range a.fields() {
		switch len(name) { // few names have these lengths: it spares comparisons
		case len("Connection"):
			switch {
			case bytes.EqualFold(name, []byte("Connection")):
				if !bytes.EqualFold(value, []byte("keep-alive")) {
					a.keep = 0
				}
			case bytes.EqualFold(name, []byte("Keep-Alive")):
				a.keep = min(a.keep, keepAlive(string(value)))
			}
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				if lengths++; lengths > 1 && length != string(value) {
					value = nil
				}
				length = string(value)
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				codings = append(codings, string(value))
			}
		}
	}
	a.announced = -1
	if digits(length) && len(codings) == 0 {
		a.announced, _ = strconv.ParseInt(length, 10, 64)
	}
	a.odd = a.odd || lengths > 1 || lengths == 1 && !digits(length)
	in := a.conn.in
	a.length = 0
	switch {
	case a.Truncated != nil, a.Code == 101:
		a.odd = true
	case method == "HEAD", a.Code == 304:
	case a.Code == 204:
		a.odd = a.odd || len(codings) > 0 || a.announced > 0 // a body may follow, against the rules
	case len(codings) == 1 && strings.EqualFold(codings[0], "chunked"):
		a.length, a.body, a.odd = -1, &chunked{in: in, chunks: httputil.NewChunkedReader(in)}, a.odd || lengths > 0
	case a.announced >= 0:
		a.length, a.body = a.announced, &exactly{in, a.announced}
	default: // unknown, or what cannot be believed: whatever comes until the far side closes
		a.length, a.body, a.odd = -1, in, true
	}
	a.done = a.length == 0
}

// digits tells whether text is a number that an int64 holds.
func digits(text string) bool {
	return text != "" && len(text) <= 18 && strings.Trim(text, "0123456789") == ""
}

// keepAlive returns how long a connection may be kept by the value of a
// Keep-Alive field: a little less than it says, since the far side's clock
// starts before ours.
func keepAlive(value string) time.Duration {
	for part := range strings.SplitSeq(value, ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		seconds, err := strconv.ParseUint(strings.Trim(text, `" `), 10, 16)
		if strings.EqualFold(strings.TrimSpace(name), "timeout") && err == nil {
			said := time.Duration(seconds) * time.Second
			return max(said-time.Second, said/2)
		}
	}
	return maxIdle
}

// exactly reads n bytes. Less is an error.
type exactly struct {
	in   io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.in.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); e.left == 0 {
		return n, nil // TLS may say with the last byte that the far side closes
	}
	return n, cutOff(err)
}

// chunked reads a body in chunks with its trailer.
type chunked struct {
	in     *bufio.Reader
	chunks io.Reader
}

func (c *chunked) Read(p []byte) (int, error) {
	n, err := c.chunks.Read(p)
	if err != io.EOF {
		return n, err
	}
	for range 64 { // fields of the trailer, which say nothing to us
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return n, cutOff(err)
		}
		if blank(line) {
			return n, io.EOF
		}
	}
	return n, errTooLong
}
