package odd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
)

// Request is a request that arrived, at least in part. It is filled while it arrives; its methods may be
// called at any time.
type Request struct {
	Line   string   // such as POST /hook HTTP/1.1
	Header []string // lines as they came
	Conn   int      // its connection's number
	Kept   bool     // others came over it before

	length int64 // of the body; -1: chunked
	body   io.Reader

	mu     sync.Mutex
	got    int64
	sum    hash.Hash
	begin  []byte // the first of the body
	whole  bool
	failed bool
}

// kept is how much of a body is kept as it is.
const kept = 2 << 20

// maxHead bounds a request's head.
const maxHead = 64 << 10

func (c *Conn) readHead() (*Request, error) {
	line := func() (string, error) {
		text, err := c.in.ReadString('\n')
		if len(text) > maxHead {
			err = errors.New("a line without end")
		}
		return strings.TrimRight(text, "\r\n"), err
	}
	first, err := line()
	if err != nil {
		return nil, err
	}
	r := &Request{Line: first, Conn: c.Number, Kept: c.Served > 0, sum: sha256.New()}
	for {
		text, err := line()
		if err != nil {
			return nil, err
		}
		if text == "" {
			break
		}
		r.Header = append(r.Header, text)
	}
	r.body = io.LimitReader(c.in, 0)
	if n, err := strconv.ParseInt(r.Get("Content-Length"), 10, 64); err == nil {
		r.length, r.body = n, io.LimitReader(c.in, n)
	} else if strings.EqualFold(r.Get("Transfer-Encoding"), "chunked") {
		r.length, r.body = -1, httputil.NewChunkedReader(c.in)
	}
	c.server.note(r)
	return r, nil
}

func (s *Server) note(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
}

// Get returns the value of a header, whatever the case of its name.
func (r *Request) Get(name string) string {
	for _, h := range r.Header {
		if n, v, _ := strings.Cut(h, ":"); strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Names are those of the headers, as they came.
func (r *Request) Names() (all []string) {
	for _, h := range r.Header {
		n, _, _ := strings.Cut(h, ":")
		all = append(all, n)
	}
	return all
}

// Path is that of the request's target.
func (r *Request) Path() string {
	parts := strings.Fields(r.Line)
	if len(parts) < 2 {
		return ""
	}
	path, _, _ := strings.Cut(parts[1], "?")
	return path
}

// Echo is the request's head, as hostile servers repeat it.
func (r *Request) Echo() string { return r.Line + "\r\n" + strings.Join(r.Header, "\r\n") }

// Read reads n bytes of the body, or as many as there are.
func (r *Request) Read(n int64) {
	buf := make([]byte, min(max(n, 1), 64<<10))
	for n > 0 {
		k, err := r.body.Read(buf[:min(n, int64(len(buf)))])
		n -= int64(k)
		r.mu.Lock()
		r.got += int64(k)
		r.sum.Write(buf[:k])
		r.begin = append(r.begin, buf[:min(k, kept-len(r.begin))]...)
		if err != nil || r.length >= 0 && r.got == r.length {
			r.whole = r.got == r.length || r.length < 0 && errors.Is(err, io.EOF)
			r.failed = !r.whole
			n = 0
		}
		r.mu.Unlock()
	}
}

// ReadBody reads what is left of the body.
func (r *Request) ReadBody() {
	if r.length != 0 && !r.Whole() {
		r.Read(1 << 40)
	}
}

// Whole tells whether all of the body has arrived.
func (r *Request) Whole() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.whole
}

// Failed tells whether the connection ended within the body.
func (r *Request) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Is tells whether what arrived is this body.
func (r *Request) Is(body []byte) bool {
	want := sha256.Sum256(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.whole && string(r.sum.Sum(nil)) == string(want[:])
}

// Body returns the first 2 MiB of what has arrived of the body.
func (r *Request) Body() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.begin)
}

// String is for messages of tests.
func (r *Request) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%q over connection %d, %d of %d bytes", r.Line, r.Conn, r.got, r.length)
}

// Text is an answer with a body. header is lines that each end with CRLF.
func Text(status int, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), header, len(body), body)
}

// Size is how much of the body has arrived.
func (r *Request) Size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int(r.got)
}

// SHA256 is that of what has arrived of the body, in hex.
func (r *Request) SHA256() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return hex.EncodeToString(r.sum.Sum(nil))
}
