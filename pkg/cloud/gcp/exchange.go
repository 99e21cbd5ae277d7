package gcp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// exchange is one request and what came back. The status is that of the HTTP
// answer: the library believes the code that an error's body claims.
type exchange struct {
	code    int // 0: no answer
	header  http.Header
	body    []byte
	address string   // connected to; "" if unknown
	size    int      // of the body to send, about
	name    string   // of the object it is about, "" if none
	secrets []string // sent with the request; nothing that is shown repeats them
}

// do makes the request, once, and reads the answer. It follows nothing.
func (x *exchange) do(transport http.RoundTripper, req *http.Request) error {
	resp, err := x.roundTrip(transport, req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// roundTrip is do for a caller who reads the answer himself, from memory.
func (x *exchange) roundTrip(transport http.RoundTripper, req *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { x.address = i.Conn.RemoteAddr().String() }}
	resp, err := transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		return nil, err
	}
	body, err := parsing.Read(resp.Body)
	resp.Body.Close()
	if err != nil && resp.StatusCode < 300 { // of a failure the status says enough
		return nil, err
	}
	end, err := parsing.Begin(req.Context(), len(body))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(req.Context(), end) // the library closes it, unless it panics
	x.code, x.header, x.body = resp.StatusCode, resp.Header, body
	resp.Body = &parsed{bytes.NewReader(body), func() { stop(); end() }}
	return resp, nil
}

// parsed is an answer that counts as being parsed until it is closed.
type parsed struct {
	io.Reader
	end func()
}

func (p *parsed) Close() error {
	p.end()
	return nil
}

// rewind gives req a body of known length, which net/http can send anew on a
// fresh connection when a kept one turns out to be closed before anything was
// written. The library streams bodies that are all in memory.
func (x *exchange) rewind(req *http.Request) error {
	if req.Body == nil {
		return nil
	}
	var whole bytes.Buffer
	whole.Grow(x.size)
	if _, err := whole.ReadFrom(req.Body); err != nil {
		return err
	}
	req.ContentLength = int64(whole.Len())
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(whole.Bytes())), nil }
	req.Body, _ = req.GetBody()
	return nil
}

// receipt is what the log keeps. The description of an object that was written
// says nothing that the request did not.
func (x *exchange) receipt() destination.Receipt {
	r := destination.Receipt{Code: x.code, Address: x.address}
	if x.code >= 300 {
		r.Answer = x.scrubber().Excerpt(string(x.body), destination.MaxAnswer)
	}
	return r
}

// scrubber knows what was sent.
func (x *exchange) scrubber() *secret.Scrubber { return secret.NewScrubber(x.secrets...) }

// quote returns what the far side says for the text of an error.
func (x *exchange) quote(said string) string { return fault.Quote(x.scrubber(), said) }
