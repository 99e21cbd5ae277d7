package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// fill puts something into a pattern's wildcards.
func fill(pattern string) string {
	return strings.NewReplacer("{id}", "none", "{developer}", "acme", "{destination}", "none", "{version}", "1").Replace(pattern)
}

func TestScopes(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{
		token("producer", "ingest"), token("reader", "read"), token("operator", "operate"), token("keeper", "configure"), token("linker", "link"), token("all", "ingest read operate configure link"), token("none", ""),
	}})
	passes := map[scope][]string{
		anyone:                 {"", "wrong", "none", "producer", "reader", "operator", "keeper", "linker", "all"},
		canIngest:              {"producer", "all"},
		canRead:                {"reader", "operator", "all"},
		canOperate:             {"operator", "all"},
		canConfigure:           {"keeper", "all"},
		canRead | canConfigure: {"reader", "operator", "keeper", "all"},
		canLink:                {"linker", "all"},
		withAnyRight:           {"producer", "reader", "operator", "keeper", "linker", "all"},
	}
	for pattern, e := range routes {
		for method, op := range e {
			for _, name := range passes[anyone] {
				var headers []string
				if name != "" {
					headers = []string{bearer(name)}
				}
				got := r.do(method, fill(pattern), "", headers...)
				want := !slices.Contains(passes[op.may], name)
				refused := got.status == 401 || got.status == 403
				if refused != want {
					t.Errorf("%s %s as %q: %s", method, pattern, name, got)
				}
				if known := name != "" && name != "wrong"; refused && known != (got.status == 403) {
					t.Errorf("%s %s as %q: %s", method, pattern, name, got)
				}
			}
		}
	}
}

func TestTokensAreComparedWhole(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("reader", "read")}})
	for value, want := range map[string]int{
		"Bearer secret-of-reader":   200,
		"bearer secret-of-reader":   200,
		"Bearer secret-of-reade":    401,
		"Bearer secret-of-reader2":  401,
		"Bearer SECRET-OF-READER":   401,
		"Bearer  secret-of-reader":  401,
		"Bearer ":                   401,
		"Bearer":                    401,
		"secret-of-reader":          401,
		"Basic secret-of-reader":    401,
		"Bearer x secret-of-reader": 401,
	} {
		if got := r.do("GET", "/v1/egress", "", "Authorization: "+value); got.status != want {
			t.Errorf("%q: %s, want %d", value, got, want)
		}
	}
	twice := r.do("GET", "/v1/egress", "", "Authorization: Bearer secret-of-reader", "Authorization: Bearer secret-of-reader")
	if twice.status != 401 {
		t.Errorf("two headers: %s", twice)
	}
	if log := r.log.String(); strings.Contains(log, "secret-of") {
		t.Errorf("the log shows a token: %s", log)
	}
}

func TestTokensAreSwappedAtOnce(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("old", "read")}})
	if err := r.api.SetTokens([]Token{token("new", "read")}); err != nil {
		t.Fatal(err)
	}
	if old, now := r.do("GET", "/v1/egress", "", bearer("old")), r.do("GET", "/v1/egress", "", bearer("new")); old.status != 401 || now.status != 200 {
		t.Errorf("old %s, new %s", old, now)
	}
	if err := r.api.SetTokens([]Token{token("bad", "fly")}); err == nil {
		t.Error("an unknown scope passed")
	}
	r.api.Listen = "192.0.2.1:8080"
	if err := r.api.SetTokens(nil); err == nil {
		t.Error("a public address without tokens passed")
	}
}

// A token for one developer sees nothing of another: what belongs to others
// does not exist, and a filter cannot reach it.
func TestLimitedTokenSeesItsOwnAlone(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate"), token("crm", "ingest operate", "initech")}})
	var mine, theirs struct{ ID string }
	r.do("POST", "/v1/events", sleep, bearer("crm"), "dev-id: initech").into(t, &mine)
	r.do("POST", "/v1/events", sleep, bearer("all"), "dev-id: acme").into(t, &theirs)
	ids := func(a answer) (developers []string) {
		t.Helper()
		var p page[struct{ Developer string }]
		if a.into(t, &p); a.status != 200 {
			t.Fatal(a)
		}
		for _, item := range p.Items {
			developers = append(developers, item.Developer)
		}
		slices.Sort(developers)
		return slices.Compact(developers)
	}
	for _, list := range []string{"/v1/events", "/v1/deliveries", "/v1/destinations"} {
		if got := ids(r.do("GET", list, "", bearer("crm"))); !slices.Equal(got, []string{"initech"}) {
			t.Errorf("%s shows %q", list, got)
		}
		if got := ids(r.do("GET", list+"?developer=acme", "", bearer("crm"))); len(got) != 0 {
			t.Errorf("%s of acme shows %q", list, got)
		}
		if got := ids(r.do("GET", list, "", bearer("all"))); !slices.Equal(got, []string{"acme", "initech"}) {
			t.Errorf("%s shows %q to a token for all", list, got)
		}
	}
	if got := ids(r.do("GET", "/v1/deliveries?event="+theirs.ID, "", bearer("crm"))); len(got) != 0 {
		t.Errorf("deliveries of another's event: %q", got)
	}
	var rows []auditView
	r.do("GET", "/v1/audit", "", bearer("crm")).into(t, &rows)
	if len(rows) != 1 || rows[0].Developer != "initech" {
		t.Errorf("audit shows %+v", rows)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/events/" + theirs.ID, "", 404},
		{"GET", "/v1/events/" + theirs.ID + "/body", "", 404},
		{"GET", "/v1/deliveries/" + theirs.ID + "_1", "", 404},
		{"POST", "/v1/deliveries/" + theirs.ID + "_1/cancel", "", 404},
		{"POST", "/v1/deliveries/" + theirs.ID + "_1/retry", "", 404},
		{"POST", "/v1/destinations/acme/app/pause", "", 404},
		{"POST", "/v1/destinations/acme/app/resume", "", 404},
		{"POST", "/v1/destinations/acme/app/rebind", "", 404},
		{"DELETE", "/v1/users/u1/data?developer=acme", "", 403},
		{"POST", "/v1/reload", "", 403},
		{"POST", "/v1/backup", `{"dir":"/tmp/x"}`, 403},
		{"GET", "/metrics", "", 403},
		{"GET", "/v1/egress", "", 200},
		{"GET", "/v1/events/" + mine.ID, "", 200},
		{"GET", "/v1/events/" + mine.ID + "/body", "", 200},
		{"GET", "/v1/deliveries/" + mine.ID + "_3", "", 200},
		{"POST", "/v1/destinations/initech/crm/pause", "", 200},
	} {
		if got := r.do(c.method, c.path, c.body, bearer("crm")); got.status != c.status {
			t.Errorf("%s %s: %s, want %d", c.method, c.path, got, c.status)
		}
	}
	for _, developer := range []string{"acme", "nobody"} {
		got := r.do("POST", "/v1/events", sleep, bearer("crm"), "dev-id: "+developer)
		if got.status != 403 || got.code() != "forbidden_developer" {
			t.Errorf("an event of %s: %s", developer, got)
		}
	}
	batch := r.do("POST", "/v1/events/batch", line(sleep)+lineOf("initech", sleep), bearer("crm"))
	if got, _ := outcomes(t, batch.body); !slices.Equal(got, []string{"1 403 forbidden_developer", "2 202 false"}) {
		t.Errorf("batch: %q", got)
	}
	var step stepView
	r.do("POST", "/v1/deliveries/cancel", `{"all":true}`, bearer("crm")).into(t, &step)
	if step.Changed != 2 {
		t.Errorf("cancelling all changed %+v, want the token's own 2", step)
	}
	r.do("POST", "/v1/deliveries/cancel", `{"developer":"acme"}`, bearer("crm")).into(t, &step)
	if step.Matched != 0 {
		t.Errorf("cancelling another's matched %+v", step)
	}
	var ready map[string]any
	r.daemon.warnings = []string{"developer acme: faulty settings"}
	for name, want := range map[string]bool{"all": true, "crm": false, "wrong": false} {
		clear(ready)
		r.do("GET", "/readyz", "", bearer(name)).into(t, &ready)
		if _, shown := ready["warnings"]; shown != want {
			t.Errorf("readyz shows %v to %s", ready, name)
		}
	}
}

func TestWithoutTokensOnlyThisMachineMayAsk(t *testing.T) {
	r := newRig(t, setup{})
	port := strings.TrimPrefix(r.server.URL, "http://127.0.0.1")
	for name, c := range map[string]struct {
		headers []string
		code    string // "" passes
	}{
		"as it comes":               {nil, ""},
		"localhost":                 {[]string{"Host: LocalHost" + port}, ""},
		"localhost without port":    {[]string{"Host: localhost"}, ""},
		"another loopback address":  {[]string{"Host: 127.9.9.9"}, ""},
		"IPv6":                      {[]string{"Host: [::1]" + port}, ""},
		"IPv6 without port":         {[]string{"Host: [::1]"}, ""},
		"mapped":                    {[]string{"Host: [::ffff:127.0.0.1]"}, ""},
		"own page":                  {[]string{"Origin: " + r.server.URL, "Sec-Fetch-Site: same-origin"}, ""},
		"typed in":                  {[]string{"Sec-Fetch-Site: none"}, ""},
		"rebound name":              {[]string{"Host: evil.example" + port}, "forbidden_host"},
		"name with our address":     {[]string{"Host: 127.0.0.1.evil.example"}, "forbidden_host"},
		"localhost below a name":    {[]string{"Host: localhost.evil.example"}, "forbidden_host"},
		"name below localhost":      {[]string{"Host: evil.localhost"}, "forbidden_host"},
		"localhost with a dot":      {[]string{"Host: localhost."}, "forbidden_host"},
		"public address":            {[]string{"Host: 203.0.113.1"}, "forbidden_host"},
		"any address":               {[]string{"Host: 0.0.0.0"}, "forbidden_host"},
		"octal":                     {[]string{"Host: 0177.0.0.1"}, "forbidden_host"},
		"decimal":                   {[]string{"Host: 2130706433"}, "forbidden_host"},
		"foreign page":              {[]string{"Origin: https://evil.example"}, "forbidden_origin"},
		"page without origin":       {[]string{"Origin: null"}, "forbidden_origin"},
		"page of another port":      {[]string{"Origin: http://127.0.0.1:1"}, "forbidden_origin"},
		"page over https":           {[]string{"Origin: https" + strings.TrimPrefix(r.server.URL, "http")}, "forbidden_origin"},
		"page of the other name":    {[]string{"Origin: http://localhost" + port}, "forbidden_origin"},
		"two origins":               {[]string{"Origin: " + r.server.URL, "Origin: https://evil.example"}, "forbidden_origin"},
		"foreign fetch":             {[]string{"Sec-Fetch-Site: cross-site"}, "forbidden_origin"},
		"fetch of the same site":    {[]string{"Sec-Fetch-Site: same-site"}, "forbidden_origin"},
		"rebound with same origin":  {[]string{"Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"}, "forbidden_host"},
		"a token makes no odds":     {[]string{"Host: evil.example", "Authorization: Bearer x"}, "forbidden_host"},
		"forwarded":                 {[]string{"X-Forwarded-Host: localhost"}, "forwarded"},
		"a foreign page's own host": {[]string{"Host: localhost", "Origin: http://localhost.evil.example"}, "forbidden_origin"},
	} {
		got := r.do("POST", "/v1/reload", "", c.headers...)
		if got.code() != c.code || (got.status == 200) != (c.code == "") {
			t.Errorf("%s: %s, want %q", name, got, c.code)
		}
	}
	req := httptest.NewRequest("GET", "http://localhost/v1/egress", nil)
	req.RemoteAddr = "192.0.2.7:4711"
	w := httptest.NewRecorder()
	if r.api.ServeHTTP(w, req); w.Code != 403 {
		t.Errorf("from another machine: %d %s", w.Code, w.Body)
	}
}

func TestPathTricks(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest read operate")}})
	id := func() string {
		var v struct{ ID string }
		r.do("POST", "/v1/events", sleep, bearer("all"), "dev-id: acme").into(t, &v)
		return v.ID
	}()
	for path, want := range map[string]int{
		"/":                                   404,
		"/v1":                                 404,
		"/v2/events":                          404,
		"/v1/events/":                         404,
		"//v1/events":                         404,
		"/v1//events":                         404,
		"/v1/./events":                        404,
		"/v1/x/../events":                     404,
		"/v1/x/%2e%2e/events":                 404,
		"/v1%2fevents":                        404,
		"/V1/events":                          404,
		"/v1/events;x":                        404,
		"/v1/events/" + id + "/../" + id:      404,
		"/v1/events/" + id + "%2fbody":        404,
		"/v1/events/" + strings.ToUpper(id):   404,
		"/v1/events/..%2f..%2fetc%2fpasswd":   404,
		"/v1/events/%00":                      404,
		"/v1/events/" + id + "/body/":         404,
		"/v1/deliveries/" + id + "_01":        404,
		"/v1/deliveries/" + id + "_1_0_0":     404,
		"/v1/replay":                          404,
		"/v1/destinations/acme/app/mend":      404,
		"/payloads/x":                         404,
		"/console/":                           404,
		"/debug/pprof/":                       404,
		"/v1/events/" + id:                    200,
		"/v1/events/" + id + "?x=1":           400,
		"/v1/events?developer=acme&limit=1;x": 400,
	} {
		got := r.raw(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\nConnection: close\r\n\r\n", path, bearer("all")))
		if got.status != want {
			t.Errorf("%s: %s, want %d", path, got, want)
		}
	}
	if got := r.raw("GET http://evil.example/v1/egress HTTP/1.1\r\nHost: x\r\n" + bearer("all") + "\r\nConnection: close\r\n\r\n"); got.status != 200 {
		t.Errorf("absolute form: %s", got)
	}
}

func TestOtherMethodsNameThoseAllowed(t *testing.T) {
	r := newRig(t, setup{})
	for pattern, e := range routes {
		allowed := slices.Collect(maps.Keys(e))
		if _, ok := e["GET"]; ok {
			allowed = append(allowed, "HEAD")
		}
		slices.Sort(allowed)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			if slices.Contains(allowed, method) {
				continue
			}
			got := r.do(method, fill(pattern), "")
			if got.status != 405 || got.code() != "method_not_allowed" || got.header.Get("Allow") != strings.Join(allowed, ", ") {
				t.Errorf("%s %s: %s, Allow %q", method, pattern, got, got.header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/healthz", "/v1/events", "/metrics"} {
		if got := r.do("HEAD", path, ""); got.status != http.StatusOK || len(got.body) != 0 {
			t.Errorf("HEAD %s: %s", path, got)
		}
	}
}
