package exchange

import (
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

// RoundTrip makes one exchange. It closes the request's body, as the interface asks.
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	r, err := request(req)
	if err != nil {
		return nil, err
	}
	a, err := t.Do(req.Context(), r)
	if err != nil {
		return nil, err
	}
	if a.Truncated == nil && a.early && a.Code <= 299 {
		a.awaitUpload()
		if sent := a.sent + a.upload.sent; sent < a.Length {
			_ = a.Close()
			return nil, fmt.Errorf("answered %d after %d of %d bytes", a.Code, sent, a.Length)
		}
	}
	if a.Truncated != nil {
		_ = a.Close()
		return nil, fmt.Errorf("answered %d: %w", a.Code, a.Truncated)
	}
	return &http.Response{
		Status: fmt.Sprintf("%03d %s", a.Code, http.StatusText(a.Code)), StatusCode: a.Code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.Header(), Body: &body{Answer: a}, ContentLength: a.length, Request: req,
	}, nil
}

// body is an answer's as net/http's clients know it: Close may come while a
// Read waits, and ends it.
type body struct {
	*Answer
	mu sync.Mutex
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Answer.Read(p)
}

func (b *body) Close() error {
	if !b.mu.TryLock() {
		b.conn.cut()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	return b.Answer.Close()
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (t Transport) CloseIdleConnections() { t.closeIdle() }

// request turns what net/http's clients send into a Request.
func request(req *http.Request) (*Request, error) {
	u := req.URL
	target, err := TargetOf(u)
	if err != nil {
		return nil, err
	}
	r := &Request{Target: target, Method: req.Method, Length: req.ContentLength, Again: true}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if req.Body != nil && req.Body != http.NoBody {
		if req.ContentLength <= 0 {
			return nil, errNoLength
		}
		next := func() (io.ReadCloser, error) { return req.Body, nil }
		r.Again = req.GetBody != nil
		r.Body = func() (io.Reader, error) {
			body, err := next()
			next = req.GetBody
			return body, err
		}
	}
	host := req.Host
	if host == "" {
		host = u.Host
	}
	names := make([]string, 0, len(req.Header))
	for name := range req.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Expect", "Connection":
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	r.Head = func(b []byte) []byte {
		b = append(append(append(append(b, r.Method...), ' '), u.RequestURI()...), " HTTP/1.1\r\n"...)
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
