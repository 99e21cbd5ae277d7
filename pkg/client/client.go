// Package client is the Go client of Fantail's HTTP API.
//
//	c, err := client.New("http://127.0.0.1:8080", token, nil)
//	accepted, err := c.Send(ctx, client.SendRequest{Developer: "acme", Body: body, IdempotencyKey: key})
//
// Every call takes a context and ends with it. Calls that may be repeated
// without harm are: see [Client.Patience]. Refusals are a [*Error].
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultPatience is the Patience of a new Client.
const DefaultPatience = 30 * time.Second

// Client calls one daemon. Its methods may be called from several goroutines
// at once; its fields are set before the first call.
type Client struct {
	// Patience is how long a call that is safe to repeat goes on after a 429,
	// a 503 or a network fault, waiting as long as the daemon asks for. Safe
	// are all reads, and events sent with an idempotency key. 0: one try.
	Patience time.Duration

	// Waiting, which may be nil, is told before each such wait what went wrong
	// and how long the wait is.
	Waiting func(err error, pause time.Duration)

	// Following, which may be nil, is told when the daemon has begun the stream
	// of [Client.Follow].
	Following func()

	// Unanswered, which may be nil, is told which daemons of a shared store did not
	// answer the one that was asked: what they alone know is missing in its answer.
	Unanswered func(daemons []string)

	// Reason says why, in what the daemon keeps of changes and reads made with this
	// client: at most 500 bytes; "" for none.
	Reason string

	// Brand is the prefix of the daemon's headers, its setting of that name.
	Brand string

	base  string
	token string
	http  *http.Client
}

// New returns a client of the daemon at baseURL, such as
// "http://127.0.0.1:8080". token is the bearer token, "" for none. hc may be
// nil; a Timeout of it cuts long answers such as a deep audit.
func New(baseURL, token string, hc *http.Client) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the daemon's address %q is not of the form http://host:port or https://host:port", baseURL)
	}
	if u.User != nil {
		return nil, errors.New("the daemon's address holds a user name: give the token apart")
	}
	if hc == nil {
		hc = http.DefaultClient
	}
	return &Client{Patience: DefaultPatience, Brand: "terra", base: strings.TrimRight(u.String(), "/"), token: token, http: hc}, nil
}

// call is one request that can be made again as it is.
type call struct {
	method string
	path   string // escaped
	query  url.Values
	header http.Header
	body   []byte
	safe   bool // repeating it does no harm
	accept int  // a status that is an answer too, besides 2xx
}

func get(path string, query url.Values) call {
	return call{method: http.MethodGet, path: path, query: query, safe: true}
}

// post is a call with a JSON body; nil for none.
func post(path string, body any) (call, error) {
	c := call{method: http.MethodPost, path: path}
	if body == nil {
		return c, nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		return call{}, fmt.Errorf("encode the request: %w", err)
	}
	c.body, c.header = b, http.Header{"Content-Type": {"application/json"}}
	return c, nil
}

// once makes the request one time and hands a 2xx answer to consume.
func (c *Client) once(ctx context.Context, r call, consume func(*http.Response) error) error {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("build the request: %w", err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.Reason != "" {
		req.Header.Set("Fantail-Reason", url.PathEscape(c.Reason))
	}
	if err := sendable(req.Header); err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 && res.StatusCode != r.accept {
		return readError(res)
	}
	if silent := res.Header.Get("Fantail-Unanswered"); silent != "" && c.Unanswered != nil {
		c.Unanswered(strings.Split(silent, ", "))
	}
	if consume == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
		return err
	}
	return consume(res)
}

// errUnsendable is a fault of the caller, which no patience mends. net/http finds
// it too, but its error looks like one of the network.
var errUnsendable = errors.New("cannot stand in a header")

func sendable(h http.Header) error {
	for name, values := range h {
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) {
			return fmt.Errorf("the name %q %w", name, errUnsendable)
		}
		for _, v := range values {
			// The value may be the token.
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fmt.Errorf("a control character, such as a line's end, %w: %s has one", errUnsendable, name)
			}
		}
	}
	return nil
}

// fetch decodes the JSON answer of r into out.
func (c *Client) fetch(ctx context.Context, r call, out any) error {
	return c.try(ctx, r, func(res *http.Response) error { return c.decode(res, out) })
}

// mostAnswer bounds what is read of an answer: more than a full page of a list with all its details.
const mostAnswer = 256 << 20

// whole reads an answer to its end.
func (c *Client) whole(res *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(b) > mostAnswer {
		return nil, &Error{Status: res.StatusCode, Code: "unreadable_answer", Message: fmt.Sprintf("the answer is larger than %d MiB; is %s the daemon?", mostAnswer>>20, c.base)}
	}
	return b, nil
}

func (c *Client) decode(res *http.Response, out any) error {
	b, err := c.whole(res)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, out); err != nil {
		return &Error{Status: res.StatusCode, Code: "unreadable_answer",
			Message: fmt.Sprintf("the answer is not what the Fantail API sends; is %s the daemon? (%v)", c.base, err)}
	}
	return nil
}

// segment escapes one part of a path.
func segment(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}
