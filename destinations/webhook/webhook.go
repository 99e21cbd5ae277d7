// Package webhook delivers events as signed HTTP POST requests.
package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var (
	_ destination.Destination = (*webhook)(nil)
	_ destination.Explainer   = (*webhook)(nil)
	_ destination.Branded     = Config{}
	_ destination.Noter       = Config{}
)

type webhook struct {
	// request is what all attempts have in common, headers included, whose
	// values they share and none writes to.
	request *http.Request
	redact  []string // canonical names of headers whose values nobody may see
	names   headerNames
	signer  signer
	scrub   *secret.Scrubber
	hold    bool // 410 holds the destination

	// transport makes one request and follows nothing, where a client would
	// read the Location of a redirect even to refuse it.
	transport http.RoundTripper
	own       *ownTransport // transport when it has TLS settings of its own, else nil
}

// headerNames are those of the brand, in canonical form.
type headerNames struct{ reference, trace, ordering string }

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	u, err := parseURL(c.URL, c.AllowHTTP)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if err := c.ValidateBrand(deps.Brand); err != nil {
		return nil, err
	}
	s, err := newSigner(c, deps.Brand)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	w := &webhook{
		request: &http.Request{
			Method: http.MethodPost, URL: u, Host: u.Host,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{},
		},
		names: headerNames{
			reference: http.CanonicalHeaderKey(deps.Brand + "-reference"),
			trace:     http.CanonicalHeaderKey("x-" + deps.Brand + "-trace-id"),
			ordering:  http.CanonicalHeaderKey("x-" + deps.Brand + "-ordering-timestamp"),
		},
		signer:    s,
		redact:    s.names(),
		scrub:     secret.NewScrubber(secretsOf(c, u)...),
		hold:      c.HoldOn410,
		transport: deps.HTTP.Transport,
	}
	common := w.request.Header
	for name, value := range c.Headers {
		set(common, name, value.Reveal())
		w.redact = append(w.redact, http.CanonicalHeaderKey(name))
	}
	if c.Auth.used() {
		set(common, "Authorization", c.Auth.header())
		w.redact = append(w.redact, "Authorization")
	}
	set(common, "Content-Type", "application/json")
	set(common, "User-Agent", deps.UserAgent)
	set(common, "Hook-Type", "WEBHOOK")
	// Each attempt fills these in. Here they keep a place, so that the clone
	// that it makes is large enough.
	for _, name := range append(s.names(), w.names.reference, w.names.trace, w.names.ordering, "Dev-Id") {
		common[name] = nil
	}
	if c.TLS.used() {
		if w.own, err = newOwnTransport(c.TLS, deps.HTTP.Transport); err != nil {
			return nil, err
		}
		w.transport = w.own
	}
	if w.transport == nil {
		return nil, errors.New("the engine lends no transport, and net/http's own has no guard")
	}
	return w, nil
}

func (a Auth) header() string {
	if a.Basic != nil {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Basic.User+":"+a.Basic.Password.Reveal()))
	}
	return "Bearer " + a.Bearer.Reveal()
}

// secretsOf lists every text of the settings that no answer may bring into the log.
func secretsOf(c Config, u *url.URL) []string {
	all := []string{c.Secret.Reveal(), c.NextSecret.Reveal(), c.Auth.Bearer.Reveal(), u.RawQuery}
	for _, s := range all[:2] { // Standard Webhooks keys work without their prefix, too
		if _, key, ok := strings.Cut(s, "_"); ok && c.Signing == signingStandard {
			all = append(all, key)
		}
	}
	if c.Auth.Basic != nil {
		all = append(all, c.Auth.Basic.Password.Reveal(), strings.TrimPrefix(c.Auth.header(), "Basic "))
	}
	for name, v := range c.Headers {
		all = append(all, v.Reveal())
		if http.CanonicalHeaderKey(name) == "Authorization" { // receivers quote what follows the scheme
			_, credentials, _ := strings.Cut(v.Reveal(), " ")
			all = append(all, credentials)
		}
	}
	for _, values := range u.Query() {
		all = append(all, values...)
	}
	return all
}

// headersOf builds the headers of an attempt at the time at.
func (w *webhook) headersOf(d destination.Delivery, at time.Time) http.Header {
	h := maps.Clone(w.request.Header)
	own := [...]string{d.Event.Reference, d.ID, strconv.FormatInt(d.Event.Ordering.UnixMilli(), 10), d.Event.Developer}
	h[w.names.reference] = own[0:1:1]
	h[w.names.trace] = own[1:2:2]
	h[w.names.ordering] = own[2:3:3]
	h["Dev-Id"] = own[3:4:4]
	if t := d.Trace; t != nil {
		h["Traceparent"] = []string{t.Parent}
		delete(h, "Tracestate") // one of the settings would belong to another trace
		if t.State != "" {
			h["Tracestate"] = []string{t.State}
		}
	}
	w.signer.sign(h, d.ID, at, d.Event.Body)
	return h
}

// Send makes one attempt, signed anew. What the answer's body says never
// changes the outcome: the status has decided it.
func (w *webhook) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	var x exchange
	ctx, cancel := context.WithCancel(httptrace.WithClientTrace(ctx, x.trace()))
	defer cancel()
	req := w.request.WithContext(ctx)
	req.Header = w.headersOf(d, time.Now())
	body(req, d.Event)
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		return destination.Receipt{Address: x.remote()}, w.failure(ctx, err)
	}
	answer := w.answer(resp, cancel)
	return destination.Receipt{Code: resp.StatusCode, Answer: answer, Address: x.remote()}, w.classify(resp, time.Now())
}

// body gives req the event's bytes. GetBody lets net/http begin anew on a
// fresh connection when a kept one turns out to be closed before anything of
// the request was written; nothing that may have arrived is ever sent again.
func body(req *http.Request, e *event.Event) {
	reader := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(e.Body)), nil }
	req.Body, _ = reader()
	req.GetBody = reader
	req.ContentLength = int64(len(e.Body))
}

// Explain shows the request that Send would make now. Credentials are
// redacted, and so is the signature: for five minutes it would let whoever
// reads it pose as the engine with a body of his own.
func (w *webhook) Explain(d destination.Delivery) (destination.Explanation, error) {
	h := w.headersOf(d, time.Now())
	for _, name := range w.redact {
		h[name] = []string{secret.Redacted}
	}
	u := *w.request.URL
	if u.RawQuery != "" {
		u.RawQuery = "redacted"
	}
	return destination.Explanation{Target: u.String(), Headers: h, Body: string(d.Event.Body)}, nil
}

// String says where the webhook leads, without path and query. Together with
// GoString it keeps credentials out of every print of a webhook.
func (w *webhook) String() string   { return "webhook to " + w.request.URL.Host }
func (w *webhook) GoString() string { return w.String() }

// Close ends the connections of a transport of our own. The engine's serve
// other destinations, too.
func (w *webhook) Close() error {
	if w.own != nil {
		w.own.Close()
	}
	return nil
}
