package gcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"google.golang.org/api/option"
	storage "google.golang.org/api/storage/v1"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
)

// Client speaks to Cloud Storage. Each call is one request: nothing is retried,
// and no redirect followed. It may be used from several goroutines at once, and
// owns nothing that must be closed: its connections are the engine's.
type Client struct {
	endpoint  *url.URL
	transport http.RoundTripper
	userAgent string
	service   *storage.Service
	who       string  // for texts: whom to grant a role
	tokens    *tokens // nil: none is sent
	signer    signer  // nil: links cannot be signed
}

// Open makes a client of settings that are valid. It never connects.
func Open(a Access, deps destination.Deps) (*Client, error) {
	u, err := a.endpoint()
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	c := &Client{endpoint: u, transport: deps.HTTP.Transport, userAgent: deps.UserAgent, who: "the anonymous user allUsers"}
	if c.transport == nil {
		return nil, errors.New("the engine lends no transport, and net/http's own has no guard")
	}
	if err := c.identify(a, deps); err != nil {
		return nil, err
	}
	// A client, an endpoint and a logger of our own leave the library nothing
	// to take from the environment.
	c.service, err = storage.NewService(context.Background(),
		option.WithHTTPClient(&http.Client{
			Transport:     authorized{c},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		option.WithEndpoint(u.String()+"/storage/v1/"),
		option.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("set up the client of Cloud Storage: %w", err)
	}
	return c, nil
}

// identify settles as whom the client speaks.
func (c *Client) identify(a Access, deps destination.Deps) error {
	switch {
	case !a.Credentials.IsZero():
		account, err := parseAccount(a.Credentials.Reveal(), a.AllowHTTP)
		if err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
		c.who, c.signer = account.email, account
		if !a.Anonymous {
			c.tokens = newTokens(func(ctx context.Context) (grant, error) { return account.buy(ctx, c.transport, c.userAgent) })
		}
	case a.NeedsAmbient():
		if !deps.Ambient || deps.Metadata == nil {
			return errors.New("credentials: are missing, and this destination may not use the operator's own; he can permit it with ambient in fantail.yaml")
		}
		if !ofGoogle(c.endpoint) {
			return errors.New("endpoint: the operator's own credentials are sent nowhere but to https below googleapis.com")
		}
		m := newMachine(deps.Metadata, c)
		c.who, c.signer, c.tokens = "the service account of this machine", m, newTokens(m.grant)
	}
	return nil
}

// String says where requests go, and GoString keeps credentials out of %#v.
func (c *Client) String() string   { return "Cloud Storage at " + c.endpoint.Host }
func (c *Client) GoString() string { return c.String() }

// exchangeKey is where the context of a call has its exchange.
type exchangeKey struct{}

// authorized adds the token to requests, which go to the endpoint only.
type authorized struct{ *Client }

func (t authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	x, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok || req.URL.Scheme != t.endpoint.Scheme || req.URL.Host != t.endpoint.Host {
		return nil, errors.New("a request that this client did not make")
	}
	req = req.WithContext(req.Context())
	req.Header = req.Header.Clone()
	if err := x.rewind(req); err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", t.userAgent)
	var token string
	if t.tokens != nil {
		var err error
		if token, err = t.tokens.get(req.Context()); err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		x.secrets = append(x.secrets, token)
	}
	resp, err := x.roundTrip(t.transport, req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && t.tokens != nil {
		t.tokens.drop(req.Context(), token)
	}
	return resp, err
}

// call runs one request of the library about an object, or a bucket where name is
// "", with a body of about size bytes, and classifies how it went.
func (c *Client) call(ctx context.Context, doing, bucket, name string, size int, request func(context.Context) error) (destination.Receipt, error) {
	x := &exchange{size: size, name: name}
	err := request(context.WithValue(ctx, exchangeKey{}, x))
	switch {
	case x.code == 0 && err != nil:
		err = x.unreached(ctx, doing, err)
	case x.code == 0:
		err = x.transient(doing, "no request was made")
	case x.code > 299:
		err = x.refusal(doing, bucket, c.who)
	case err != nil:
		err = x.elsewhere(doing, fmt.Sprintf("answered %d with something that Cloud Storage does not say", x.code), "endpoint")
	}
	return x.receipt(), err
}

// Allowed returns which of permissions the credentials have on a bucket, as
// "storage.objects.create". It changes nothing and needs no permission itself.
func (c *Client) Allowed(ctx context.Context, bucket string, permissions ...string) (allowed []string, err error) {
	_, err = c.call(ctx, "ask for the rights on gs://"+bucket, bucket, "", 0, func(ctx context.Context) error {
		answer, err := c.service.Buckets.TestIamPermissions(bucket, permissions).Context(ctx).Do()
		if err == nil {
			allowed = slices.DeleteFunc(answer.Permissions, func(p string) bool { return !slices.Contains(permissions, p) })
		}
		return err
	})
	return allowed, err
}

// roles are the smallest predefined ones that hold a permission.
var roles = map[string]string{
	"storage.objects.create": "roles/storage.objectCreator",
	"storage.objects.get":    "roles/storage.objectViewer",
	"storage.objects.delete": "roles/storage.objectUser",
}

// Require fails, Misconfigured and [Denied], unless the credentials have all of
// permissions on a bucket; the text says which role to grant.
func (c *Client) Require(ctx context.Context, bucket string, permissions ...string) error {
	allowed, err := c.Allowed(ctx, bucket, permissions...)
	if err != nil {
		return err
	}
	for _, p := range permissions {
		if !slices.Contains(allowed, p) {
			return destination.Misconfigure(&Error{Status: http.StatusForbidden, Safe: fault.Safe{Text: fmt.Sprintf("%s has no %s on gs://%s. Grant %s on the bucket", c.who, p, bucket, roles[p])}})
		}
	}
	return nil
}
