package gcp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// stranger counts who comes and keeps what they brought.
func stranger(t *testing.T) (s *httptest.Server, visits *atomic.Int32) {
	visits = new(atomic.Int32)
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { visits.Add(1) }))
	t.Cleanup(s.Close)
	return s, visits
}

// TestTheEnvironmentIsIgnored: an operator's variables must not lend their
// credentials to tenants or send their data elsewhere.
func TestTheEnvironmentIsIgnored(t *testing.T) {
	other, visits := stranger(t)
	operators := filepath.Join(t.TempDir(), "adc.json")
	g := gcptest.Start(t)
	if err := os.WriteFile(operators, []byte(g.Account(t, "operator", gcptest.Create)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"STORAGE_EMULATOR_HOST": other.URL, "GOOGLE_APPLICATION_CREDENTIALS": operators, "GCE_METADATA_HOST": strings.TrimPrefix(other.URL, "http://"),
		"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.com", "GOOGLE_CLOUD_QUOTA_PROJECT": "operators", "GOOGLE_API_USE_MTLS_ENDPOINT": "always",
		"HTTP_PROXY": other.URL, "HTTPS_PROXY": other.URL, "GOOGLE_SDK_GO_LOGGING_LEVEL": "debug",
	} {
		t.Setenv(name, value)
	}
	c := client(t, access(t, g), g.Deps(t))
	if err := put(t, c, "x"); err != nil {
		t.Error(err)
	}
	a := access(t, g)
	a.Credentials = secret.Value{}
	if _, err := Open(a, g.Deps(t)); err == nil {
		t.Error("without credentials it takes the operator's")
	}
	if n := visits.Load(); n > 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}

// TestNothingFollowsARedirect: the token would go along.
func TestNothingFollowsARedirect(t *testing.T) {
	other, visits := stranger(t)
	g := gcptest.Start(t)
	for _, path := range []string{"/token", "/storage/v1/"} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			deps := g.Deps(t)
			g.Break(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, path) {
					return false
				}
				if r.Method == http.MethodGet {
					http.Redirect(w, r, "/elsewhere", code)
				} else {
					http.Redirect(w, r, other.URL, code)
				}
				return true
			})
			_, trust := g.TLS()
			deps.HTTP = exchangetest.Client(t, nil, trust).HTTP() // nothing but the client itself keeps it from leaving
			c := client(t, access(t, g), deps)
			const class = destination.Misconfigured // of a website, or a portal
			wantClass(t, put(t, c, "x"), class)
			_, _, err := c.Stat(t.Context(), "acme", "x")
			wantClass(t, err, class)
		}
	}
	if n := visits.Load() + int32(g.Requests("GET /elsewhere")); n > 0 {
		t.Errorf("%d requests followed", n)
	}
}

// TestATokenGoesToTheEndpointOnly, whatever the name of an object, which has
// parts of events, looks like in a URL.
func TestATokenGoesToTheEndpointOnly(t *testing.T) {
	g := gcptest.Start(t)
	other, visits := stranger(t)
	c := client(t, access(t, g), g.Deps(t))
	var seen string
	g.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/storage/") {
			seen = r.URL.Path + "?" + r.URL.Query().Encode()
		}
		return false
	})
	host := strings.TrimPrefix(other.URL, "http://")
	for _, name := range []string{"@" + host, "//" + host + "/x", "../../../b/other/o/x", "x?alt=media#y", "%2e%2e%2fx", "a b+c&d=e;f:g", "\u00e9\u2028\n"} {
		seen = ""
		_, _, err := c.Stat(t.Context(), "acme", name)
		if want := "/storage/v1/b/acme/o/" + name + "?fields=generation%2Cmetadata&prettyPrint=false"; seen != want || StatusOf(err) != http.StatusNotFound {
			t.Errorf("%q asks for %q (%v), want %q", name, seen, err, want)
		}
	}
	if visits.Load() > 0 {
		t.Errorf("%d requests went elsewhere", visits.Load())
	}
}

// TestAForeignTokenURIGetsNothing: its connections pass the guard, what it
// signs is good for itself alone, and a token of its making is not Google's.
func TestAForeignTokenURIGetsNothing(t *testing.T) {
	g := gcptest.Start(t)
	inside, visits := stranger(t)
	a := access(t, g)
	a.Credentials = secret.New(strings.ReplaceAll(a.Credentials.Reveal(), g.URL, inside.URL))
	err := put(t, client(t, a, g.Deps(t)), "x")
	wantClass(t, err, destination.Misconfigured)
	if visits.Load() > 0 || err == nil || !strings.Contains(err.Error(), "are refused") {
		t.Errorf("%v, after %d visits past the guard", err, visits.Load())
	}
	account, err := parseAccount(a.Credentials.Reveal(), true)
	if err != nil {
		t.Fatal(err)
	}
	assertion, err := account.assertion(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	resp, err := http.PostForm(g.URL+"/token", form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		t.Error("an assertion made for another endpoint buys a token here")
	}
}

func TestRightsAreAskedWithoutHavingAny(t *testing.T) {
	g := gcptest.Start(t)
	a := access(t, g)
	c := client(t, a, g.Deps(t))
	for _, c2 := range [][]string{{}, {gcptest.Create}, {gcptest.Create, gcptest.Get}, {gcptest.Delete}} {
		g.Grant(all, c2...)
		got, err := c.Allowed(t.Context(), "acme", gcptest.Create, gcptest.Get, gcptest.Delete)
		if err != nil || !slices.Equal(got, append([]string(nil), c2...)) {
			t.Errorf("%v, %v; want %v", got, err, c2)
		}
	}
	err := c.Require(t.Context(), "acme", gcptest.Create, gcptest.Delete)
	wantClass(t, err, destination.Misconfigured)
	if err == nil || !strings.Contains(err.Error(), "Grant roles/storage.objectCreator on the bucket") || !strings.Contains(err.Error(), all) {
		t.Errorf("%v does not say what to grant to whom", err)
	}
}
