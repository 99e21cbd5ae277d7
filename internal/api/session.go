package api

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/session"
)

const (
	// tokenSession is how long a session lives that was begun with a token.
	tokenSession = 12 * time.Hour
	cookieName   = "fantail_session"
	// secureCookie can only be set over TLS, by this very host, for all of it: no page of
	// a neighbouring host or path can put its own in the place.
	secureCookie = "__Host-fantail"
)

// sessionRequest logs in: with a token, or with the code of a link to the portal.
type sessionRequest struct {
	Token  string `json:"token"`
	Code   string `json:"code"`
	Bearer bool   `json:"bearer"` // answer the secret in place of a cookie, for pages inside a frame
	// Replace says that whoever has a session knows that the link ends it, and whose portal they see from then on.
	Replace bool `json:"replace"`
}

// sessionView is who somebody is, and what they may.
type sessionView struct {
	Name       string    `json:"name"`
	Via        string    `json:"via,omitempty"`
	May        []string  `json:"may"`
	Developers []string  `json:"developers,omitempty"` // left out: all
	Ends       time.Time `json:"ends,omitzero"`
	Bearer     string    `json:"bearer,omitempty"`
}

func (a *API) viewSession(p *principal) sessionView {
	v := sessionView{Name: a.nameFor(p, p.name, p.via), Via: p.via, May: []string{}, Developers: p.developers, Ends: p.ends}
	for name, s := range scopes {
		if p.may&s == s {
			v.May = append(v.May, name)
		}
	}
	for name, r := range portalRights {
		if len(r.operations) > 0 && p.portal[r.operations[0]] {
			v.May = append(v.May, name)
		}
	}
	slices.Sort(v.May)
	return v
}

// refuseLogIn says the same of every token, code and link that opens nothing.
func refuseLogIn(c *call) error {
	c.Header().Set("WWW-Authenticate", "Bearer")
	return refuse(401, "unauthorized", "the token or link is not known, was used, or has expired")
}

// createSession logs in. What was there before ends: a session that somebody else began
// in this browser must not go on under another name.
func (a *API) createSession(c *call) error {
	var req sessionRequest
	if err := a.decode(c, &req); err != nil {
		return err
	}
	switch {
	case len(*a.tokens.Load()) == 0:
		return errors.Join(fromHere(c.r), refuse(409, "no_tokens", "there are no tokens: whoever is on this machine needs no session"))
	case (req.Token == "") == (req.Code == ""):
		return refuse(400, "invalid_request", "want either a token or the code of a link")
	}
	if _, given := c.r.Header["Origin"]; given || !req.Bearer {
		if err := a.ownPage(c.r); err != nil {
			return err
		}
	}
	now, from := time.Now(), network(c.r.RemoteAddr)
	if asked, err := a.askBefore(c, &req, now); asked || err != nil {
		return err
	}
	secret, s, err := a.open(c, &req, now)
	if errors.Is(err, session.ErrUnknown) {
		c.act.From = from
		// Only now: who floods the daemon from behind a proxy must not lock out all the
		// others there. Who guesses gains nothing, tokens are long and codes longer.
		if wait := a.tries.wait(now, from); wait > 0 {
			return &ingest.Refusal{Status: 429, Code: "too_many_tries", RetryAfter: wait, Message: "too many log-ins from this network have failed"}
		}
		a.tries.failed(now, from)
		return refuseLogIn(c)
	}
	if errors.Is(err, session.ErrFull) {
		return &ingest.Refusal{Status: 429, Code: "too_many_sessions", RetryAfter: time.Minute, Message: "as many sessions live as may"}
	}
	if err != nil {
		return err
	}
	who, _ := a.ofSession(s)
	if who == nil {
		return refuseLogIn(c) // the token went meanwhile
	}
	before := map[string]bool{a.cookie(c.r): true}
	if c.who != nil {
		before[c.who.secret] = true
	}
	c.who = who
	c.act.Developer = s.Developer
	delete(before, "")
	for old := range before {
		if err := a.Sessions.End(c.r.Context(), old, now); err != nil {
			a.Log.Warn("the session before a log-in could not be ended in the store", "error", err)
		}
	}
	v := a.viewSession(who)
	if req.Bearer {
		v.Bearer = secret
	} else {
		a.setCookie(c, secret, s.Ends.Sub(now))
	}
	return c.json(201, v)
}

// askBefore answers in place of a log-in whose link would end another session, unless that is said to be meant. Anybody
// can make somebody follow a link of theirs: whoever then takes that portal for their own tells it what is nobody
// else's affair. The answer uses nothing up. The same developer's portal again, on the same token's word, is no other.
func (a *API) askBefore(c *call, req *sessionRequest, now time.Time) (asked bool, err error) {
	if req.Code == "" || req.Replace || c.who == nil || c.who.secret == "" {
		return false, nil
	}
	l, err := a.Sessions.Peek(c.r.Context(), req.Code, now, a.standing)
	if err != nil { // it opens nothing, and so ends nothing
		return false, nil
	}
	if c.who.via != "" && c.who.name == l.Token.Name && slices.Equal(c.who.developers, []string{l.Developer}) {
		return false, nil
	}
	c.refused = "session_exists"
	return true, c.json(409, struct {
		problem
		Session   sessionView `json:"session"`
		Developer string      `json:"developer"`
	}{
		problem{problemText{c.refused, "the link opens the portal of " + l.Developer + ", which would end the session that there is: if that is meant, say so with replace"}},
		a.viewSession(c.who), l.Developer,
	})
}

// open begins the session that a log-in asks for. session.ErrUnknown: nothing is opened.
func (a *API) open(c *call, req *sessionRequest, now time.Time) (string, session.Session, error) {
	if req.Code != "" {
		return a.Sessions.UseLink(c.r.Context(), req.Code, now, a.standing)
	}
	who := a.ofToken(req.Token)
	if who == nil {
		return "", session.Session{}, session.ErrUnknown
	}
	return a.Sessions.Begin(c.r.Context(), session.Token{Name: who.name, Print: who.print}, now, tokenSession)
}

// standing tells whether a token is as it was when a session or link was made on its word.
func (a *API) standing(t session.Token) bool { return a.named(t) != nil }

func (a *API) named(t session.Token) *principal {
	tokens := *a.tokens.Load()
	for i := range tokens {
		if tokens[i].name == t.Name && tokens[i].print == t.Print {
			return &tokens[i]
		}
	}
	return nil
}

// ofSession returns who has a session, nil where its token is not as it was: never more
// than the token may, and of a link what that says.
func (a *API) ofSession(s session.Session) (*principal, error) {
	token := a.named(s.Token)
	if token == nil {
		return nil, errNoToken
	}
	who := *token
	who.ends = s.Ends
	if s.Link == "" {
		return &who, nil
	}
	if !token.sees(s.Developer) {
		return nil, errNoToken
	}
	who.via, who.developers = s.Link, []string{s.Developer}
	who.may, who.portal = rightsOf(s.May)
	who.may &= token.may
	return &who, nil
}

// getSession says who asks.
func (a *API) getSession(c *call) error { return c.json(200, a.viewSession(c.who)) }

// deleteSession logs out.
func (a *API) deleteSession(c *call) error {
	if c.who.secret == "" {
		return refuse(409, "no_session", "this is a token, or nobody at all: there is no session to end")
	}
	if err := a.Sessions.End(c.r.Context(), c.who.secret, time.Now()); err != nil {
		return err
	}
	a.setCookie(c, "", 0)
	c.WriteHeader(http.StatusNoContent)
	return nil
}

// cookie returns the secret of the session in a request. Where there are two, somebody
// else was able to set one for this host, and neither counts.
func (a *API) cookie(r *http.Request) string {
	found := r.CookiesNamed(a.cookieName(r))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

func (a *API) cookieName(r *http.Request) string {
	if a.secure(r) {
		return secureCookie
	}
	return cookieName
}

// setCookie keeps secret in the browser; "" takes it away.
func (a *API) setCookie(c *call, secret string, life time.Duration) {
	k := &http.Cookie{Name: a.cookieName(c.r), Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: a.secure(c.r), MaxAge: int(life / time.Second)}
	if secret == "" {
		k.MaxAge = -1
	}
	http.SetCookie(c, k)
}

// printOf tells a token's value and rights from all others.
func printOf(t *Token) string {
	h := sha256.New()
	for _, part := range slices.Concat([]string{t.Name, string(t.Hash[:])}, t.May, []string{"/"}, t.Developers) {
		_, _ = h.Write([]byte(part + "\x00"))
	}
	if t.Developers == nil {
		_, _ = h.Write([]byte("all"))
	}
	return encodePrint(h.Sum(nil))
}
