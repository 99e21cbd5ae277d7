package gcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// MaxLink is how long a link may live at most, by the specification of V4.
const MaxLink = destination.MaxLinkTTL

// signer signs links for a service account.
type signer interface {
	// signature returns the e-mail of the account and a function that signs for it.
	identity(ctx context.Context) (email string, err error)
	signature(ctx context.Context, email string, text []byte) ([]byte, error)
	maxLink() time.Duration
}

func (a *account) identity(context.Context) (string, error) { return a.email, nil }

func (a *account) signature(_ context.Context, _ string, text []byte) ([]byte, error) {
	return a.sign(text)
}

func (a *account) maxLink() time.Duration { return MaxLink }

// Link returns a GET of an object that needs no other credential, for ttl or as
// long as the credentials can sign for, whichever is shorter: 7 days with a key,
// 12 hours with the operator's own. It does not ask whether the object is there.
func (c *Client) Link(ctx context.Context, bucket, name string, ttl time.Duration) (destination.Link, error) {
	if c.signer == nil {
		return destination.Link{}, destination.Misconfigure(errors.New("sign a link: there are no credentials to sign with; set credentials"))
	}
	life := min(ttl, c.signer.maxLink()).Truncate(time.Second)
	if life < time.Second {
		return destination.Link{}, fmt.Errorf("sign a link: a life of %v is too short", ttl)
	}
	email, err := c.signer.identity(ctx)
	if err != nil {
		return destination.Link{}, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	l := v4{host: c.endpoint.Host, path: "/" + bucket + "/" + name, email: email, at: now, life: life}
	signature, err := c.signer.signature(ctx, email, l.toSign())
	if err != nil {
		return destination.Link{}, err
	}
	return destination.Link{URL: c.endpoint.Scheme + "://" + l.url(signature), Expires: now.Add(life)}, nil
}

// v4 is a link under Google's V4 signing process
// (cloud.google.com/storage/docs/access-control/signed-urls and .../canonical-requests).
type v4 struct {
	host, path, email string
	at                time.Time
	life              time.Duration
}

func (l v4) day() string { return l.at.Format("20060102") + "/auto/storage/goog4_request" }

// query is in the order of names that the canonical form demands.
func (l v4) query() string {
	return fmt.Sprintf("X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=%s&X-Goog-Date=%s&X-Goog-Expires=%d&X-Goog-SignedHeaders=host",
		url.QueryEscape(l.email+"/"+l.day()), l.at.Format("20060102T150405Z"), int(l.life.Seconds()))
}

func (l v4) toSign() []byte {
	request := "GET\n" + encode(l.path) + "\n" + l.query() + "\nhost:" + l.host + "\n\nhost\nUNSIGNED-PAYLOAD"
	sum := sha256.Sum256([]byte(request))
	return []byte("GOOG4-RSA-SHA256\n" + l.at.Format("20060102T150405Z") + "\n" + l.day() + "\n" + hex.EncodeToString(sum[:]))
}

func (l v4) url(signature []byte) string {
	return l.host + encode(l.path) + "?" + l.query() + "&X-Goog-Signature=" + hex.EncodeToString(signature)
}

// encode percent-encodes all but unreserved characters and slashes.
func encode(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
	}
	return strings.Join(parts, "/")
}
