package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/trail"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// scope is what a token may do. operate includes read: who changes things has
// to see them. The others stand alone: a producer sees nothing of what happens,
// who keeps documents sees no events, and who makes links to the portal needs
// neither.
type scope uint8

const (
	anyone    scope = 0
	canIngest scope = 1 << iota
	canRead
	canOperate
	canConfigure // documents of the token's developers
	canLink      // links to the portal

	// withAnyRight is needed for what every known caller may do.
	withAnyRight = canIngest | canRead | canOperate | canConfigure | canLink
)

// scopes are what settings may name.
var scopes = map[string]scope{
	"ingest": canIngest, "read": canRead, "operate": canOperate | canRead, "configure": canConfigure, "link": canLink,
}

// Token is one bearer token. The API keeps its hash alone.
type Token struct {
	Name       string
	Hash       [sha256.Size]byte
	May        []string // names of scopes
	Developers []string // nil: all
	Rate       float64  // requests a second; 0: no limit
}

// NewToken hashes value.
func NewToken(name string, value secret.Value, may, developers []string) Token {
	return Token{Name: name, Hash: sha256.Sum256([]byte(value.Reveal())), May: may, Developers: developers}
}

// AtRate bounds the requests with the token, a second; 0 does not.
func (t Token) AtRate(rate float64) Token {
	t.Rate = rate
	return t
}

// principal is who makes a request.
type principal struct {
	name       string
	via        string // the portal link that they came over; "": none
	hash       [sha256.Size]byte
	may        scope
	developers []string       // sorted; nil: all
	share      *pool          // of the memory for bodies; nil: nobody else needs some
	rate       *ingest.Bucket // of requests
	print      string         // hash of value and rights; "": there are no tokens

	// Of a session:
	secret string
	ends   time.Time
	portal map[string]bool // operations that a link allows beyond may
}

// local is who makes requests when there are no tokens.
var local = principal{name: trail.Local, may: canIngest | canRead | canOperate | canConfigure | canLink}

// sees tells whether p has to do with that developer.
func (p *principal) sees(developer string) bool {
	if p.developers == nil {
		return true
	}
	_, found := slices.BinarySearch(p.developers, developer)
	return found
}

// SetTokens swaps the tokens for requests that begin from now on.
func (a *API) SetTokens(tokens []Token) error {
	if len(tokens) == 0 && !loopback(a.Listen) {
		return fmt.Errorf("listening on %q needs tokens: without any, only a loopback address is safe", a.Listen)
	}
	ps := make([]principal, len(tokens))
	for i, t := range tokens {
		ps[i] = principal{name: t.Name, hash: t.Hash, rate: a.rateOf(&t), print: printOf(&t)}
		if len(tokens) > 1 {
			share := a.memory.share()
			ps[i].share = &share
		}
		for _, may := range t.May {
			s, known := scopes[may]
			if !known {
				return fmt.Errorf("token %q may %q: want %s", t.Name, may, strings.Join(slices.Sorted(maps.Keys(scopes)), ", "))
			}
			ps[i].may |= s
		}
		if t.Developers != nil {
			ps[i].developers = append([]string{}, t.Developers...)
			slices.Sort(ps[i].developers)
		}
	}
	a.tokens.Store(&ps)
	if err := a.Sessions.Keep(context.Background(), time.Now(), a.standing); err != nil {
		a.Log.Error("sessions of tokens that are gone have ended, but would come back with the next start", "error", err)
	}
	return nil
}

// admit finds out who makes the request and whether they may.
func (a *API) admit(c *call, need scope) error {
	who, err := a.identify(c.r)
	if need == anyone {
		if err == nil {
			c.who = who
		}
		return nil
	}
	if err != nil {
		if errors.Is(err, errNoToken) {
			a.turnedAway(c)
			c.Header().Set("WWW-Authenticate", "Bearer")
		}
		return err
	}
	c.who = who
	if wait := who.rate.Take(time.Now()); wait > 0 {
		return &ingest.Refusal{Status: 429, Code: "token_rate", RetryAfter: wait,
			Message: fmt.Sprintf("more requests come with %v than its rate allows", who)}
	}
	if who.may&need == 0 && !who.portal[c.operation] || who.via != "" && beyondLinks[c.operation] {
		return refuse(403, "forbidden", fmt.Sprintf("%v may not do this", who))
	}
	return nil
}

// rateOf returns what bounds the requests with a token. One that stays keeps what it has
// used: a reload gives nothing away.
func (a *API) rateOf(t *Token) *ingest.Bucket {
	if old := a.tokens.Load(); old != nil {
		for i := range *old {
			if p := &(*old)[i]; p.hash == t.Hash && p.name == t.Name && p.rate.Rate() == t.Rate {
				return p.rate
			}
		}
	}
	return ingest.NewBucket(t.Rate, a.Daemons)
}

var errNoToken = refuse(401, "unauthorized", "a valid bearer token is needed")

// identify returns who makes the request.
func (a *API) identify(r *http.Request) (*principal, error) {
	tokens := *a.tokens.Load()
	if len(tokens) == 0 {
		return &local, fromHere(r)
	}
	header := r.Header["Authorization"]
	if len(header) == 0 {
		return a.byCookie(r)
	}
	scheme, value, _ := strings.Cut(header[0], " ")
	if len(header) != 1 || !strings.EqualFold(scheme, "Bearer") || value == "" {
		return nil, errNoToken
	}
	if who := a.ofToken(value); who != nil {
		return who, nil
	}
	return a.bySecret(r.Context(), value)
}

// byCookie returns whose session the browser has. It sends cookies whatever page makes
// it ask: the page must be one of ours.
func (a *API) byCookie(r *http.Request) (*principal, error) {
	secret := a.cookie(r)
	if secret == "" {
		return nil, errNoToken
	}
	who, err := a.bySecret(r.Context(), secret)
	if err == nil {
		err = a.ownPage(r)
	}
	return who, err
}

// bySecret returns whose session it is.
func (a *API) bySecret(ctx context.Context, secret string) (*principal, error) {
	s, ok := a.Sessions.Find(ctx, secret, time.Now())
	if !ok {
		return nil, errNoToken
	}
	who, err := a.ofSession(s)
	if err == nil {
		who.secret = secret
	}
	return who, err
}

// ofToken returns whose token it is; nil: nobody's.
func (a *API) ofToken(value string) *principal {
	tokens := *a.tokens.Load()
	hash := sha256.Sum256([]byte(value))
	var who *principal
	for i := range tokens { // all of them: the time taken tells nothing
		if subtle.ConstantTimeCompare(hash[:], tokens[i].hash[:]) == 1 {
			who = &tokens[i]
		}
	}
	return who
}

// fromHere tells whether a request without a token comes from this machine and
// from no page of another site: a browser here can be made to send requests to
// a loopback address, under a name that a hostile resolver points at it (the
// Host gives it away) or straight from a foreign page (Origin and
// Sec-Fetch-Site do).
func fromHere(r *http.Request) error {
	if !loopback(r.RemoteAddr) {
		return refuse(403, "forbidden", "without tokens only this machine may ask")
	}
	if forwarded(r) {
		return refuse(403, "forwarded", "without tokens only this machine may ask, and this was forwarded, or speaks HTTP/1.0 as proxies do: behind one everybody is local, so list tokens")
	}
	if !loopback(r.Host) {
		return refuse(403, "forbidden_host", "without tokens the Host must be a loopback address or localhost")
	}
	if site := r.Header.Values("Sec-Fetch-Site"); len(site) > 1 || len(site) == 1 && site[0] != "same-origin" && site[0] != "none" {
		return refuse(403, "forbidden_origin", "pages of other sites may not ask")
	}
	if origin := r.Header.Values("Origin"); len(origin) > 1 || len(origin) == 1 && !sameOrigin(origin[0], r) {
		return refuse(403, "forbidden_origin", "pages of other sites may not ask")
	}
	return nil
}

func sameOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return err == nil && u.Scheme == scheme && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// loopback tells whether a host, with or without a port, is this machine by
// its own word: no name but localhost, because any other is up to a resolver.
func loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else if inner, ok := strings.CutPrefix(hostport, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}
