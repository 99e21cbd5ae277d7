package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Transport is a Client as an [http.RoundTripper], for SDKs that want one. A
// second request is made as [Client.Do] says, where the body can begin anew. An
// answer of success that came before the whole body was taken is an error here:
// only a webhook's far side may have its word without it.
type Transport struct{ *Client }

var _ http.RoundTripper = Transport{}

// ErrNotHTTP is what a Transport's request to a port of another protocol ends with.
// [Client.Do] has none: to a webhook all that is no 2xx is the same.
var ErrNotHTTP = errors.New("what answers there does not speak HTTP")

// maxEarly is how much of an answer is kept in memory while the upload that it
// answers goes on. A far side that sends more waits until all is written.
const maxEarly = 1 << 20

// RoundTrip makes one exchange. It closes the request's body, as the interface asks.
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	source := &source{req: req}
	defer source.end()
	r, err := request(req, source)
	if err != nil {
		return nil, err
	}
	a, err := t.Do(req.Context(), r)
	if errors.Is(err, errNotHTTP) {
		err = fmt.Errorf("%w: %w", ErrNotHTTP, err)
	}
	if err != nil {
		return nil, err
	}
	if a.Truncated != nil {
		_ = a.Close()
		return nil, fmt.Errorf("answered %d: %w", a.Code, a.Truncated)
	}
	if a.Code >= 200 && a.Code <= 299 {
		if err := a.whole(); err != nil {
			_ = a.Close()
			return nil, err
		}
	}
	length := a.length
	if r.Method == http.MethodHead {
		length = a.announced
	}
	return &http.Response{
		Status: fmt.Sprintf("%03d %s", a.Code, http.StatusText(a.Code)), StatusCode: a.Code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.Header(), Body: &body{answer: a}, ContentLength: length, Request: req,
	}, nil
}

// whole waits for the end of the upload and tells what is missing of it. What
// comes of the answer meanwhile is there to be read still.
func (a *Answer) whole() error {
	var early bytes.Buffer
	a.awaitUpload(&early, maxEarly)
	if early.Len() > 0 {
		in := a.conn.in
		here, _ := in.Peek(in.Buffered())
		early.Write(here)
		in.Reset(io.MultiReader(&early, a.conn.Conn))
	}
	if a.written() == a.Length {
		return nil
	}
	err := fmt.Errorf("answered %d after %d of %d bytes", a.Code, a.written(), a.Length)
	if a.upload != nil {
		if _, source := a.upload.failure(); source != nil {
			return fmt.Errorf("%w: %w", err, source)
		}
	}
	return err
}

// body is an Answer's for those who close what they are reading in another
// goroutine, as net/http lets them: its reader goes to another connection then.
type body struct {
	answer *Answer
	mu     sync.Mutex
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answer.Read(p)
}

func (b *body) Close() error {
	if !b.mu.TryLock() {
		b.answer.conn.cut()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	return b.answer.Close()
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (t Transport) CloseIdleConnections() { t.closeIdle() }

// source is the body of an http.Request. Whoever begins it closes it.
type source struct {
	req   *http.Request
	begun bool
}

func (s *source) begin() (io.Reader, error) {
	if !s.begun {
		s.begun = true
		return s.req.Body, nil
	}
	return s.req.GetBody()
}

// end closes a body that was not begun.
func (s *source) end() {
	if !s.begun && s.req.Body != nil {
		_ = s.req.Body.Close()
	}
}

var errNoLength = errors.New("a body of unknown length cannot be sent: ContentLength must say it")

// request turns what net/http's clients send into a Request.
func request(req *http.Request, body *source) (*Request, error) {
	u := req.URL
	target, err := TargetOf(u)
	if err != nil {
		return nil, err
	}
	r := &Request{Target: target, Method: req.Method, Again: true}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if req.Body != nil && req.Body != http.NoBody {
		if req.ContentLength <= 0 {
			return nil, errNoLength
		}
		r.Length, r.Body, r.Again = req.ContentLength, body.begin, req.GetBody != nil
	}
	path := u.RequestURI()
	if !token([]byte(r.Method)) || strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return nil, errors.New("the method or the URL cannot stand in a request line")
	}
	host := req.Host
	if host == "" {
		host = u.Host
	}
	names := make([]string, 0, len(req.Header))
	for name, values := range req.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Host", "Content-Length", "Transfer-Encoding", "Expect", "Connection":
			continue
		}
		if !token([]byte(name)) || slices.ContainsFunc(values, func(v string) bool { return v != oneLine(v) }) {
			return nil, fmt.Errorf("%.40q or its value cannot stand in a header", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	r.Head = func(b []byte) []byte {
		b = append(append(append(append(b, r.Method...), ' '), path...), " HTTP/1.1\r\n"...)
		b = Fields(b, "Host", host)
		for _, name := range names {
			for _, value := range req.Header[name] {
				b = Fields(b, name, value)
			}
		}
		return b
	}
	return r, nil
}

// TargetOf returns where u leads.
func TargetOf(u *url.URL) (Target, error) {
	t := Target{Secure: u.Scheme == "https", Host: u.Hostname(), Port: u.Port()}
	if u.Scheme != "https" && u.Scheme != "http" || t.Host == "" {
		return t, fmt.Errorf("%.20q is no scheme of HTTP, or there is no host", u.Scheme)
	}
	if t.Port == "" {
		t.Port = map[bool]string{false: "80", true: "443"}[t.Secure]
	}
	t.Host = strings.ToLower(t.Host)
	return t, nil
}

// HTTP returns an [http.Client] over c, which follows no redirect.
func (c *Client) HTTP() *http.Client {
	return &http.Client{
		Transport:     Transport{c},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
