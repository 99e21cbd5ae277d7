package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Session is who asks, and what they may.
type Session struct {
	Name       string    `json:"name"`
	Via        string    `json:"via,omitempty"`        // id of the link to the portal that it came over
	May        []string  `json:"may"`                  // scopes, and of a link retry, test, replay
	Developers []string  `json:"developers,omitempty"` // nil: all
	Ends       time.Time `json:"ends,omitzero"`
	Bearer     string    `json:"bearer,omitempty"` // the secret, to be shown as a token; of BeginSession alone
}

// BeginSession opens the session that the code of a link to the portal is for. The code
// is used up by it.
func (c *Client) BeginSession(ctx context.Context, code string) (Session, error) {
	var s Session
	r, err := post("/v1/session", map[string]any{"code": code, "bearer": true})
	if err == nil { // one try: an answer that was lost has used the code
		err = c.once(ctx, r, func(res *http.Response) error { return c.decode(res, &s) })
	}
	return s, err
}

// Session says who this client is to the daemon.
func (c *Client) Session(ctx context.Context) (Session, error) {
	var s Session
	err := c.fetch(ctx, get("/v1/session", nil), &s)
	return s, err
}

// EndSession ends the session whose secret this client shows.
func (c *Client) EndSession(ctx context.Context) error {
	return c.once(ctx, call{method: http.MethodDelete, path: "/v1/session"}, nil)
}

// PortalLinkRequest says what a link to the portal is to allow.
type PortalLinkRequest struct {
	Developer string
	May       []string      // read, configure, retry, test, replay; none: read
	TTL       time.Duration // whole seconds, from a minute to a day; 0: an hour
}

// PortalLink opens one session of a developer's portal.
type PortalLink struct {
	ID        string    `json:"id"`
	Developer string    `json:"developer"`
	May       []string  `json:"may"`
	By        string    `json:"by"` // name of the token that made it
	Created   time.Time `json:"created"`
	Ends      time.Time `json:"ends"`
	Used      time.Time `json:"used,omitzero"` // zero: it has opened no session yet
	URL       string    `json:"url,omitempty"` // of MakePortalLink alone; whoever has it can use it
}

// MakePortalLink makes a link to the portal of a developer.
func (c *Client) MakePortalLink(ctx context.Context, q PortalLinkRequest) (PortalLink, error) {
	var l PortalLink
	r, err := post("/v1/portal-links", struct {
		Developer string   `json:"developer,omitempty"`
		May       []string `json:"may,omitempty"`
		TTL       int64    `json:"ttl,omitempty"`
	}{q.Developer, q.May, int64(q.TTL / time.Second)})
	if err == nil { // one try: an answer that was lost may have made it
		err = c.once(ctx, r, func(res *http.Response) error { return c.decode(res, &l) })
	}
	return l, err
}

// PortalLinks lists the links that live, newest first: those of one developer, or "" for all.
func (c *Client) PortalLinks(ctx context.Context, developer string) iter.Seq2[PortalLink, error] {
	return list[PortalLink](ctx, c, "/v1/portal-links", url.Values(params{}.text("developer", developer)), extent{})
}

// RevokePortalLink ends a link, and the session that it opened.
func (c *Client) RevokePortalLink(ctx context.Context, id string) error {
	return c.once(ctx, call{method: http.MethodDelete, path: "/v1/portal-links/" + segment(id)}, nil)
}
