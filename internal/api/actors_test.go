package api

import (
	"strings"
	"testing"
)

// How the operator calls their tokens is nobody else's affair, wherever somebody is named who did something.
func TestTenantsDoNotReadTheOperatorsNames(t *testing.T) {
	const name, other = "hidden-support", "hidden-both"
	r := newRig(t, setup{tokens: []Token{
		token(name, "ingest operate configure link"), token(other, "operate", "acme", "initech"), token("crm", "operate configure link", "initech"),
	}})
	link := r.portal(name, `{"developer":"initech","may":["read","configure","retry","test","replay"]}`)
	const pause = "/v1/destinations/initech/crm/pause"
	for _, by := range []string{bearer(name), bearer(other), bearer("crm")} {
		if got := r.do("POST", pause, "", by); got.status != 200 {
			t.Fatal(got)
		}
		if by != bearer("crm") {
			continue
		}
		for _, reader := range []string{bearer(name), bearer("crm"), link} { // it is their token
			if got := r.do("GET", "/v1/destinations?q=crm", "", reader); !strings.Contains(string(got.body), "paused by crm") {
				t.Errorf("paused by crm: %s", got)
			}
		}
	}
	for _, by := range []string{bearer(other), bearer(name), link} {
		if got := r.do("POST", "/v1/replays", `{"developer":"initech","dry_run":false,"rate":0.001}`, by); got.status != 201 {
			t.Fatal(got)
		}
	}
	r.portalLink(name, `{"developer":"initech"}`)
	r.do("POST", pause, "", bearer(name))
	r.docs.heads = []DocumentHead{{Developer: "initech", Version: 3, By: name}, {Developer: "initech", Version: 2, By: "crm"}, {Developer: "initech", Version: 1, By: "gone-by-now"}}
	if got := r.do("PUT", "/v1/developers/initech/destinations/crm", "kind: webhook\n", link); got.status != 200 || !strings.HasPrefix(r.docs.asked.By, "lnk_") {
		t.Errorf("over a link %q has changed the document: %s", r.docs.asked.By, got)
	}

	// Every answer that a tenant can get, by a token of theirs and over a link.
	for _, reader := range []string{bearer("crm"), link} {
		for pattern, e := range routes {
			for method := range e {
				if name := operationIDs[method+" "+pattern]; name == "deleteSession" || name == "checkDestination" { // the first ends here, the rig has no second
					continue
				}
				path := strings.NewReplacer("{developer}", "initech", "{destination}", "crm", "{id}", "1", "{version}", "3").Replace(pattern)
				got := r.do(method, path, "", reader)
				if body := string(got.body); strings.Contains(body, "hidden-") || strings.Contains(body, "gone-by-now") {
					t.Errorf("%s %s: %s", method, path, got)
				}
			}
		}
		// Nor do filters tell whether there is such a name.
		if got := r.acts("?by="+name, reader); len(got) != 0 {
			t.Errorf("acts by a name that is hidden: %+v", got)
		}
		by := map[string]int{}
		for _, a := range r.acts("?limit=1000", reader) {
			by[a.By]++
		}
		for _, name := range []string{theOperator, thePortal, "crm"} {
			if got := r.acts("?limit=1000&by="+name, reader); len(got) == 0 || by[name] == 0 {
				t.Errorf("%s did %d things of %v", name, len(got), by)
			}
		}
		if len(by) != 3 {
			t.Errorf("it was %v", by)
		}
	}
	if got := r.acts("?by="+name, bearer(name)); len(got) == 0 || got[0].By != name {
		t.Errorf("the operator reads %+v", got)
	}
	var replays page[struct {
		By string `json:"by"`
	}]
	r.do("GET", "/v1/replays", "", bearer(name)).into(t, &replays)
	if len(replays.Items) != 3 || !strings.HasPrefix(replays.Items[0].By, "lnk_") || replays.Items[1].By != name || replays.Items[2].By != other {
		t.Errorf("replays by %+v", replays.Items)
	}
	if a := r.api.nameFor(&principal{developers: []string{"initech"}}, "daemon", ""); a != "daemon" {
		t.Errorf("the engine is %q", a)
	}
}
