package gcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// Client speaks to Cloud Storage. Each call is one request: nothing is retried,
// and no redirect followed. It may be used from several goroutines at once, and
// owns nothing that must be closed: its connections are the engine's.
type Client struct {
	endpoint  *url.URL
	transport http.RoundTripper
	userAgent string
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
			return errors.New("credentials: are missing, and this destination may not use the operator's own; they can permit it with ambient in fantail.yaml")
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

// Allowed returns which of permissions the credentials have on a bucket, as
// "storage.objects.create". It changes nothing and needs no permission itself.
func (c *Client) Allowed(ctx context.Context, bucket string, permissions ...string) (allowed []string, err error) {
	_, err = c.call(ctx, request{
		doing: "ask for the rights on gs://" + bucket, bucket: bucket,
		method: http.MethodGet, path: bucketPath(bucket) + "/iam/testPermissions", query: url.Values{"permissions": permissions},
	}, func(x *exchange) bool {
		var answer struct{ Permissions []string }
		if parsing.JSON(x.body, &answer) != nil {
			return false
		}
		allowed = slices.DeleteFunc(answer.Permissions, func(p string) bool { return !slices.Contains(permissions, p) })
		return true
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
