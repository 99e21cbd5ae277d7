// Package gcptest is Google's side for tests: fake-gcs-server behind a front
// that demands what the fake does not. It verifies assertions, tokens,
// permissions and signed links by Google's specifications, written here anew,
// and fails on request.
package gcptest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// Permissions that an account may have on every bucket.
const (
	Create = "storage.objects.create"
	Get    = "storage.objects.get"
	Delete = "storage.objects.delete"
)

// Google is a running server. It lives until its test ends.
type Google struct {
	URL  string // http://127.0.0.1:port, the endpoint of Cloud Storage and of tokens
	Fake *fakestorage.Server

	plain, tls *httptest.Server
	key        *rsa.PrivateKey // of all accounts

	mu       sync.Mutex
	rights   map[string][]string // by e-mail
	tokens   map[string]bearer
	fail     Interceptor
	requests []string // "METHOD path" of all
	life     time.Duration
}

// bearer is whom a token stands for.
type bearer struct {
	email string
	until time.Time
}

// Interceptor answers a request in place of the server; false leaves it alone.
type Interceptor func(w http.ResponseWriter, r *http.Request) bool

// accountKey is made once: making one takes longer than most tests.
var accountKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// TokenPrefix begins every token; nothing may show one.
const TokenPrefix = "ya29.test/"

// Start starts a server that has the bucket "acme".
func Start(tb testing.TB) *Google {
	tb.Helper()
	key, err := accountKey()
	if err != nil {
		tb.Fatal(err)
	}
	fake, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, PublicHost: "127.0.0.1", Writer: io.Discard})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(fake.Stop)
	fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "acme"})
	g := &Google{Fake: fake, key: key, rights: map[string][]string{}, tokens: map[string]bearer{}, life: time.Hour}
	g.plain = httptest.NewServer(g)
	tb.Cleanup(g.plain.Close)
	g.tls = startTLS(tb, g)
	g.URL = g.plain.URL
	return g
}

// Account makes a service account with permissions and returns its JSON key.
func (g *Google) Account(tb testing.TB, name string, permissions ...string) string {
	tb.Helper()
	email := name + "@test.iam.gserviceaccount.com"
	g.Grant(email, permissions...)
	b, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "test", "private_key_id": "key-1", "private_key": g.PrivateKey(tb),
		"client_email": email, "client_id": "1", "token_uri": g.URL + "/token", "universe_domain": "googleapis.com",
	})
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// Grant sets the permissions of an account.
func (g *Google) Grant(email string, permissions ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rights[email] = permissions
}

// PrivateKey is the key of all accounts in PEM form.
func (g *Google) PrivateKey(tb testing.TB) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(g.key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// Secrets are parts of what nobody may see.
func (g *Google) Secrets(tb testing.TB) []string {
	lines := strings.Split(g.PrivateKey(tb), "\n")
	return []string{TokenPrefix, lines[1], lines[len(lines)-3]}
}

// Break lets f answer what it wants to; nil mends.
func (g *Google) Break(f Interceptor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = f
}

// Forget makes all tokens invalid, and life how long new ones live.
func (g *Google) Forget(life time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.tokens)
	g.life = life
}

// Requests returns how many requests began with the prefix "METHOD /path".
func (g *Google) Requests(prefix string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// Object returns the body and metadata of an object, nil if there is none.
func (g *Google) Object(bucket, name string) *fakestorage.Object {
	o, err := g.Fake.GetObject(bucket, name)
	if err != nil {
		return nil
	}
	return &o
}

// Objects returns all objects of a bucket by their names.
func (g *Google) Objects(tb testing.TB, bucket string) map[string]fakestorage.Object {
	tb.Helper()
	list, err := g.Fake.ListObjectsWithOptionsPaginated(bucket, fakestorage.ListOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]fakestorage.Object{}
	for _, attrs := range list.Objects {
		o, err := g.Fake.GetObject(bucket, attrs.Name)
		if err != nil {
			tb.Fatal(err)
		}
		all[attrs.Name] = o
	}
	return all
}

func (g *Google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.requests = append(g.requests, r.Method+" "+r.URL.Path)
	fail := g.fail
	g.mu.Unlock()
	if fail != nil && fail(w, r) {
		return
	}
	switch {
	case r.URL.Path == "/token":
		g.grantToken(w, r)
	case strings.HasPrefix(r.URL.Path, metadataPath):
		g.metadata(w, r)
	case strings.HasSuffix(r.URL.Path, ":signBlob"):
		g.signBlob(w, r)
	case strings.Contains(r.URL.Path, "/storage/v1/"):
		g.api(w, r)
	default:
		g.link(w, r)
	}
}

// Refuse answers as the JSON API refuses.
func Refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": code, "message": message,
		"errors": []map[string]string{{"message": message, "domain": "global", "reason": reason}},
	}})
}

// api is the JSON API of Cloud Storage.
func (g *Google) api(w http.ResponseWriter, r *http.Request) {
	email, ok := g.who(r)
	if !ok {
		Refuse(w, http.StatusUnauthorized, "authError", "Invalid Credentials")
		return
	}
	_, rest, _ := strings.Cut(r.URL.Path, "/b/")
	bucket, path, _ := strings.Cut(rest, "/")
	if _, err := g.Fake.Backend().GetBucket(bucket); err != nil {
		Refuse(w, http.StatusNotFound, "notFound", "The specified bucket does not exist.")
		return
	}
	if path == "iam/testPermissions" {
		g.testPermissions(w, r, email)
		return
	}
	need := []string{Get}
	switch r.Method {
	case http.MethodDelete:
		need = []string{Delete}
	case http.MethodPost:
		need = []string{Create}
		if r.URL.Query().Get("ifGenerationMatch") != "0" && g.Object(bucket, r.URL.Query().Get("name")) != nil {
			need = append(need, Delete)
		}
	}
	for _, p := range need {
		if !g.may(email, p) {
			Refuse(w, http.StatusForbidden, "forbidden", fmt.Sprintf(
				"%s does not have %s access to the Google Cloud Storage object. Permission '%s' denied on resource (or it may not exist).", email, p, p))
			return
		}
	}
	g.Fake.HTTPHandler().ServeHTTP(w, r)
}

func (g *Google) testPermissions(w http.ResponseWriter, r *http.Request, email string) {
	granted := []string{}
	for _, p := range r.URL.Query()["permissions"] {
		if g.may(email, p) {
			granted = append(granted, p)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "storage#testIamPermissionsResponse", "permissions": granted})
}

func (g *Google) may(email, permission string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.rights[email] {
		if p == permission {
			return true
		}
	}
	return false
}
