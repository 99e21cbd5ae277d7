package gcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// request is one of Cloud Storage's JSON API
// (https://cloud.google.com/storage/docs/json_api/v1).
type request struct {
	doing, bucket string // for texts
	name          string // of the object it is about, "" if none
	method, path  string // path is below the endpoint, and escaped
	query         url.Values
	contentType   string // of body
	body          []byte
}

func bucketPath(bucket string) string       { return "/storage/v1/b/" + url.PathEscape(bucket) }
func objectPath(bucket, name string) string { return bucketPath(bucket) + "/o/" + url.PathEscape(name) }

// call makes one request and classifies how it went. The answer to one that
// succeeded goes to understood, which tells whether Cloud Storage says such a thing.
func (c *Client) call(ctx context.Context, r request, understood func(*exchange) bool) (destination.Receipt, error) {
	x := &exchange{name: r.name}
	err := c.send(ctx, x, r)
	switch {
	case err != nil:
		err = x.unreached(ctx, r.doing, err)
	case x.code > 299:
		err = x.refusal(r.doing, r.bucket, c.who)
	case !understood(x):
		err = x.elsewhere(r.doing, fmt.Sprintf("answered %d with something that Cloud Storage does not say", x.code), "endpoint")
	}
	return x.receipt(), err
}

// send adds the token, which goes to the endpoint only.
func (c *Client) send(ctx context.Context, x *exchange, r request) error {
	target := c.endpoint.String() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", c.userAgent)
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if c.tokens == nil {
		return x.do(c.transport, req)
	}
	token, err := c.tokens.get(ctx)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	x.secrets = append(x.secrets, token)
	err = x.do(c.transport, req)
	if x.code == http.StatusUnauthorized {
		c.tokens.drop(ctx, token)
	}
	return err
}

// related is the body of an upload in one request: what the object is to be, and
// its bytes (https://cloud.google.com/storage/docs/uploading-objects#multipart).
func related(about any, media []byte) (contentType string, body []byte, err error) {
	var b bytes.Buffer
	b.Grow(len(media) + 2<<10)
	w := multipart.NewWriter(&b)
	text, err := json.Marshal(about)
	if err != nil {
		return "", nil, err
	}
	for _, part := range [][]byte{text, media} {
		p, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json"}})
		if err != nil {
			return "", nil, err
		}
		p.Write(part) //nolint:errcheck // into memory
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	return "multipart/related; boundary=" + w.Boundary(), b.Bytes(), nil
}
