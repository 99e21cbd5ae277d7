package payload

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Prefix is the path below which the daemon serves payloads.
const Prefix = "/payloads/"

// A link is
//
//	{public_url}/payloads/{day}/{developer}/{id}.json?expires={unix seconds}&signature={HMAC, base64url without padding}
//
// and what is signed is the key and the time, so that a proxy may rewrite
// scheme, host and the path before /payloads/.
const (
	linkLabel   = "payload link v1"
	expiresName = "expires"
	signName    = "signature"
)

// signatures are read strictly: a text with other unused bits is another one.
var signatures = base64.RawURLEncoding.Strict()

// Link returns a signed link. It needs no disk.
func (d *Dir) Link(_ context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	k, err := event.PayloadKeyOf(developer, id)
	if err != nil {
		return destination.Link{}, err
	}
	expires := time.Now().Add(ttl).Truncate(time.Second).UTC()
	path, at := k.String(), strconv.FormatInt(expires.Unix(), 10)
	signature := signatures.EncodeToString(d.keys.Load().Sign(linkLabel, signed(path, at)))
	return destination.Link{
		URL:     strings.TrimSuffix(d.public, "/") + Prefix + path + "?" + expiresName + "=" + at + "&" + signName + "=" + signature,
		Expires: expires,
	}, nil
}

// signed is unambiguous: no path has a line's end.
func signed(path, expires string) []byte { return []byte(path + "\n" + expires) }

var (
	errInvalid = errors.New("the link is not valid: it was changed, cut, or signed by a key that is gone")
	errExpired = errors.New("the link has expired: ask for a fresh one")
)

// verify returns what a link names, if it may be given away.
func (d *Dir) verify(r *http.Request, now time.Time) (event.PayloadKey, error) {
	path, ok := strings.CutPrefix(r.URL.Path, Prefix)
	k, good := event.ParsePayloadKey(path)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if !ok || !good || err != nil || len(query) != 2 || len(query[expiresName]) != 1 || len(query[signName]) != 1 {
		return event.PayloadKey{}, errInvalid
	}
	at := query[expiresName][0]
	signature, err := signatures.DecodeString(query[signName][0])
	if err != nil || !d.keys.Load().Verify(linkLabel, signed(path, at), signature) {
		return event.PayloadKey{}, errInvalid
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Unix() > seconds {
		return event.PayloadKey{}, errExpired
	}
	return k, nil
}
