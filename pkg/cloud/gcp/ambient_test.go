package gcp

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// machineClient is one with the operator's own credentials, at the real names.
func machineClient(t testing.TB, g *gcptest.Google) *Client {
	t.Helper()
	deps := g.Deps(t)
	deps.Ambient = true
	return client(t, Access{}, deps)
}

func TestTheOperatorsOwnCredentials(t *testing.T) {
	g := gcptest.Start(t)
	g.Grant(gcptest.MachineEmail, gcptest.Create, gcptest.Get, "iam.serviceAccounts.signBlob")
	c := machineClient(t, g)
	for n := range 3 {
		if err := put(t, c, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.Requests("GET /computeMetadata/"); n != 1 {
		t.Errorf("the metadata service was asked %d times", n)
	}
	var links []destination.Link
	for range 2 {
		l, err := c.Link(t.Context(), "acme", "1", MaxLink)
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, l)
	}
	if n := g.Requests("GET /computeMetadata/v1/instance/service-accounts/default/email"); n != 1 {
		t.Errorf("the e-mail was asked for %d times", n)
	}
	if d := time.Until(links[1].Expires); d > 12*time.Hour || d < 12*time.Hour-time.Minute || !strings.HasPrefix(links[1].URL, "https://storage.googleapis.com/acme/1?") {
		t.Errorf("%s expires in %v", links[1].URL, d)
	}
	req, err := http.NewRequest(http.MethodGet, links[1].URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Verify(req, time.Now()); err != nil {
		t.Errorf("%s: %v", links[1].URL, err)
	}
}

func TestWhatFailsWithTheOperatorsOwn(t *testing.T) {
	g := gcptest.Start(t)
	at := func(path string, f gcptest.Interceptor) gcptest.Interceptor {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, path) && f(w, r)
		}
	}
	for _, c := range []struct {
		name   string
		fail   gcptest.Interceptor
		class  destination.Class
		engine bool
		text   string
	}{
		{"no account", at("/token", answer(404, "")), destination.Misconfigured, false, "Attach a service account"},
		{"metadata down", at("/token", answer(503, "")), destination.Transient, true, "answered 503"},
		{"another cloud's", at("/token", answer(200, `{"access_token":"x","expires_in":60}`)), destination.Transient, true, "not Google's"},
		{"no token", at("/token", google(200, `{}`)), destination.Transient, true, "no token"},
		{"no e-mail", at("/email", google(200, "default")), destination.Transient, true, "no service account"},
		{"an e-mail that is a path", at("/email", google(200, "../x@y")), destination.Transient, true, "no service account"},
		{"may not sign", at(":signBlob", refuse(403, "PERMISSION_DENIED", "denied")), destination.Misconfigured, false, "grant roles/iam.serviceAccountTokenCreator on " + gcptest.MachineEmail},
		{"unknown token", at(":signBlob", refuse(401, "UNAUTHENTICATED", "no")), destination.Misconfigured, false, "answered 401"},
		{"too often", at(":signBlob", refuse(429, "RESOURCE_EXHAUSTED", "Quota exceeded")), destination.Throttled, false, "answered 429"},
		{"signer down", at(":signBlob", refuse(503, "UNAVAILABLE", "down")), destination.Transient, false, "answered 503"},
		{"no signature", at(":signBlob", google(200, `{"signedBlob":"!"}`)), destination.Transient, false, "no signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g.Grant(gcptest.MachineEmail, gcptest.Get, "iam.serviceAccounts.signBlob")
			g.Break(c.fail)
			defer g.Break(nil)
			_, err := machineClient(t, g).Link(t.Context(), "acme", "x", time.Hour)
			wantClass(t, err, c.class)
			if errors.Is(err, destination.ErrEngine) != c.engine {
				t.Errorf("%v is the engine's fault: %v", err, !c.engine)
			}
			if err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %s", err, c.text)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), gcptest.TokenPrefix) {
				t.Errorf("%v shows a token", err)
			}
		})
	}
}

func answer(code int, body string) gcptest.Interceptor {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
		return true
	}
}

func google(code int, body string) gcptest.Interceptor {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Metadata-Flavor", "Google")
		return answer(code, body)(w, r)
	}
}

func TestNobodySignsForNobody(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, Access{Endpoint: g.URL, AllowHTTP: true, Anonymous: true}, g.Deps(t))
	_, err := c.Link(t.Context(), "acme", "x", time.Hour)
	wantClass(t, err, destination.Misconfigured)
	g.Grant("allUsers", gcptest.Create)
	if err := put(t, c, "x"); err != nil {
		t.Errorf("an emulator takes everything: %v", err)
	}
	if n := g.Requests("POST /token"); n != 0 {
		t.Errorf("%d tokens for nobody", n)
	}
}
