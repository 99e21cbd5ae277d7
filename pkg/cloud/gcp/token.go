package gcp

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// grant is an access token. The zero value is no token.
type grant struct {
	token string
	until time.Time // from when on a new one is fetched, some time before its end
}

// tokens keeps one token and fetches the next when it ages. One fetch runs at a
// time, in the goroutine and under the context of who needs it first: a token
// endpoint that hangs holds up nobody longer than their own attempt.
type tokens struct {
	fetch func(ctx context.Context) (grant, error)
	turn  chan struct{} // holds one entry while somebody looks at or changes kept
	kept  grant
}

func newTokens(fetch func(context.Context) (grant, error)) *tokens {
	return &tokens{fetch: fetch, turn: make(chan struct{}, 1)}
}

func (t *tokens) get(ctx context.Context) (string, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-t.turn }()
	if t.kept.token != "" && time.Now().Before(t.kept.until) {
		return t.kept.token, nil
	}
	fresh, err := t.fetch(ctx)
	if err != nil {
		return "", err
	}
	t.kept = fresh
	return fresh.token, nil
}

// drop forgets a token that was refused, unless it has been replaced already.
func (t *tokens) drop(ctx context.Context, token string) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	if t.kept.token == token {
		t.kept = grant{}
	}
	<-t.turn
}

// parseGrant reads the answer of a token endpoint or of the metadata service.
func parseGrant(body []byte, now time.Time) (grant, bool) {
	var f struct {
		Token string  `json:"access_token"`
		Life  float64 `json:"expires_in"` // seconds
	}
	if parsing.JSON(body, &f) != nil || f.Token == "" || strings.ContainsFunc(f.Token, unseen) {
		return grant{}, false
	}
	life := time.Duration(max(0, min(f.Life, 3600))) * time.Second
	return grant{f.Token, now.Add(life - min(life/2, 5*time.Minute))}, true
}

// buy exchanges a signed assertion for a token at the account's token_uri.
func (a *account) buy(ctx context.Context, transport http.RoundTripper, userAgent string) (grant, error) {
	now := time.Now()
	assertion, err := a.assertion(now)
	if err != nil {
		return grant{}, err
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.tokenURI.String(), strings.NewReader(form))
	if err != nil {
		return grant{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", userAgent)
	x := &exchange{secrets: []string{assertion}}
	if err := x.do(transport, req); err != nil {
		return grant{}, x.unreached(ctx, "fetch a token from "+a.tokenURI.Host, err)
	}
	if x.code != http.StatusOK {
		return grant{}, a.refused(x)
	}
	g, ok := parseGrant(x.body, now)
	if !ok {
		return grant{}, x.elsewhere("fetch a token from "+a.tokenURI.Host, "the answer holds no token", "token_uri in credentials")
	}
	return g, nil
}
