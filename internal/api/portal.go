package api

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/session"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// portalRight is what a link to the portal may allow.
type portalRight struct {
	needs      scope    // that the token has which makes the link
	may        scope    // that the session gets
	operations []string // that it may call besides
}

var portalRights = map[string]portalRight{
	"read":      {needs: canRead, may: canRead},
	"configure": {needs: canConfigure, may: canConfigure},
	"retry":     {needs: canOperate, operations: []string{"retryDelivery", "retryDeliveries", "cancelDelivery", "cancelDeliveries"}},
	"test":      {needs: canOperate, operations: []string{"testDestination", "checkDestination"}},
	"replay":    {needs: canOperate, operations: []string{"createReplay", "cancelReplay"}},
}

// beyondLinks are operations that no link allows, though its scope would: who edits the
// destinations of a developer does not end the developer.
var beyondLinks = map[string]bool{"deleteDeveloper": true}

// rightsOf returns what the rights of a link come to.
func rightsOf(names []string) (may scope, operations map[string]bool) {
	operations = map[string]bool{"getSession": true, "deleteSession": true}
	for _, name := range names {
		r := portalRights[name]
		may |= r.may
		for _, operation := range r.operations {
			operations[operation] = true
		}
	}
	return may, operations
}

const defaultLinkLife = time.Hour

// portalLinkRequest asks for a link to the portal.
type portalLinkRequest struct {
	Developer string   `json:"developer"`
	May       []string `json:"may"`
	TTL       *int64   `json:"ttl"` // seconds
}

// portalLinkView is a link without its code, but for whoever has just made it.
type portalLinkView struct {
	ID        string    `json:"id"`
	Developer string    `json:"developer"`
	May       []string  `json:"may"`
	By        string    `json:"by"`
	Created   time.Time `json:"created"`
	Ends      time.Time `json:"ends"`
	Used      time.Time `json:"used,omitzero"`
	URL       string    `json:"url,omitempty"`
}

func (a *API) viewPortalLink(who *principal, l *session.Link) portalLinkView {
	return portalLinkView{ID: l.ID, Developer: l.Developer, May: l.May, By: a.nameFor(who, l.Token.Name, ""), Created: l.Created.UTC(), Ends: l.Ends.UTC(), Used: l.Used}
}

// createPortalLink makes a link that opens one session of a developer's portal. It never
// allows more, nor of another developer, than the token that asks for it.
func (a *API) createPortalLink(c *call) error {
	var req portalLinkRequest
	if err := a.decode(c, &req); err != nil {
		return err
	}
	c.about(req.Developer, "")
	life := defaultLinkLife
	if req.TTL != nil {
		if *req.TTL < int64(session.MinLife/time.Second) || *req.TTL > int64(session.MaxLife/time.Second) {
			return refuse(400, "invalid_request", "ttl must be from 60 to 86400 seconds")
		}
		life = time.Duration(*req.TTL) * time.Second
	}
	if len(req.May) == 0 {
		req.May = []string{"read"}
	}
	for i, name := range req.May {
		if _, known := portalRights[name]; !known {
			return refuse(400, "invalid_request", fmt.Sprintf("may: %q is no right: want %s", name, strings.Join(slices.Sorted(maps.Keys(portalRights)), ", ")))
		} else if slices.Contains(req.May[:i], name) {
			return refuse(400, "invalid_request", fmt.Sprintf("may: %q is there twice", name))
		}
	}
	switch {
	case req.Developer == "":
		return refuse(400, "missing_developer", "developer must name whose portal it is")
	case !c.who.sees(req.Developer):
		return notYours(c.who)
	case !a.Ingest.Knows(req.Developer):
		return refuse(404, "unknown_developer", "the settings have no such developer")
	case c.who.print == "":
		return refuse(409, "no_tokens", "without tokens only this machine may ask: a link would open nothing for anybody else")
	}
	for _, name := range req.May {
		if c.who.may&portalRights[name].needs == 0 {
			return refuse(403, "forbidden", fmt.Sprintf("may: %v may not do this itself: %s", c.who, name))
		}
	}
	base, err := a.consoleURL(c)
	if err != nil {
		return err
	}
	code, l, err := a.Sessions.MakeLink(c.r.Context(), session.Link{
		Token: session.Token{Name: c.who.name, Print: c.who.print}, Developer: req.Developer, May: req.May,
	}, time.Now(), life)
	if errors.Is(err, session.ErrFull) {
		return &ingest.Refusal{Status: 429, Code: "too_many_links", RetryAfter: time.Minute, Message: "as many links live as may: revoke some, or wait for some to end"}
	}
	if err != nil {
		return err
	}
	c.about(l.Developer, l.ID)
	v := a.viewPortalLink(c.who, &l)
	v.URL = base + "/console/#link=" + url.QueryEscape(code) // a fragment is sent to nobody, and in no log
	return c.json(201, v)
}

// consoleURL is what links begin with. The Host of a back end's request is not what
// browsers know, unless both are on this machine.
func (a *API) consoleURL(c *call) (string, error) {
	if public := a.console.Load().PublicURL; public != "" {
		return public, nil
	}
	if loopback(c.r.Host) {
		return a.origin(c.r), nil
	}
	return "", refuse(409, "no_public_url", "the setting console.public_url must say where browsers reach the console")
}

// listPortalLinks lists the links that live, newest first.
func (a *API) listPortalLinks(c *call) error {
	q := &c.query
	limit, after, developer := q.limit(), q.text("cursor"), q.text("developer")
	if q.err != nil {
		return q.err
	}
	all := slices.DeleteFunc(a.Sessions.Links(c.r.Context(), time.Now()), func(l session.Link) bool {
		return !c.who.sees(l.Developer) || developer != "" && l.Developer != developer
	})
	if after != "" {
		i := slices.IndexFunc(all, func(l session.Link) bool { return l.ID == after })
		if i < 0 {
			return store.ErrCursor
		}
		all = all[i+1:]
	}
	next := ""
	if len(all) > limit {
		all = all[:limit]
		next = all[limit-1].ID
	}
	return c.json(200, pageOf(store.Page[session.Link]{Items: all, Next: next}, func(l *session.Link) portalLinkView { return a.viewPortalLink(c.who, l) }))
}

// revokePortalLink ends a link and the session that it opened.
func (a *API) revokePortalLink(c *call) error {
	id, now := c.r.PathValue("id"), time.Now()
	all := a.Sessions.Links(c.r.Context(), now)
	i := slices.IndexFunc(all, func(l session.Link) bool { return l.ID == id && c.who.sees(l.Developer) })
	if i < 0 {
		return notFound("there is no such link, or it has ended")
	}
	c.about(all[i].Developer, id)
	if err := a.Sessions.Revoke(c.r.Context(), id, now); err != nil && !errors.Is(err, session.ErrUnknown) {
		return err
	}
	c.WriteHeader(204)
	return nil
}
