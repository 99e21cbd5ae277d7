package api

import (
	"slices"
	"strings"
	"testing"
)

// existing is what a log-in is told that would end a session.
type existing struct {
	problem
	Session   sessionView `json:"session"`
	Developer string      `json:"developer"`
}

func (r *rig) used(id string) bool {
	r.t.Helper()
	var list page[portalLinkView]
	r.do("GET", "/v1/portal-links", "", bearer("all")).into(r.t, &list)
	i := slices.IndexFunc(list.Items, func(l portalLinkView) bool { return l.ID == id })
	return i >= 0 && !list.Items[i].Used.IsZero()
}

// Anybody can have somebody follow a link of theirs: the session that these have is not replaced without a question, and
// the question uses nothing up.
func TestALinkEndsNoSessionUnasked(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "operate configure link"), token("platform", "read link"), token("crm", "read", "initech")}})
	asked := func(what, code, id, session, developer, name string, sees []string, bearer bool) {
		t.Helper()
		body := `{"code":"` + code + `"}`
		if bearer {
			body = `{"code":"` + code + `","bearer":true}`
		}
		for range 2 {
			got := r.logIn(body, session)
			var v existing
			if got.into(t, &v); got.status != 409 || v.Error.Code != "session_exists" || got.header.Get("Set-Cookie") != "" {
				t.Fatalf("%s: %s, want a question", what, got)
			}
			if v.Developer != developer || v.Session.Name != name || !slices.Equal(v.Session.Developers, sees) || v.Session.Bearer != "" {
				t.Errorf("%s: the question is about %+v", what, v)
			}
			if got := r.do("GET", "/v1/session", "", session); got.status != 200 {
				t.Errorf("%s: the session after the question: %s", what, got)
			}
		}
		if r.used(id) {
			t.Errorf("%s: the question has used the link up", what)
		}
	}
	opened := func(what, body, id, session string) (next string) {
		t.Helper()
		got := r.logIn(body, session)
		var v sessionView
		if got.into(t, &v); got.status != 201 || !r.used(id) {
			t.Fatalf("%s: %s", what, got)
		}
		if old := r.do("GET", "/v1/session", "", session); old.status != 401 {
			t.Errorf("%s: the session before goes on: %s", what, old)
		}
		if v.Bearer != "" {
			return "Authorization: Bearer " + v.Bearer
		}
		return cookieOf(t, got)
	}
	session := cookieOf(t, r.logIn(`{"token":"secret-of-all"}`))
	id, code := r.portalLink("all", `{"developer":"acme"}`)
	asked("an operator", code, id, session, "acme", "all", nil, false)
	if got := r.do("POST", "/v1/session", `{"replace":true,"code":"`+code+`"}`, session, "Origin: https://evil.example"); got.status != 403 || r.used(id) {
		t.Errorf("another site says that it is meant: %s", got)
	}
	session = opened("an operator who means it", `{"replace":true,"code":"`+code+`"}`, id, session)

	id, code = r.portalLink("all", `{"developer":"acme","may":["read","test"]}`)
	session = opened("the same portal again", `{"code":"`+code+`"}`, id, session)

	id, code = r.portalLink("all", `{"developer":"initech"}`)
	asked("another developer's portal", code, id, session, "initech", "portal", []string{"acme"}, false)
	id, code = r.portalLink("platform", `{"developer":"acme"}`)
	asked("a portal on another token's word", code, id, session, "acme", "portal", []string{"acme"}, false)

	// In a frame the session is shown as a token.
	session = r.portal("all", `{"developer":"initech"}`)
	asked("in a frame", code, id, session, "acme", "portal", []string{"initech"}, true)
	session = opened("in a frame, and meant", `{"replace":true,"bearer":true,"code":"`+code+`"}`, id, session)

	// What opens nothing ends nothing, and a session that has ended is none.
	if got := r.logIn(`{"code":"`+code+`"}`, session); got.status != 401 {
		t.Errorf("a link that was used: %s", got)
	}
	if got := r.do("GET", "/v1/session", "", session); got.status != 200 {
		t.Errorf("after a link that was used: %s", got)
	}
	if got := r.do("DELETE", "/v1/session", "", session); got.status != 204 {
		t.Fatal(got)
	}
	_, code = r.portalLink("all", `{"developer":"initech"}`)
	if got := r.logIn(`{"code":"`+code+`"}`, session); got.status != 201 {
		t.Errorf("with a session that has ended: %s", got)
	}
	// A back end shows its token, which is no session.
	_, code = r.portalLink("all", `{"developer":"initech"}`)
	if got := r.do("POST", "/v1/session", `{"bearer":true,"code":"`+code+`"}`, bearer("all")); got.status != 201 {
		t.Errorf("with a token: %s", got)
	}
	// Whoever writes a token into the page means it.
	evil := cookieOf(t, r.logIn(`{"token":"secret-of-crm"}`))
	if got := r.logIn(`{"token":"secret-of-all"}`, evil); got.status != 201 || !strings.Contains(string(got.body), `"all"`) {
		t.Errorf("a token: %s", got)
	}
}
