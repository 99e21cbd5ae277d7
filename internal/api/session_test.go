package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
)

// logIn posts body to /v1/session as a page of the console does.
func (r *rig) logIn(body string, headers ...string) answer {
	r.t.Helper()
	return r.do("POST", "/v1/session", body, append([]string{"Origin: " + r.server.URL}, headers...)...)
}

// cookieOf is the Cookie header that a browser sends after the answer.
func cookieOf(t testing.TB, a answer) string {
	t.Helper()
	k, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatalf("%s: cookie %q: %v", a, a.header.Get("Set-Cookie"), err)
	}
	return "Cookie: " + k.Name + "=" + k.Value
}

// portalLink makes a link to the portal and returns its id and code.
func (r *rig) portalLink(by, body string) (id, code string) {
	r.t.Helper()
	a := r.do("POST", "/v1/portal-links", body, bearer(by))
	var v portalLinkView
	if a.into(r.t, &v); a.status != 201 {
		r.t.Fatalf("make a link: %s", a)
	}
	_, fragment, _ := strings.Cut(v.URL, "/console/#link=")
	code, err := url.QueryUnescape(fragment)
	if err != nil || code == "" {
		r.t.Fatalf("a link %q", v.URL)
	}
	return v.ID, code
}

// portal logs in with a link and returns the header of its session.
func (r *rig) portal(by, body string) string {
	r.t.Helper()
	_, code := r.portalLink(by, body)
	a := r.do("POST", "/v1/session", `{"bearer":true,"code":"`+code+`"}`)
	var v sessionView
	if a.into(r.t, &v); a.status != 201 || v.Bearer == "" {
		r.t.Fatalf("open a link: %s", a)
	}
	return "Authorization: Bearer " + v.Bearer
}

func TestASessionIsItsToken(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate configure link"), token("crm", "read", "initech")}})
	got := r.logIn(`{"token":"secret-of-crm"}`)
	var v sessionView
	if got.into(t, &v); got.status != 201 || v.Name != "crm" || !slices.Equal(v.May, []string{"read"}) || !slices.Equal(v.Developers, []string{"initech"}) || v.Bearer != "" || v.Ends.IsZero() {
		t.Fatalf("%s: %+v", got, v)
	}
	set := got.header.Get("Set-Cookie")
	for _, part := range []string{"fantail_session=fts_", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie %q lacks %s", set, part)
		}
	}
	if strings.Contains(set, "Secure") || strings.Contains(set, "secret-of") || strings.Contains(string(got.body), "secret-of") {
		t.Errorf("cookie %q, answer %s", set, got)
	}
	cookie := cookieOf(t, got)
	if a := r.do("GET", "/v1/session", "", cookie); a.status != 200 || !strings.Contains(string(a.body), `"name":"crm"`) {
		t.Errorf("who asks: %s", a)
	}
	if a := r.do("GET", "/v1/destinations", "", cookie); a.status != 200 || strings.Contains(string(a.body), "acme") {
		t.Errorf("destinations: %s", a)
	}
	if a := r.do("POST", "/v1/destinations/initech/crm/pause", "", cookie, "Origin: "+r.server.URL); a.status != 403 {
		t.Errorf("a right that the token lacks: %s", a)
	}
	out := r.do("DELETE", "/v1/session", "", cookie, "Origin: "+r.server.URL)
	if out.status != 204 || !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("log out: %s, %v", out, out.header)
	}
	if a := r.do("GET", "/v1/session", "", cookie); a.status != 401 {
		t.Errorf("after it: %s", a)
	}
	if a := r.do("DELETE", "/v1/session", "", bearer("crm")); a.status != 409 || a.code() != "no_session" {
		t.Errorf("log out with a token: %s", a)
	}
	acts := r.acts("?by=crm", bearer("all"))
	if len(acts) < 3 || strings.Contains(fmt.Sprintf("%+v", acts), "fts_") {
		t.Errorf("acts %+v", acts)
	}
	if strings.Contains(r.log.String(), "fts_") || strings.Contains(r.log.String(), "secret-of") {
		t.Error("the log has a secret")
	}
}

// A browser sends the cookie whatever page makes it ask.
func TestACookieCountsFromOurPagesAlone(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "operate")}})
	here := r.server.URL
	cookie := cookieOf(t, r.logIn(`{"token":"secret-of-all"}`))
	const pause = "/v1/destinations/acme/app/pause"
	other := strings.Replace(here, "127.0.0.1", "localhost", 1)
	for _, c := range []struct {
		method, path string
		headers      []string
		status       int
	}{
		{"POST", pause, []string{"Origin: " + here}, 200},
		{"POST", pause, nil, 403},
		{"POST", pause, []string{"Origin: null"}, 403},
		{"POST", pause, []string{"Origin: "}, 403},
		{"POST", pause, []string{"Origin: https://evil.example"}, 403},
		{"POST", pause, []string{"Origin: " + other}, 403},
		{"POST", pause, []string{"Origin: " + here + ".evil.example"}, 403},
		{"POST", pause, []string{"Origin: " + here, "Origin: https://evil.example"}, 403},
		{"POST", pause, []string{"Origin: " + strings.Replace(here, "http:", "https:", 1)}, 403},
		{"POST", pause, []string{"Origin: https://evil.example", "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"}, 403},
		{"POST", pause, []string{"Origin: https://evil.example", "Sec-Fetch-Site: same-origin"}, 403},
		{"DELETE", "/v1/session", nil, 403},
		{"GET", "/v1/destinations", nil, 200},
		{"GET", "/v1/destinations", []string{"Sec-Fetch-Site: same-origin"}, 200},
		{"GET", "/v1/destinations", []string{"Sec-Fetch-Site: none"}, 200},
		{"GET", "/v1/destinations", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"GET", "/v1/destinations", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"GET", "/v1/destinations", []string{"Origin: https://evil.example"}, 403},
		{"GET", "/v1/destinations", []string{"Origin: null"}, 403},
	} {
		got := r.do(c.method, c.path, "", append(c.headers, cookie)...)
		if got.status != c.status || c.status == 403 && got.code() != "forbidden_origin" {
			t.Errorf("%s %s with %q: %s, want %d", c.method, c.path, c.headers, got, c.status)
		}
	}
	// Log-ins that set a cookie, too: nobody is logged in under another's name by a page.
	for _, headers := range [][]string{nil, {"Origin: null"}, {"Origin: https://evil.example"}, {"Origin: " + here, "Origin: " + here}} {
		if got := r.do("POST", "/v1/session", `{"token":"secret-of-all"}`, headers...); got.status != 403 || got.header.Get("Set-Cookie") != "" {
			t.Errorf("log in with %q: %s", headers, got)
		}
		if got := r.do("POST", "/v1/session", `{"token":"secret-of-all","bearer":true}`, headers...); (got.status != 201) != (headers != nil) {
			t.Errorf("log in for a bearer with %q: %s", headers, got)
		}
	}
}

func TestThePublicAddressIsTheOrigin(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "operate")}})
	r.api.SetConsole(config.Console{PublicURL: "https://events.example/fantail"})
	if got := r.logIn(`{"token":"secret-of-all"}`); got.status != 403 {
		t.Errorf("the Host's own origin: %s", got)
	}
	got := r.do("POST", "/v1/session", `{"token":"secret-of-all"}`, "Origin: https://events.example")
	set := got.header.Get("Set-Cookie")
	if got.status != 201 || !strings.HasPrefix(set, "__Host-fantail=") || !strings.Contains(set, "Secure") || !strings.Contains(set, "Path=/;") || strings.Contains(set, "Domain") {
		t.Errorf("%s, cookie %q", got, set)
	}
	// Over TLS a cookie of the other name, which anybody on a neighbouring host can set, does not count.
	if a := r.do("GET", "/v1/session", "", strings.Replace(cookieOf(t, got), "__Host-fantail", "fantail_session", 1)); a.status != 401 {
		t.Errorf("a cookie under the other name: %s", a)
	}
	// Browsers leave the port out that the scheme has anyway.
	r.api.SetConsole(config.Console{PublicURL: "https://Events.example:443"})
	if a := r.do("POST", "/v1/session", `{"token":"secret-of-all"}`, "Origin: https://events.example"); a.status != 201 {
		t.Errorf("with a default port in the setting: %s", a)
	}
	r.api.SetConsole(config.Console{})
	for _, c := range []struct{ proto, host, origin string }{
		{"https", "events.example:443", "https://events.example"}, {"http", "events.example:80", "http://events.example"}, {"http", "events.example:443", "http://events.example:443"},
	} {
		if a := r.do("POST", "/v1/session", `{"token":"secret-of-all"}`, "Host: "+c.host, "X-Forwarded-Proto: "+c.proto, "Origin: "+c.origin); a.status != 201 {
			t.Errorf("over %s, with Host %s: %s", c.proto, c.host, a)
		}
	}
	for _, c := range []struct {
		forwarded string
		secure    bool
	}{{"https", true}, {"HTTPS", true}, {"http", false}, {"https, http", false}, {"", false}} {
		origin := "http"
		if c.secure {
			origin = "https"
		}
		got := r.do("POST", "/v1/session", `{"token":"secret-of-all"}`, "X-Forwarded-Proto: "+c.forwarded, "Origin: "+strings.Replace(r.server.URL, "http", origin, 1))
		if got.status != 201 || strings.Contains(got.header.Get("Set-Cookie"), "Secure") != c.secure {
			t.Errorf("%q: %s, %q", c.forwarded, got, got.header.Get("Set-Cookie"))
		}
	}
}

// Who can set a cookie for the host, from a neighbouring path, must not have others work
// in their session; and nobody's session goes on after a log-in.
func TestSessionsAreNotFixed(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "operate"), token("evil", "read")}})
	evil := cookieOf(t, r.logIn(`{"token":"secret-of-evil"}`))
	mine := r.logIn(`{"token":"secret-of-all"}`, evil)
	cookie := cookieOf(t, mine)
	if cookie == evil {
		t.Error("the secret was there before the log-in")
	}
	if got := r.do("GET", "/v1/session", "", evil); got.status != 401 {
		t.Errorf("the session before the log-in goes on: %s", got)
	}
	evil = cookieOf(t, r.logIn(`{"token":"secret-of-evil"}`))
	two := cookie + "; " + strings.TrimPrefix(evil, "Cookie: ")
	for _, c := range []string{two, evil + "; " + strings.TrimPrefix(cookie, "Cookie: ")} {
		if got := r.do("GET", "/v1/session", "", c); got.status != 401 {
			t.Errorf("two cookies: %s", got)
		}
	}
	if got := r.do("GET", "/v1/session", "", cookie, evil); got.status != 401 {
		t.Errorf("two headers with cookies: %s", got)
	}
	if got := r.do("GET", "/v1/session", "", "Cookie: fantail_session=fts_chosen"); got.status != 401 {
		t.Errorf("a secret of their own choice: %s", got)
	}
	if got := r.do("GET", "/v1/session", "", "Cookie: fantail_session=secret-of-all"); got.status != 401 {
		t.Errorf("a token as a cookie: %s", got)
	}
}

func TestSessionsEndWithTheirTokenAndLink(t *testing.T) {
	tokens := []Token{token("all", "operate configure link"), token("other", "read")}
	r := newRig(t, setup{tokens: tokens})
	session := func() string { return cookieOf(t, r.logIn(`{"token":"secret-of-all"}`)) }
	for name, change := range map[string]func(*Token){
		"fewer rights":     func(k *Token) { k.May = []string{"read", "link"} },
		"fewer developers": func(k *Token) { k.Developers = []string{"acme"} },
		"another value":    func(k *Token) { k.Hash[0]++ },
		"removed":          func(k *Token) { k.Name = "gone" },
	} {
		if err := r.api.SetTokens(tokens); err != nil {
			t.Fatal(err)
		}
		cookie, portal := session(), r.portal("all", `{"developer":"acme"}`)
		_, unused := r.portalLink("all", `{"developer":"acme"}`)
		changed := slices.Clone(tokens)
		change(&changed[0])
		if err := r.api.SetTokens(changed); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, header := range []string{cookie, portal} {
				if got := r.do("GET", "/v1/session", "", header); got.status != 401 {
					t.Errorf("%s: a session lives on: %s", name, got)
				}
			}
			if got := r.do("POST", "/v1/session", `{"bearer":true,"code":"`+unused+`"}`); got.status != 401 {
				t.Errorf("%s: a link lives on: %s", name, got)
			}
			if err := r.api.SetTokens(tokens); err != nil { // what has ended stays ended
				t.Fatal(err)
			}
		}
	}
	// A reload that changes nothing of the token ends nothing.
	cookie := session()
	if err := r.api.SetTokens([]Token{tokens[0]}); err != nil {
		t.Fatal(err)
	}
	if got := r.do("GET", "/v1/session", "", cookie); got.status != 200 {
		t.Errorf("after a reload: %s", got)
	}
	if err := r.api.SetTokens(nil); err != nil {
		t.Fatal(err)
	}
	if got := r.do("POST", "/v1/session", `{"token":"x"}`); got.status != 409 || got.code() != "no_tokens" {
		t.Errorf("a log-in without tokens: %s", got)
	}
	if got := r.do("GET", "/v1/session", ""); got.status != 200 || !strings.Contains(string(got.body), `"local"`) {
		t.Errorf("without tokens: %s", got)
	}
	if got := r.do("POST", "/v1/portal-links", `{"developer":"acme"}`); got.status != 409 || got.code() != "no_tokens" {
		t.Errorf("a link without tokens: %s", got)
	}
}

func TestALinkOpensOneSession(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "operate link"), token("crm", "read link", "initech")}})
	id, code := r.portalLink("all", `{"developer":"acme","may":["read","retry"],"ttl":600}`)
	if got := r.logIn(`{"code":"` + code + `"}`); got.status != 201 || !strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=599") && !strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=600") {
		t.Errorf("%s, cookie %q", got, got.header.Get("Set-Cookie"))
	}
	if got := r.logIn(`{"code":"` + code + `"}`); got.status != 401 || got.header.Get("Set-Cookie") != "" {
		t.Errorf("a second time: %s", got)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	_, code = r.portalLink("all", `{"developer":"acme"}`)
	for range 8 {
		wg.Go(func() {
			if got := r.logIn(`{"code":"` + code + `"}`); got.status == 201 {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	if wg.Wait(); won != 1 {
		t.Errorf("%d used one link at once", won)
	}
	var list page[portalLinkView]
	r.do("GET", "/v1/portal-links", "", bearer("all")).into(t, &list)
	if len(list.Items) != 2 || list.Items[1].ID != id || list.Items[1].Used.IsZero() || list.Items[1].URL != "" || list.Items[1].By != "all" {
		t.Errorf("links %+v", list.Items)
	}
	var first page[portalLinkView]
	r.do("GET", "/v1/portal-links?limit=1", "", bearer("all")).into(t, &first)
	r.do("GET", "/v1/portal-links?limit=1&cursor="+first.Next, "", bearer("all")).into(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != id || list.Next != "" {
		t.Errorf("the second page %+v", list)
	}
	if got := r.do("GET", "/v1/portal-links?cursor=x", "", bearer("all")); got.status != 400 {
		t.Errorf("a made up cursor: %s", got)
	}
	// Those of another developer do not exist.
	r.do("GET", "/v1/portal-links", "", bearer("crm")).into(t, &list)
	if got := r.do("DELETE", "/v1/portal-links/"+id, "", bearer("crm")); got.status != 404 || len(list.Items) != 0 {
		t.Errorf("another's links: %s, %+v", got, list)
	}
	_, code = r.portalLink("all", `{"developer":"acme"}`)
	header := r.portal("all", `{"developer":"acme"}`)
	r.do("GET", "/v1/portal-links", "", bearer("all")).into(t, &list)
	for _, l := range list.Items {
		if got := r.do("DELETE", "/v1/portal-links/"+l.ID, "", bearer("all")); got.status != 204 {
			t.Errorf("revoke: %s", got)
		}
	}
	if got := r.do("GET", "/v1/session", "", header); got.status != 401 {
		t.Errorf("the session of a revoked link: %s", got)
	}
	if got := r.logIn(`{"code":"` + code + `"}`); got.status != 401 {
		t.Errorf("a revoked link: %s", got)
	}
}

// A link never has more rights, or developers, than the token that makes it.
func TestALinkIsNoMoreThanItsToken(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{
		token("link", "link"), token("reader", "link read"), token("operator", "link operate"), token("keeper", "link configure"), token("crm", "link operate", "initech"),
	}})
	for _, c := range []struct {
		by, body string
		status   int
	}{
		{"link", `{"developer":"acme"}`, 403},
		{"reader", `{"developer":"acme"}`, 201},
		{"reader", `{"developer":"acme","may":["read","retry"]}`, 403},
		{"reader", `{"developer":"acme","may":["test"]}`, 403},
		{"reader", `{"developer":"acme","may":["replay"]}`, 403},
		{"reader", `{"developer":"acme","may":["configure"]}`, 403},
		{"operator", `{"developer":"acme","may":["read","retry","test","replay"]}`, 201},
		{"operator", `{"developer":"acme","may":["configure"]}`, 403},
		{"keeper", `{"developer":"acme","may":["configure"]}`, 201},
		{"keeper", `{"developer":"acme","may":["read"]}`, 403},
		{"crm", `{"developer":"acme"}`, 403},
		{"crm", `{"developer":"initech"}`, 201},
		{"operator", `{"developer":"nobody"}`, 404},
		{"operator", `{"developer":"acme","may":["operate"]}`, 400},
		{"operator", `{"developer":"acme","may":["link"]}`, 400},
		{"operator", `{"developer":"acme","may":["read","read"]}`, 400},
		{"operator", `{"developer":"acme","ttl":59}`, 400},
		{"operator", `{"developer":"acme","ttl":86401}`, 400},
		{"operator", `{}`, 400},
	} {
		if got := r.do("POST", "/v1/portal-links", c.body, bearer(c.by)); got.status != c.status {
			t.Errorf("%s asks for %s: %s, want %d", c.by, c.body, got, c.status)
		}
	}
	if got := r.do("POST", "/v1/portal-links", `{"developer":"acme"}`, bearer("reader"), "Host: evil.example"); got.status != 409 || got.code() != "no_public_url" {
		t.Errorf("a Host that anybody can name: %s", got)
	}
	r.api.SetConsole(config.Console{PublicURL: "https://events.example/fantail"})
	if got := r.do("POST", "/v1/portal-links", `{"developer":"acme"}`, bearer("reader"), "Host: evil.example"); got.status != 201 || !strings.Contains(string(got.body), `"https://events.example/fantail/console/#link=ftl_`) {
		t.Errorf("with a public address: %s", got)
	}
}

// Every right that a link may give, on every operation: what it does not give is refused.
func TestRightsOfPortalSessions(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "operate configure link")}})
	rights := []string{"read", "configure", "retry", "test", "replay"}
	for _, right := range rights {
		header := r.portal("all", `{"developer":"acme","may":["`+right+`"]}`)
		for pattern, e := range routes {
			for method, op := range e {
				name := operationIDs[method+" "+pattern]
				if name == "deleteSession" {
					continue // it would end here
				}
				got := r.do(method, fill(pattern), "", header)
				given := portalRights[right]
				allowed := op.may == anyone || op.may&given.may != 0 && !beyondLinks[name] || slices.Contains(given.operations, name) || name == "getSession"
				if refused := got.status == 403 && got.code() == "forbidden" && strings.Contains(string(got.body), "may not do this"); refused == allowed {
					t.Errorf("%s %s with %s: %s", method, pattern, right, got)
				}
			}
		}
		if got := r.do("DELETE", "/v1/session", "", header); got.status != 204 {
			t.Errorf("log out with %s: %s", right, got)
		}
	}
	for right, of := range portalRights {
		for _, operation := range of.operations {
			if !slices.Contains(operationNames(), operation) {
				t.Errorf("%s names %s, which is no operation", right, operation)
			}
		}
	}
}

// Whatever a link allows, it is not for what concerns the daemon, its people or its users.
func TestNoLinkAllowsWhatIsTheOperators(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate configure link")}})
	header := r.portal("all", `{"developer":"acme","may":["read","configure","retry","test","replay"]}`)
	for _, c := range [][2]string{
		{"POST", "/v1/reload"}, {"POST", "/v1/backup"}, {"DELETE", "/v1/users/u/data?developer=acme"}, {"POST", "/v1/portal-links"}, {"GET", "/v1/portal-links"},
		{"POST", "/v1/destinations/acme/app/pause"}, {"POST", "/v1/destinations/acme/app/resume"}, {"POST", "/v1/destinations/acme/app/rebind"},
		{"DELETE", "/v1/developers/acme?data=keep"}, {"DELETE", "/v1/developers/acme?data=erase"}, {"DELETE", "/v1/developers/acme?dry_run=1"},
		{"POST", "/v1/events"}, {"POST", "/v1/events/batch"}, {"GET", "/metrics"}, {"GET", "/v1/settings"},
	} {
		if got := r.do(c[0], c[1], "", header); got.status != 403 {
			t.Errorf("%s %s: %s", c[0], c[1], got)
		}
	}
}

// A portal session sees and touches nothing of another developer, whatever it may.
func TestAPortalSeesItsDeveloperAlone(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate configure link")}})
	theirs := r.post(sleep, bearer("all"))
	header := r.portal("all", `{"developer":"initech","may":["read","configure","retry","test","replay"]}`)
	for pattern, e := range routes {
		for method, op := range e {
			if op.may == anyone || strings.Contains(pattern, "session") {
				continue
			}
			path := strings.NewReplacer("{id}", theirs, "{developer}", "acme", "{destination}", "app", "{name}", "acme").Replace(pattern)
			for _, query := range []string{"", "?developer=acme"} {
				got := r.do(method, path+query, "", header)
				if got.status < 300 && (strings.Contains(string(got.body), "acme") || strings.Contains(string(got.body), theirs)) {
					t.Errorf("%s %s: %s", method, path+query, got)
				}
				if strings.Contains(path, "acme") && got.status < 400 {
					t.Errorf("%s %s: %s", method, path+query, got)
				}
			}
		}
	}
	if got := r.do("GET", "/v1/events/"+theirs+"/body", "", header); got.status != 404 {
		t.Errorf("another's body: %s", got)
	}
	acts := r.acts("", bearer("all"))
	if i := slices.IndexFunc(acts, func(a actView) bool { return a.Via != "" }); i < 0 || acts[i].By != "all" || !strings.HasPrefix(acts[i].Via, "lnk_") {
		t.Errorf("acts of a portal %+v", acts)
	}
}

func TestFailedTriesAreSlowed(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "operate")}})
	last := answer{}
	for i := range freeTries + 2 {
		last = r.logIn(fmt.Sprintf(`{"token":"guess-%d"}`, i))
	}
	if last.status != 429 || last.code() != "too_many_tries" || last.header.Get("Retry-After") == "" {
		t.Errorf("%s, %v", last, last.header)
	}
	if got := r.logIn(`{"token":"secret-of-all"}`); got.status != 201 {
		t.Errorf("somebody behind the same address is locked out: %s", got)
	}
	if got := r.do("GET", "/v1/session", "", bearer("all")); got.status != 200 {
		t.Errorf("a token that is no log-in: %s", got)
	}
	acts := r.acts("?call=createSession", bearer("all"))
	if len(acts) == 0 || len(acts) > 3 || acts[len(acts)-1].From != "127.0.0.0/24" || acts[len(acts)-1].Result != "unauthorized" {
		t.Errorf("acts %+v", acts)
	}
}

func TestTriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tries
		for i := range mostTriers + 1000 {
			f.failed(time.Now(), fmt.Sprint(i))
		}
		if len(f.of) > mostTriers+1 {
			t.Errorf("%d networks are remembered", len(f.of))
		}
		if wait := f.wait(time.Now(), "new"); wait <= 0 || wait > longestWait {
			t.Errorf("from elsewhere: %v", wait)
		}
		if wait := f.wait(time.Now(), "0"); wait > 0 {
			t.Errorf("one try: %v", wait)
		}
		time.Sleep(forgiveAfter + time.Second)
		if f.failed(time.Now(), "new"); len(f.of) != 1 {
			t.Errorf("%d are remembered after a while", len(f.of))
		}
		for range 100 {
			f.failed(time.Now(), "new")
		}
		if wait := f.wait(time.Now(), "new"); wait != longestWait {
			t.Errorf("after 100 tries: %v", wait)
		}
	})
}

// Behind a proxy everybody comes from this machine.
func TestWhatWasForwardedIsNotLocal(t *testing.T) {
	r := newRig(t, setup{})
	for _, header := range []string{"Forwarded: for=192.0.2.1", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: localhost", "X-Forwarded-Anything: ", "Via: 1.1 proxy", "X-Real-IP: 127.0.0.1", "CF-Connecting-IP: 192.0.2.1", "x-forwarded: for=x", "True-Client-IP: x"} {
		for _, path := range []string{"/v1/destinations", "/v1/session"} {
			if got := r.do("GET", path, "", header); got.status != 403 || got.code() != "forwarded" {
				t.Errorf("%s with %q: %s", path, header, got)
			}
		}
	}
	// nginx adds no header of its own accord.
	if got := r.raw("GET /v1/destinations HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"); got.status != 403 || got.code() != "forwarded" {
		t.Errorf("over HTTP/1.0: %s", got)
	}
	if got := r.raw("GET /healthz HTTP/1.0\r\n\r\n"); got.status != 200 {
		t.Errorf("a probe over HTTP/1.0: %s", got)
	}
	if got := r.do("GET", "/healthz", "", "X-Forwarded-For: 192.0.2.1"); got.status != 200 {
		t.Errorf("a probe through a proxy: %s", got)
	}
	if got := r.do("GET", "/v1/destinations", ""); got.status != 200 {
		t.Errorf("from here: %s", got)
	}
}

func TestLogInsAskForOneThing(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "operate")}})
	for _, body := range []string{`{}`, `{"token":"a","code":"b"}`, `{"token":1}`, `[]`, `{"code":"x","extra":1}`} {
		if got := r.logIn(body); got.status != 400 {
			t.Errorf("%s: %s", body, got)
		}
	}
	for _, body := range []string{`{"code":"ftl_x"}`, `{"token":"nobody"}`, `{"code":"secret-of-all"}`} {
		got := r.logIn(body)
		var p problem
		if err := json.Unmarshal(got.body, &p); err != nil || got.status != 401 || got.header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(p.Error.Message, "not known") {
			t.Errorf("%s: %s", body, got)
		}
	}
}
