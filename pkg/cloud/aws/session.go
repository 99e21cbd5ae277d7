package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// Session is an opened account. Its methods may be called from several
// goroutines at once.
type Session struct {
	// Config makes clients of services, as in sqs.NewFromConfig(s.Config): one
	// attempt per call, over the engine's connections, as the engine's user agent.
	Config sdk.Config

	settings Settings
	creds    *credentialSource
}

// Open prepares the use of an account. It never connects and reads nothing of
// the operator's environment: that waits for the first use of their credentials,
// which is refused unless deps.Ambient.
func Open(s Settings, deps destination.Deps) (*Session, error) {
	if deps.HTTP == nil || deps.HTTP.Transport == nil {
		return nil, errors.New("the engine lends no transport, and net/http's own has no guard")
	}
	if s.NeedsAmbient() && !deps.Ambient {
		return nil, errors.New("access_key_id: is required: without it the operator's own credentials would be used, which they have to permit (ambient in fantail.yaml)")
	}
	cfg := sdk.Config{
		Region:     s.Region,
		HTTPClient: &transport{deps.HTTP.Transport, deps.UserAgent},
		// One attempt is one attempt: the engine counts, spaces and logs them.
		Retryer: func() sdk.Retryer { return sdk.NopRetryer{} },
		// What is sent has a checksum of ours where the service knows them, and
		// providers beside AWS know few.
		RequestChecksumCalculation: sdk.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: sdk.ResponseChecksumValidationWhenRequired,
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	creds := newCredentialSource(s, deps, cfg)
	cfg.Credentials = creds
	if s.Endpoint != "" {
		cfg.BaseEndpoint = &s.Endpoint
	}
	return &Session{cfg, s, creds}, nil
}

// Close ends what fetches credentials.
func (s *Session) Close() error {
	s.creds.close()
	return nil
}

// Expires returns when the credentials in use end, fetching them if need be;
// the zero time if they do not end or nobody can tell.
func (s *Session) Expires(ctx context.Context) (time.Time, error) { return s.creds.expires(ctx) }

// String and GoString keep credentials out of every print of a session.
func (s *Session) String() string {
	if s.settings.Endpoint != "" {
		return fmt.Sprintf("%s in region %s", s.settings.Endpoint, s.Config.Region)
	}
	return "AWS in region " + s.Config.Region
}
func (s *Session) GoString() string { return s.String() }

// transport makes one request over the engine's connections and follows nothing.
type transport struct {
	via   http.RoundTripper
	agent string
}

const (
	// drainSize is how much of an answer is read beyond what the SDK gets of it, so
	// that the connection can be used again, and drainWait for how long.
	drainSize = 64 << 10
	drainWait = time.Second
)

// Do implements aws.HTTPClient. The SDK gets a body that is in memory, and counts
// as being parsed until the SDK closes it.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", t.agent) // the SDK's tells every endpoint about this machine
	if err := ownBody(req); err != nil {
		return nil, err
	}
	resp, err := t.via.RoundTrip(req)
	if err != nil { // its text may quote what is no answer
		return nil, Hide(err, signatureOf(req))
	}
	text, broken := parsing.Read(resp.Body)
	end, err := parsing.Begin(req.Context(), len(text))
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	if resp.ContentLength < 0 && broken == nil && req.Method != http.MethodHead {
		resp.ContentLength = int64(len(text)) // of one that came in chunks
	}
	stop := context.AfterFunc(req.Context(), end) // the SDK closes it, unless it panics
	resp.Body = &answer{io.MultiReader(bytes.NewReader(text), failing{broken}), resp.Body, func() { stop(); end() }}
	return resp, nil
}

// failing is a reader that ends with an error, or ends.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

type answer struct {
	io.Reader
	body io.ReadCloser
	end  func()
}

func (a *answer) Close() error {
	a.end()
	defer time.AfterFunc(drainWait, func() { a.body.Close() }).Stop()
	_, _ = io.CopyN(io.Discard, a.body, drainSize)
	return a.body.Close()
}

// Call notes what the requests of one attempt came across.
type Call struct {
	hooks httptrace.ClientTrace

	mu      sync.Mutex
	address string
}

// Begin returns a context for the requests of one attempt and what notes them.
func (*Session) Begin(ctx context.Context) (context.Context, *Call) {
	c := &Call{}
	c.hooks.GotConn = func(i httptrace.GotConnInfo) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.address = i.Conn.RemoteAddr().String()
	}
	return httptrace.WithClientTrace(ctx, &c.hooks), c
}

// Receipt is that of an attempt that ended with err, a fault made by the
// session or nil; then the kind fills in the answer.
func (c *Call) Receipt(err error) destination.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := destination.Receipt{Address: c.address}
	if err == nil {
		r.Code = http.StatusOK
	} else if f, ok := errors.AsType[*failure](err); ok {
		r.Code, r.Answer = f.status, f.answer
	}
	return r
}
