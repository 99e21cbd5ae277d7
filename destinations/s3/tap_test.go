package s3

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// tap sits between a destination and its network: it may answer requests by
// itself, do something else between them, and remembers them.
type tap struct {
	via    http.RoundTripper
	before func(*http.Request) *http.Response // nil, or nil returned: the request goes on
	after  func(*http.Request, *http.Response)

	mu   sync.Mutex
	seen []string // method and key, of a path-style URL
}

func (t *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	_, key, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	t.seen = append(t.seen, req.Method+" "+key)
	t.mu.Unlock()
	if t.before != nil {
		if resp := t.before(req); resp != nil {
			resp.Request = req
			return resp, nil
		}
	}
	resp, err := t.via.RoundTrip(req)
	if err == nil && t.after != nil {
		t.after(req, resp)
	}
	return resp, err
}

// requests returns what was asked since the last call.
func (t *tap) requests() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := strings.Join(t.seen, ", ")
	t.seen = nil
	return all
}

// tapped returns plainDeps behind a tap.
func tapped(tb testing.TB) (*tap, destination.Deps) {
	deps := plainDeps(tb)
	t := &tap{via: deps.HTTP.Transport}
	deps.HTTP = &http.Client{Transport: t}
	return t, deps
}

// answer is an S3 error.
func answer(status int, code string) *http.Response {
	body := "<Error><Code>" + code + "</Code><Message>because</Message></Error>"
	if code == "" {
		body = ""
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func conditional(req *http.Request) bool {
	return req.Header.Get("If-None-Match")+req.Header.Get("If-Match") != ""
}
