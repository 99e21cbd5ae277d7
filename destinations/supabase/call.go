package supabase

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"

	"github.com/seed-51f8da91/fantail/destinations/internal/farside"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// service is where requests go: the project's gateway, or the Management API.
type service struct {
	name      string // in messages
	base      *url.URL
	header    http.Header // of every request
	transport http.RoundTripper
	scrub     *secret.Scrubber // knows what requests carry
}

// request is one call of a service.
type request struct {
	method string
	path   string // escaped, begins with a slash
	query  url.Values
	header map[string]string
	body   []byte
	what   string // in errors: "write rows"
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	receipt destination.Receipt
}

// call makes one request. Whatever the service answers is no error here.
func (s service) call(ctx context.Context, q request) (a answer, err error) {
	resp, a, err := s.request(ctx, q)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if a.body, err = parsing.Read(resp.Body); err != nil {
		return a, s.failure(ctx, q.what, err)
	}
	a.receipt.Code, a.receipt.Answer = a.status, farside.Quote(s.scrub, string(a.body))
	return a, nil
}

// stream makes one request whose answer is read as it comes.
func (s service) stream(ctx context.Context, q request, read func(status int, body io.Reader) error) error {
	resp, a, err := s.request(ctx, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return read(a.status, resp.Body)
}

// request makes one request, of whose answer the body is still to be read.
func (s service) request(ctx context.Context, q request) (*http.Response, answer, error) {
	root := url.URL{Scheme: s.base.Scheme, Host: s.base.Host}
	req, err := http.NewRequestWithContext(ctx, q.method, root.String()+s.base.EscapedPath()+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, answer{}, fault.Of(err, q.what+": the request cannot be built")
	}
	if s.transport == nil {
		return nil, answer{}, errors.New("the engine lends no transport, and net/http's own has no guard")
	}
	req.URL.RawQuery = q.query.Encode()
	maps.Copy(req.Header, s.header)
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
	var a answer
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { a.receipt.Address = i.Conn.RemoteAddr().String() },
	}))
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return nil, a, s.failure(ctx, q.what, err)
	}
	a.status, a.header = resp.StatusCode, resp.Header
	return resp, a, nil
}

// failure words a call without an answer. It names no URL, whose query holds ids of users.
func (s service) failure(ctx context.Context, what string, err error) error {
	return fault.Unanswered(ctx, what+" at "+s.base.Host, err, s.scrub)
}
