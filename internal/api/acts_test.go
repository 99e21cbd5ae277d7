package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/trail"
)

// acts reads the trail, newest first.
func (r *rig) acts(query string, headers ...string) []actView {
	r.t.Helper()
	a := r.do("GET", "/v1/changes"+query, "", headers...)
	var p page[actView]
	if a.into(r.t, &p); a.status != 200 {
		r.t.Fatalf("read the trail: %s", a)
	}
	return p.Items
}

// Whoever adds an operation cannot forget its act.
func TestEveryChangeLeavesAnAct(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate configure link"), token("weak", "")}})
	for pattern, e := range routes {
		for method, op := range e {
			name := operationIDs[method+" "+pattern]
			if name == "" {
				t.Errorf("%s %s has no name in openapi.yaml", method, pattern)
			}
			wanted := method != "GET" && op.may != canIngest || counted[name]
			for _, who := range []string{"all", "weak"} {
				got := r.do(method, fill(pattern), "", bearer(who), reasonHeader+": because%20"+who)
				var found []actView
				for _, a := range r.acts("?by="+who+"&limit=1000", bearer("all")) {
					if a.Call == name {
						found = append(found, a)
					}
				}
				switch {
				case !wanted && len(found) > 0:
					t.Errorf("%s %s, which changes nothing, left %+v", method, pattern, found)
				case wanted && op.may == anyone && who == "weak":
				case wanted && (len(found) == 0 || found[0].Reason != "because "+who):
					t.Errorf("%s %s as %s answered %s and left %+v", method, pattern, who, got, found)
				case wanted && (found[0].Result == "ok") != (got.status < 400):
					t.Errorf("%s %s as %s answered %s and left %+v", method, pattern, who, got, found)
				}
			}
		}
	}
	for name := range counted {
		if !slices.Contains(operationNames(), name) {
			t.Errorf("counted names %s, which is no operation", name)
		}
	}
}

func operationNames() (names []string) {
	for _, name := range operationIDs {
		names = append(names, name)
	}
	return names
}

func TestNamesOfOperationsAreThoseOfTheDescription(t *testing.T) {
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, op := range d.operations() {
		n++
		if got := operationIDs[op["method"].(string)+" "+op["path"].(string)]; got != name {
			t.Errorf("%s %s is read as %q, want %q", op["method"], op["path"], got, name)
		}
	}
	if n != len(operationIDs) {
		t.Errorf("%d names are read of %d", len(operationIDs), n)
	}
}

// untold is a trail that cannot be written.
type untold struct{ store.Trail }

func (untold) Note(context.Context, time.Time, []store.Act) error { return errors.New("no disk") }

// An act is on disk before it is answered: where it cannot be, the answer says so.
func TestAnActThatCannotBeNotedIsNotAnsweredAsDone(t *testing.T) {
	r := newRig(t, setup{})
	r.api.Trail = trail.New(untold{}, r.api.Log)
	id := r.post(sleep)
	for _, c := range []struct{ method, path string }{
		{"POST", "/v1/destinations/acme/app/pause"}, {"GET", "/v1/events/" + id + "/body"}, {"POST", "/v1/destinations/acme/none/pause"},
		{"DELETE", "/v1/users/u/data?developer=acme"},
	} {
		got := r.do(c.method, c.path, "")
		if got.status != 503 || got.code() != "unavailable" || strings.Contains(string(got.body), "no disk") || strings.Contains(string(got.body), `"type"`) {
			t.Errorf("%s %s: %s", c.method, c.path, got)
		}
	}
	if !strings.Contains(r.log.String(), "no disk") {
		t.Error("the log does not say why")
	}
	if got := r.do("GET", "/v1/destinations", ""); got.status != 200 {
		t.Errorf("what is no act: %s", got)
	}
}

// A token limited to some developers sees their acts alone, and cannot write into the
// trail of others.
func TestTenantsSeeTheirActsAlone(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("support", "operate"), token("crm", "operate", "initech"), token("app", "read", "acme")}})
	r.do("POST", "/v1/destinations/acme/app/pause", `{"reason":"secret of acme"}`, bearer("support"))
	r.do("POST", "/v1/destinations/initech/crm/pause", `{"reason":"theirs"}`, bearer("support"))
	r.do("POST", "/v1/reload", "", bearer("support"))
	// What a tenant tries on another's is seen by operators, not by the other.
	for _, path := range []string{"/v1/destinations/acme/app/pause", "/v1/destinations/acme/night/test"} {
		if got := r.do("POST", path, "", bearer("crm"), reasonHeader+": forged"); got.status != 404 {
			t.Errorf("%s: %s", path, got)
		}
	}
	r.do("DELETE", "/v1/users/u/data?developer=acme", "", bearer("crm"), reasonHeader+": forged")
	r.do("POST", "/v1/replays", `{"developer":"acme"}`, bearer("crm"), reasonHeader+": forged")
	r.do("POST", "/v1/deliveries/retry", `{"developer":"acme"}`, bearer("crm"), reasonHeader+": forged")
	show := func(as []actView) string { return fmt.Sprintf("%+v", as) }
	if got := r.acts("", bearer("crm")); len(got) != 1 || got[0].Reason != "theirs" || got[0].By != "operator" || got[0].State != "paused" {
		t.Errorf("crm sees %s", show(got))
	}
	for _, query := range []string{"?developer=acme", "?by=support&developer=acme"} {
		if got := r.acts(query, bearer("crm")); len(got) != 0 {
			t.Errorf("crm sees %s with %s", show(got), query)
		}
	}
	if got := r.acts("", bearer("app")); len(got) != 1 || got[0].Reason != "secret of acme" {
		t.Errorf("acme sees %s", show(got))
	}
	if got := r.do("GET", "/v1/destinations/acme/app/history", "", bearer("crm")); got.status != 404 {
		t.Errorf("another's history: %s", got)
	}
	all := r.acts("", bearer("support"))
	forged := 0
	for _, a := range all {
		if a.Reason != "forged" {
			continue
		}
		if forged++; a.Developer != "" || a.By != "crm" || a.Result == "ok" && a.Call != "retryDeliveries" || !strings.HasPrefix(a.Object, "acme") {
			t.Errorf("an attempt on another's: %+v", a)
		}
	}
	if forged < 4 || len(all) < 3+forged {
		t.Errorf("the operator sees %s", show(all))
	}
}

func TestReasonsAreBoundedText(t *testing.T) {
	r := newRig(t, setup{})
	const path = "/v1/destinations/acme/app/pause"
	long := strings.Repeat("日", 166) // 498 bytes
	for header, want := range map[string]int{
		"plain": 200, url.PathEscape(long): 200, url.PathEscape(long + "日"): 400, "%1b%5b31m%0a": 200, "100%": 400, "%ff": 400, "\xff": 400, "日本": 200, "": 200,
	} {
		if got := r.do("POST", path, "", reasonHeader+": "+header); got.status != want {
			t.Errorf("%q: %s, want %d", header, got, want)
		}
	}
	if got := r.do("POST", path, "", reasonHeader+": a", reasonHeader+": b"); got.status != 400 {
		t.Errorf("twice: %s", got)
	}
	if got := r.do("POST", path, `{"reason":"`+strings.Repeat("x", 501)+`"}`); got.status != 400 {
		t.Errorf("a long one in the body: %s", got)
	}
	r.do("POST", path, `{"reason":"of the body"}`)
	if a := r.acts("?limit=1")[0]; a.Reason != "of the body" || a.Object != "app" || a.Developer != "acme" || a.By != "local" {
		t.Errorf("act %+v", a)
	}
	if !strings.Contains(r.log.String(), `reason="of the body"`) {
		t.Error("the log does not say why it was paused")
	}
	for _, a := range r.acts("?limit=1000") {
		if len(a.Reason) > trail.MaxReason {
			t.Errorf("a reason of %d bytes is kept", len(a.Reason))
		}
	}
}

// The act of an erasure does not name who was erased, nor does any before it.
func TestAnErasureKeepsTheActAndLosesThePerson(t *testing.T) {
	r := newRig(t, setup{})
	r.do("POST", "/v1/destinations/acme/app/pause", `{"reason":"asked for by user-77"}`)
	if got := r.do("DELETE", "/v1/users/user-77/data?developer=acme", "", reasonHeader+": user-77%20wants%20it"); got.status != 200 {
		t.Fatal(got)
	}
	r.do("DELETE", "/v1/users/user-77/data", "", reasonHeader+": user-77%20again")
	got := r.acts("")
	if len(got) != 3 {
		t.Errorf("%d acts: %+v", len(got), got)
	}
	for _, a := range got {
		a.At = time.Time{}
		if strings.Contains(fmt.Sprintf("%+v", a), "77") || a.Reason != "[erased]" {
			t.Errorf("act %+v", a)
		}
	}
}

// Who gave the name of a user as their reason while that user was being erased does not
// bring it back.
func TestNoActAfterAnErasureNamesThePerson(t *testing.T) {
	r := newRig(t, setup{})
	if got := r.do("DELETE", "/v1/users/user-77/data?developer=acme", ""); got.status != 200 {
		t.Fatal(got)
	}
	if !slices.Equal(r.sched.forgotten, []string{"acme user-77"}) {
		t.Errorf("reasons of pauses that forget: %q", r.sched.forgotten)
	}
	r.do("POST", "/v1/destinations/acme/app/pause", "", reasonHeader+": user-77%20asked")
	if a := r.acts("")[0]; a.Call != "pauseDestination" || a.Reason != "[erased]" {
		t.Errorf("act %+v", a)
	}
}

// A change that changes nothing, and a dry run, cost a row a minute: whoever may retry
// cannot fill the disk with them.
func TestWhatChangesNothingIsCounted(t *testing.T) {
	r := newRig(t, setup{})
	for range 20 {
		for path, body := range map[string]string{
			"/v1/deliveries/retry": `{"developer":"acme"}`, "/v1/deliveries/cancel": `{"developer":"acme"}`,
			"/v1/replays": `{"developer":"acme","dry_run":true}`,
		} {
			if got := r.do("POST", path, body); got.status >= 300 && got.status != 429 {
				t.Fatalf("%s: %s", path, got)
			}
		}
	}
	n := map[string]int{}
	for _, a := range r.acts("?limit=1000") {
		if a.Result == "ok" {
			n[a.Call]++
		}
	}
	if n["retryDeliveries"] != 1 || n["cancelDeliveries"] != 1 || n["createReplay"] != 1 {
		t.Errorf("rows %v", n)
	}
}

// A refusal that comes with a plan or with faults stands there by its code as well, and a
// reload that took over some is a change, each time.
func TestActsOfDocumentsHaveTheirCode(t *testing.T) {
	r := newRig(t, setup{})
	for _, err := range []error{config.Faults{{File: "acme", Line: 1, Message: "no"}}, &Removal{What: "all"}, &Stale{Version: 3}} {
		r.docs.err = err
		r.do("PUT", "/v1/developers/acme", "developer: acme\n")
	}
	r.daemon.reload = &Refused{Developers: []string{"acme"}, Lines: []string{"no"}}
	for range 2 {
		r.do("POST", "/v1/reload", "")
	}
	var got []string
	for _, a := range r.acts("") {
		got = append(got, a.Call+" "+a.Result)
	}
	want := []string{"reload developers_refused", "reload developers_refused", "putDeveloper stale", "putDeveloper removal_not_allowed", "putDeveloper invalid_document"}
	if !slices.Equal(got, want) {
		t.Errorf("acts %q, want %q", got, want)
	}
}

func TestReadsAreCountedByTokenAndDeveloper(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("a", "ingest read"), token("b", "read")}})
	id := r.post(sleep, bearer("a"))
	for range 20 {
		r.do("GET", "/v1/events/"+id+"/body", "", bearer("a"))
	}
	r.do("GET", "/v1/events/"+id+"/body", "", bearer("b"))
	got := r.acts("?call=getEventBody", bearer("b"))
	if len(got) != 2 || got[0].By != "b" || got[1].By != "a" || got[1].Object != id || got[1].Developer != "acme" || got[1].Result != "ok" {
		t.Errorf("rows %+v", got)
	}
}

func TestRefusedLogInsAreCounted(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("a", "read")}})
	for i := range 50 {
		r.do("GET", []string{"/v1/events", "/v1/changes"}[i%2], "", "Authorization: Bearer guess-"+fmt.Sprint(i))
	}
	got := r.acts("", bearer("a"))
	if len(got) != 1 || got[0].Call != "logIn" || got[0].From != "127.0.0.0/24" || got[0].Result != "unauthorized" || got[0].By != "" {
		t.Errorf("rows %+v", got)
	}
	if strings.Contains(fmt.Sprintf("%+v", got), "guess") {
		t.Errorf("what was tried is kept: %+v", got)
	}
}

func TestNetworks(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.77:1": "192.0.2.0/24", "[2001:db8:1:2::3]:1": "2001:db8:1::/48", "[::ffff:192.0.2.77]:1": "192.0.2.0/24", "[fe80::1%eth0]:1": "fe80::/48", "": "unknown", "x": "unknown",
	} {
		if got := network(address); got != want {
			t.Errorf("%s lies in %s, want %s", address, got, want)
		}
	}
}

func TestHistoryShowsStatesAlone(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("support", "operate")}})
	r.do("POST", "/v1/destinations/acme/app/pause", `{"reason":"lunch"}`, bearer("support"))
	r.do("POST", "/v1/destinations/acme/app/rebind", "", bearer("support"))
	r.do("POST", "/v1/destinations/acme/night/pause", "", bearer("support"))
	r.do("POST", "/v1/destinations/acme/app/resume", "", bearer("support"))
	var p page[actView]
	r.do("GET", "/v1/destinations/acme/app/history", "", bearer("support")).into(t, &p)
	if len(p.Items) != 2 || p.Items[0].State != "active" || p.Items[1].State != "paused" || p.Items[1].Reason != "lunch" || p.Items[1].By != "support" {
		t.Errorf("history %+v", p.Items)
	}
	for path, want := range map[string]int{"/v1/destinations/acme/none/history": 404, "/v1/destinations/none/app/history": 404, "/v1/destinations/acme/app/history?limit=0": 400, "/v1/destinations/acme/app/history?cursor=x": 400} {
		if got := r.do("GET", path, "", bearer("support")); got.status != want {
			t.Errorf("%s: %s, want %d", path, got, want)
		}
	}
}

// A token's rate holds for every call that needs one, and for that token alone.
func TestRatesOfTokens(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("slow", "ingest operate configure link").AtRate(0.001), token("other", "operate").AtRate(1000)}})
	r.do("GET", "/v1/egress", "", bearer("slow"))
	for pattern, e := range routes {
		for method, op := range e {
			got := r.do(method, fill(pattern), "", bearer("slow"))
			if op.may == anyone {
				if got.status == 429 {
					t.Errorf("%s %s: %s", method, pattern, got)
				}
				continue
			}
			if got.status != 429 || got.code() != "token_rate" || got.header.Get("Retry-After") == "" {
				t.Errorf("%s %s: %s", method, pattern, got)
			}
		}
	}
	if got := r.do("GET", "/v1/egress", "", bearer("other")); got.status != 200 {
		t.Errorf("another token: %s", got)
	}
	// A reload gives nothing away, unless the rate is another.
	tokens := []Token{token("slow", "operate").AtRate(0.001), token("other", "operate")}
	if err := r.api.SetTokens(tokens); err != nil {
		t.Fatal(err)
	}
	if got := r.do("GET", "/v1/egress", "", bearer("slow")); got.status != 429 {
		t.Errorf("after a reload: %s", got)
	}
	tokens[0].Rate = 0
	if err := r.api.SetTokens(tokens); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := r.do("GET", "/v1/egress", "", bearer("slow")); got.status != http.StatusOK {
			t.Errorf("without a rate: %s", got)
		}
	}
}
