// Package webhook delivers events as signed HTTP POST requests.
package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var (
	_ destination.Destination = (*webhook)(nil)
	_ destination.Explainer   = (*webhook)(nil)
	_ destination.Branded     = Config{}
	_ destination.Noter       = Config{}
)

type webhook struct {
	url    *url.URL
	target exchange.Target
	head   head
	signer signer
	scrub  *secret.Scrubber
	hold   bool // 410 holds the destination
	client *exchange.Client
}

func open(c Config, deps destination.Deps) (destination.Destination, error) {
	u, err := parseURL(c.URL, c.AllowHTTP)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	target, err := exchange.TargetOf(u)
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
	if deps.Exchange == nil {
		return nil, errors.New("the engine lends no exchange, and nothing else has its guard")
	}
	w := &webhook{
		url: u, target: target, head: newHead(c, u, deps), signer: s,
		scrub: secret.NewScrubber(secretsOf(c, u)...), hold: c.HoldOn410, client: deps.Exchange,
	}
	if c.TLS.used() {
		cfg, faults := c.TLS.config()
		if len(faults) > 0 {
			return nil, errors.Join(faults...)
		}
		w.client = deps.Exchange.With(cfg)
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
	return append(all, longSegments(u)...)
}

// tokenLength is the length from which a segment of a path is taken for a token,
// as the addresses of many services end with one.
const tokenLength = 16

// longSegments returns what of the path of u may be a credential.
func longSegments(u *url.URL) (all []string) {
	for s := range strings.SplitSeq(u.EscapedPath(), "/") {
		if plain, err := url.PathUnescape(s); err == nil && len(s) >= tokenLength {
			all = append(all, s, plain)
		}
	}
	return all
}

// shown is the URL without what may be a credential.
func (w *webhook) shown() string {
	segments := strings.Split(w.url.EscapedPath(), "/")
	for i, s := range segments {
		if len(s) >= tokenLength {
			segments[i] = "redacted"
		}
	}
	path := strings.Join(segments, "/")
	if w.url.RawQuery != "" {
		path += "?redacted"
	}
	return w.url.Scheme + "://" + w.url.Host + path
}

// Send makes one attempt. Each of its requests, of which there is a second only
// as [exchange.Client.Do] says, is signed anew. What the answer says beyond its
// status never changes the outcome.
func (w *webhook) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	var signatures []string // of this attempt
	a, err := w.client.Do(ctx, &exchange.Request{
		Target: w.target, Method: http.MethodPost,
		Head: func(b []byte) []byte {
			varying := w.varying(d, time.Now())
			signatures = appendSignatures(signatures, varying)
			return w.head.append(b, varying)
		},
		Body:   func() (io.Reader, error) { return bytes.NewReader(d.Event.Body), nil },
		Length: int64(len(d.Event.Body)),
		Again:  true,
		Wait:   answerWait,
	})
	receipt := destination.Receipt{Address: a.Address, Requests: a.Requests}
	scrub := w.scrub.With(signatures...)
	if err != nil {
		return receipt, w.failure(ctx, err, scrub)
	}
	receipt.Code = a.Code
	receipt.Answer = excerpt(a, scrub)
	header := a.Header
	_ = a.Close()
	if err := w.classify(a.Code, header, time.Now()); err != nil || a.Whole() {
		return receipt, err
	}
	taken := fmt.Sprintf("answered %d after %d of %d bytes", a.Code, a.Sent, a.Length)
	if a.Interrupted != nil {
		return receipt, w.failure(ctx, &fault.Safe{Text: taken + ", and did not take the rest in time"}, scrub)
	}
	// It closed the connection: that is its word.
	receipt.Answer = strings.TrimSuffix(taken+": "+receipt.Answer, ": ")
	receipt.Answer = receipt.Answer[:min(len(receipt.Answer), excerptSize)]
	return receipt, nil
}

// Explain shows the request that Send would make now. Credentials are
// redacted, and so is the signature: for five minutes it would let whoever
// reads it pose as the engine with a body of their own.
func (w *webhook) Explain(d destination.Delivery) (destination.Explanation, error) {
	h := http.Header{}
	for _, f := range w.head.with(w.varying(d, time.Now())) {
		if f.name == "Host" {
			continue // the target says it
		}
		value := f.value
		if f.secret {
			value = secret.Redacted
		}
		h[f.name] = []string{value} // under the name that stands on the wire
	}
	return destination.Explanation{Target: w.shown(), Headers: h, Body: string(d.Event.Body)}, nil
}

// String says where the webhook leads, without path and query. Together with
// GoString it keeps credentials out of every print of a webhook.
func (w *webhook) String() string   { return "webhook to " + w.url.Host }
func (w *webhook) GoString() string { return w.String() }

// Close ends the connections that are idle: no Send is running.
func (w *webhook) Close() error { return w.client.Close() }
