package api

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const twoItems = `{"type":"sleep","user":{"user_id":"u1"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"},"n":1.50},{"n":2}]}`

// filed is a rig whose payloads are files, in the folder that it returns.
func filed(t *testing.T, s setup) (*rig, string) {
	t.Helper()
	keys, err := keyring.New([]secret.Value{secret.New("correct horse battery staple")})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s.files, err = payload.OpenDir(payload.DirOptions{Path: dir, PublicURL: "http://events.example/fantail", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.files.Close() })
	return newRig(t, s), dir
}

type link struct {
	ID, Developer, URL string
	Expires            time.Time
}

// link asks for a link and returns the path that the daemon serves it at.
func (r *rig) link(id, body string, headers ...string) (link, string) {
	r.t.Helper()
	a := r.do("POST", "/v1/payloads/"+id+"/link", body, headers...)
	var l link
	if a.into(r.t, &l); a.status != 200 {
		r.t.Fatalf("link %s: %s", id, a)
	}
	path, ok := strings.CutPrefix(l.URL, "http://events.example/fantail")
	if !ok {
		r.t.Fatalf("link %s", l.URL)
	}
	return l, path
}

// Events that only ever went to destinations that carry their body have no
// payload yet: it is made.
func TestLinkPutsWhatIsNotThereYet(t *testing.T) {
	r, _ := filed(t, setup{})
	id := r.post(twoItems)
	for payloadID, want := range map[string]string{
		id:             twoItems,
		id + "-0":      strings.Replace(twoItems, `,{"n":2}`, "", 1),
		id + "-1":      strings.Replace(twoItems, `{"metadata":{"start_time":"2026-07-01T00:00:00Z"},"n":1.50},`, "", 1),
		id + "-1-item": `{"n":2,"user":{"user_id":"u1"}}`,
	} {
		before := time.Now()
		l, path := r.link(payloadID, "")
		if l.ID != payloadID || l.Developer != "acme" || l.Expires.Before(before.Add(time.Hour-2*time.Second)) || l.Expires.After(time.Now().Add(time.Hour)) {
			t.Errorf("%+v", l)
		}
		if got := r.do("GET", path, ""); got.status != 200 || string(got.body) != want || got.header.Get("ETag") != `"`+payloadID+`"` {
			t.Errorf("%s: %s", payloadID, got)
		}
	}
	l, path := r.link(id, `{"ttl":60,"developer":"acme"}`)
	if left := time.Until(l.Expires); left > time.Minute || left < 30*time.Second {
		t.Errorf("it lives for %v", left)
	}
	if got := r.do("GET", path, "", "Range: bytes=0-1"); got.status != 206 || string(got.body) != `{"` {
		t.Errorf("a range: %s", got)
	}
	tag := r.do("GET", path, "").header.Get("ETag")
	if got := r.do("GET", path, "", "If-None-Match: "+tag); got.status != 304 || len(got.body) != 0 {
		t.Errorf("known: %s", got)
	}
	if got := r.do("GET", path, "", `If-Match: "another"`); got.status != 412 {
		t.Errorf("another: %s", got)
	}
	if got := r.do("GET", path, "", "Range: bytes=9999-"); got.status != 416 || got.code() != "invalid_range" {
		t.Errorf("a range behind the end: %s", got)
	}
	if got := r.do("HEAD", path, ""); got.status != 200 || len(got.body) != 0 {
		t.Errorf("HEAD: %s", got)
	}
	if got := r.do("GET", strings.Replace(path, "signature=", "signature=A", 1), ""); got.status != 403 || got.code() != "invalid_link" {
		t.Errorf("tampered: %s", got)
	}
	if got := r.do("POST", path, ""); got.status != 405 {
		t.Errorf("POST: %s", got)
	}
}

func TestLinkRefusesWhatThereIsNot(t *testing.T) {
	r, _ := filed(t, setup{})
	id := r.post(twoItems)
	none := event.NewID(time.Now(), 1, 2).String()
	for name, c := range map[string]struct {
		id, body string
		status   int
		code     string
	}{
		"no id":             {"x", "", 404, "not_found"},
		"another form":      {id + "-01", "", 404, "not_found"},
		"no such item":      {id + "-2", "", 404, "not_found"},
		"no single item":    {id + "-item", "", 404, "not_found"},
		"no such event":     {none, "", 404, "not_found"},
		"never put":         {none, `{"developer":"acme"}`, 404, "not_found"},
		"another developer": {id, `{"developer":"initech"}`, 404, "not_found"},
		"no developer":      {none, `{"developer":"../acme"}`, 404, "not_found"},
		"no life":           {id, `{"ttl":0}`, 400, "invalid_request"},
		"too long a life":   {id, `{"ttl":604801}`, 400, "invalid_request"},
		"a life in words":   {id, `{"ttl":"1h"}`, 400, "invalid_request"},
		"an unknown key":    {id, `{"tll":1}`, 400, "invalid_request"},
	} {
		if got := r.do("POST", "/v1/payloads/"+c.id+"/link", c.body); got.status != c.status || got.code() != c.code {
			t.Errorf("%s: %s, want %d %s", name, got, c.status, c.code)
		}
	}
	if got := r.do("POST", "/v1/payloads/"+id+"-2/link", ""); !strings.Contains(string(got.body), "or no such item") {
		t.Errorf("an event that has its body, but no such item: %s", got)
	}
	if _, reason := r.payloads.Down(); reason != nil {
		t.Errorf("wrong requests take the store down: %v", reason)
	}
	bare := newRig(t, setup{})
	if got := bare.do("POST", "/v1/payloads/"+bare.post(sleep)+"/link", ""); got.status != 404 || got.code() != "no_payload_store" {
		t.Errorf("without a store: %s", got)
	}
	if got := bare.do("GET", "/payloads/2026-07-01/acme/x.json?expires=1&signature=x", ""); got.status != 404 {
		t.Errorf("without a store: %s", got)
	}
}

// Payloads may outlive everything that is known of their event.
func TestLinkToWhatOutlivedItsEvent(t *testing.T) {
	r, dir := filed(t, setup{tokens: []Token{token("acme", "read", "acme"), token("both", "read", "acme", "initech"), token("initech", "read", "initech"), token("all", "read"), token("in", "ingest")}})
	id := event.NewID(time.Now().AddDate(-1, 0, 0), 1, 2)
	p := event.Payload{ID: id.String() + "-3", Body: []byte(`{"old":true}`)}
	if err := r.payloads.Put(t.Context(), "acme", p); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who, body string
		status    int
	}{
		{"all", `{"developer":"acme"}`, 200},
		{"all", `{"developer":"initech"}`, 404},
		{"all", "", 404},
		{"acme", "", 200},
		{"acme", `{"developer":"acme"}`, 200},
		{"initech", "", 404},
		{"initech", `{"developer":"acme"}`, 404},
		{"both", "", 404},
		{"both", `{"developer":"acme"}`, 200},
		{"in", `{"developer":"acme"}`, 403},
		{"nobody", "", 401},
	} {
		if got := r.do("POST", "/v1/payloads/"+p.ID+"/link", c.body, bearer(c.who)); got.status != c.status {
			t.Errorf("%+v: %s", c, got)
		}
	}
	_, path := r.link(p.ID, "", bearer("acme"))
	if got := r.do("GET", path, ""); got.status != 200 || string(got.body) != string(p.Body) { // no token
		t.Errorf("%s", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, id.Time().Format(time.DateOnly))); err != nil {
		t.Fatal(err)
	}
	if got := r.do("GET", path, ""); got.status != 404 {
		t.Errorf("removed: %s", got)
	}
	if got := r.do("POST", "/v1/payloads/"+p.ID+"/link", "", bearer("acme")); got.status != 404 {
		t.Errorf("a link to what was removed: %s", got)
	}
	r.payloads.SetRetention(240 * time.Hour)
	if got := r.do("POST", "/v1/payloads/"+p.ID+"/link", "", bearer("acme")); got.status != 404 {
		t.Errorf("a link to what is too old: %s", got)
	}
}

func TestTokensOfADeveloperLinkToTheirOwnOnly(t *testing.T) {
	r, _ := filed(t, setup{tokens: []Token{token("acme", "ingest read", "acme"), token("initech", "read operate", "initech")}})
	id := r.post(twoItems, bearer("acme"))
	if got := r.do("POST", "/v1/payloads/"+id+"/link", "", bearer("initech")); got.status != 404 {
		t.Errorf("another's: %s", got)
	}
	r.link(id, "", bearer("acme"))
	if got := r.do("POST", "/v1/payloads/"+id+"/link", "", bearer("initech")); got.status != 404 {
		t.Errorf("another's that is there: %s", got)
	}
}

func TestLinkOfErasedEventsIsRefused(t *testing.T) {
	r, _ := filed(t, setup{})
	id := r.post(twoItems)
	r.link(id, "")
	if _, err := r.store.Erase(t.Context(), time.Now(), store.Erasure{Developer: "acme", User: "u1", By: "test"}, func([]store.Moved) {}); err != nil {
		t.Fatal(err)
	}
	if got := r.do("POST", "/v1/payloads/"+id+"/link", ""); got.status != 410 || got.code() != "gone" {
		t.Errorf("%s", got)
	}
}

func TestLinkWhileTheStoreIsDown(t *testing.T) {
	r, dir := filed(t, setup{})
	id := r.post(twoItems)
	made, err := event.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(dir, event.DayOf(made.Time()).Date())
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := r.do("POST", "/v1/payloads/"+id+"/link", "")
	if got.status != 503 || got.code() != "unavailable" || got.header.Get("Retry-After") != "10" || strings.Contains(got.String(), dir) {
		t.Errorf("%s %v", got, got.header)
	}
	if log := r.log.String(); strings.Contains(log, "request failed") || !strings.Contains(log, "the payload store fails") {
		t.Errorf("log %s", log)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	r.link(id, "")
}

// Whatever stands in the path, nothing but a signed payload is given away.
func TestPayloadPathsLeadNowhereElse(t *testing.T) {
	r, dir := filed(t, setup{})
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "secret.json"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/payloads", "/payloads/", "/payloads/2026-07-01", "/payloads/2026-07-01/", "/payloads/2026-07-01/acme/", "/payloads/a/b/c/d",
		"/payloads/../secret.json", "/payloads/%2e%2e/secret.json/x", "/payloads/..%2f..%2f/x/secret.json", "/payloads/tmp/x/y",
	} {
		for _, query := range []string{"", "?expires=99999999999&signature=AAAA"} {
			got := r.do("GET", path+query, "")
			if got.status != 404 && got.status != 403 && got.status != http.StatusMovedPermanently || strings.Contains(string(got.body), "secret") {
				t.Errorf("%s: %s", path, got)
			}
			if got.status/100 == 3 {
				t.Errorf("%s is redirected: %s", path, fmt.Sprint(got.header))
			}
		}
	}
}
