package destination

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// PayloadStore keeps what destinations link to instead of carrying it: the
// operator's object store, or a bucket of the destination's own. Errors of the
// operator's wrap [ErrEngine]; those of a destination's own bucket are
// classified like every other.
type PayloadStore interface {
	// Put stores p of developer. Keys are immutable: what is there already for
	// p.ID counts as done, so that a large event makes progress over attempts.
	Put(ctx context.Context, developer string, p event.Payload) error
	// Link returns a presigned GET of the payload id of developer. It does not
	// ask whether the payload is there.
	Link(ctx context.Context, developer, id string, ttl time.Duration) (Link, error)
}

// MaxLinkTTL is the longest life of a link: what S3's SigV4 and Cloud Storage's V4 allow
// a presigned URL.
const MaxLinkTTL = 7 * 24 * time.Hour

// ValidateLinkTTL returns what is wrong with the life of links that settings of a kind
// name, without the path of the setting.
func ValidateLinkTTL(ttl time.Duration) error {
	if ttl < time.Second || ttl > MaxLinkTTL || ttl%time.Second != 0 {
		return errors.New("must be whole seconds, from 1s to 168h, the longest life of a presigned URL")
	}
	return nil
}

// Link is a URL that needs no other credential until Expires, which is the
// sooner of what was asked for, the remaining life of the credentials that
// signed it, and that of the payload.
type Link struct {
	URL     string
	Expires time.Time
}

// Secrets returns what opens the link to whoever reads it in a log: all of it, and
// the long values of its query, such as the signature. Those of "" are none.
func (l Link) Secrets() (all []string) {
	const long = 32
	u, err := url.Parse(l.URL)
	if err != nil || l.URL == "" {
		return []string{l.URL}
	}
	all = []string{l.URL, u.RawQuery}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= long {
				all = append(all, v)
			}
		}
	}
	return all
}
