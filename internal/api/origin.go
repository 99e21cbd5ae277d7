package api

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/config"
)

func encodePrint(b []byte) string { return hex.EncodeToString(b[:16]) }

// forwarding are headers that a proxy adds: what has one does not come from here,
// whatever its address says.
var forwarding = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For", "X-Original-Host", "True-Client-Ip", "Cf-Connecting-Ip", "Cdn-Loop",
}

// forwarded tells whether a proxy passed on a request. nginx adds no header unless it is
// told to, but speaks HTTP/1.0, which nobody else does any more.
func forwarded(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded") || slices.Contains(forwarding, name) {
			return true
		}
	}
	return !r.ProtoAtLeast(1, 1)
}

// SetConsole says where browsers reach the console, for requests that begin from now on.
func (a *API) SetConsole(c config.Console) { a.console.Store(&c) }

// origin is that of the console's own pages: of console.public_url, else what the
// request was sent to, and the proxy's word for the scheme.
func (a *API) origin(r *http.Request) string {
	if public := a.console.Load().PublicURL; public != "" {
		if u, err := url.Parse(public); err == nil {
			return u.Scheme + "://" + withoutDefault(u.Scheme, u.Host)
		}
	}
	scheme := "http"
	if said := r.Header["X-Forwarded-Proto"]; r.TLS != nil || len(said) == 1 && strings.EqualFold(said[0], "https") {
		scheme = "https"
	}
	return scheme + "://" + withoutDefault(scheme, r.Host)
}

// withoutDefault is a host without the port that browsers leave out. A setting, and some
// proxies, write it.
func withoutDefault(scheme, host string) string {
	return strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
}

// secure tells whether the browser speaks TLS.
func (a *API) secure(r *http.Request) bool { return strings.HasPrefix(a.origin(r), "https://") }

// ownPage refuses what a page of another site made a browser send. A browser names the
// origin of whatever may change something; of a read it need not, and whoever made it
// cannot see the answer.
func (a *API) ownPage(r *http.Request) error {
	refused := refuse(403, "forbidden_origin", "this comes from no page of the console: the setting console.public_url says where that is")
	origin := r.Header["Origin"]
	switch {
	case len(origin) > 1 || len(origin) == 1 && !strings.EqualFold(origin[0], a.origin(r)):
		return refused
	case len(origin) == 1:
		return nil
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return refused
	}
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 1 || len(site) == 1 && site[0] != "same-origin" && site[0] != "none" {
		return refused
	}
	return nil
}
