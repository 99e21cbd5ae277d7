package gcp

import (
	"net/http"
	"net/http/httptrace"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// exchange is one request and what came back.
type exchange struct {
	code    int // 0: no answer
	header  http.Header
	body    []byte
	address string   // connected to; "" if unknown
	name    string   // of the object it is about, "" if none
	secrets []string // sent with the request; nothing that is shown repeats them
}

// do makes the request, once, and reads the answer into memory. It follows nothing.
func (x *exchange) do(transport http.RoundTripper, req *http.Request) error {
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { x.address = i.Conn.RemoteAddr().String() }}
	resp, err := transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		return err
	}
	body, err := parsing.Read(resp.Body)
	resp.Body.Close()
	if err != nil && resp.StatusCode < 300 { // of a failure the status says enough
		return err
	}
	x.code, x.header, x.body = resp.StatusCode, resp.Header, body
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
