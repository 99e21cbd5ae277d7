package payload

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// ask makes a request for what lies at link, as a server would see it.
func ask(h http.Handler, method, link string, headers ...string) *http.Response {
	u, err := url.Parse(link)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(method, u.RequestURI(), nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// refused checks an answer that must be an error in our words, and shows nothing.
func refused(t *testing.T, what string, res *http.Response, status int, code string) {
	t.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	text := read(t, res)
	if err := json.Unmarshal([]byte(text), &body); err != nil || res.StatusCode != status || body.Error.Code != code || body.Error.Message == "" {
		t.Errorf("%s: %d %s, want %d %s", what, res.StatusCode, text, status, code)
	}
	if h := res.Header; h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: headers %v", what, h)
	}
}

func linked(t testing.TB, d *Dir, developer string, p event.Payload, ttl time.Duration) string {
	t.Helper()
	link, err := d.Link(t.Context(), developer, p.ID, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return link.URL
}

func TestLinkIsServedWithRangesAndConditions(t *testing.T) {
	d := openDir(t, t.TempDir())
	now := time.Now()
	p := some(now, 7, `{"type":"sleep","data":[{}]}`)
	put(t, d, "acme", p)
	link := linked(t, d, "acme", p, time.Hour)
	if !strings.HasPrefix(link, "https://events.example/payloads/"+now.UTC().Format(time.DateOnly)+"/acme/"+p.ID+".json?") {
		t.Errorf("link %s", link)
	}
	res := ask(d, "GET", link)
	h := res.Header
	if got := read(t, res); res.StatusCode != 200 || got != string(p.Body) {
		t.Fatalf("%d %q", res.StatusCode, got)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Etag": `"` + p.ID + `"`, "Content-Length": strconv.Itoa(len(p.Body)), "Accept-Ranges": "bytes",
	} {
		if h.Get(name) != want {
			t.Errorf("header %s is %q, want %q", name, h.Get(name), want)
		}
	}
	if res := ask(d, "HEAD", link); res.StatusCode != 200 || read(t, res) != "" || res.ContentLength != int64(len(p.Body)) {
		t.Errorf("HEAD: %d, %d bytes", res.StatusCode, res.ContentLength)
	}
	if res := ask(d, "GET", link, "Range", "bytes=1-4"); res.StatusCode != 206 || read(t, res) != string(p.Body[1:5]) || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("range: %d %v", res.StatusCode, res.Header)
	}
	if res := ask(d, "GET", link, "Range", "bytes=1-4", "If-Range", `"other"`); res.StatusCode != 200 {
		t.Errorf("range of another version: %d", res.StatusCode)
	}
	if res := ask(d, "GET", link, "If-None-Match", h.Get("ETag")); res.StatusCode != 304 || read(t, res) != "" {
		t.Errorf("known already: %d", res.StatusCode)
	}
	if res := ask(d, "GET", link, "If-Match", `"other"`); res.StatusCode != 412 {
		t.Errorf("another version wanted: %d", res.StatusCode)
	}
	refused(t, "range behind the end", ask(d, "GET", link, "Range", "bytes=1000-"), 416, "invalid_range")
	for _, method := range []string{"PUT", "POST", "DELETE", "OPTIONS", "PATCH"} {
		refused(t, method, ask(d, method, link), 405, "method_not_allowed")
	}
}

func TestTamperedLinksShowNothing(t *testing.T) {
	d := openDir(t, t.TempDir())
	now := time.Now()
	p, other := some(now, -1, "first"), some(now, 1, "second")
	put(t, d, "acme", p)
	put(t, d, "acme", other)
	put(t, d, "globex", p)
	link := linked(t, d, "acme", p, time.Hour)
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	at, signature := q.Get("expires"), q.Get("signature")
	base := "/payloads/" + now.UTC().Format(time.DateOnly)
	later := strconv.FormatInt(now.Add(2*time.Hour).Unix(), 10)
	for name, target := range map[string]string{
		"another payload":       strings.Replace(link, p.ID, other.ID, 1),
		"another developer":     strings.Replace(link, "/acme/", "/globex/", 1),
		"another case":          strings.Replace(link, "/acme/", "/ACME/", 1),
		"a later end":           strings.Replace(link, "expires="+at, "expires="+later, 1),
		"the end written anew":  strings.Replace(link, "expires="+at, "expires=0"+at, 1),
		"no signature":          base + "/acme/" + p.ID + ".json?expires=" + at,
		"an empty signature":    base + "/acme/" + p.ID + ".json?expires=" + at + "&signature=",
		"no query":              base + "/acme/" + p.ID + ".json",
		"two signatures":        link + "&signature=" + signature,
		"a parameter more":      link + "&response-content-type=text/html",
		"a padded signature":    link + "%3D",
		"a bad escape":          link + "%zz",
		"a folder":              base + "/acme/?expires=" + at + "&signature=" + signature,
		"the day":               base + "?expires=" + at + "&signature=" + signature,
		"the root":              "/payloads/?expires=" + at + "&signature=" + signature,
		"outside":               base + "/acme/../../../etc/passwd?expires=" + at + "&signature=" + signature,
		"outside, escaped":      base + "/acme/..%2f..%2f..%2fetc%2fpasswd?expires=" + at + "&signature=" + signature,
		"another prefix":        strings.Replace(link, "/payloads/", "/payload/", 1),
		"no prefix":             strings.Replace(link, "/payloads/", "/", 1),
		"a line's end in it":    strings.Replace(link, ".json", ".json%0a1", 1),
		"the signature's case":  strings.Replace(link, signature, strings.ToUpper(signature), 1),
		"the temporary folder":  strings.Replace(link, now.UTC().Format(time.DateOnly), "tmp", 1),
		"the day of before":     strings.Replace(link, now.UTC().Format(time.DateOnly), now.AddDate(0, 0, -1).UTC().Format(time.DateOnly), 1),
		"something of no event": strings.Replace(link, p.ID, "index", 1),
	} {
		refused(t, name, ask(d, "GET", target), 403, "invalid_link")
	}
	// Every bit of the signature counts, the unused ones of its last character too.
	for i := range signature {
		for _, c := range []byte("AEIMQUYcgkosw048B_") {
			if changed := signature[:i] + string(c) + signature[i+1:]; changed != signature {
				refused(t, "signature "+changed, ask(d, "GET", strings.Replace(link, signature, changed, 1)), 403, "invalid_link")
			}
		}
	}
	if res := ask(d, "GET", link); res.StatusCode != 200 {
		t.Errorf("the link itself: %d", res.StatusCode)
	}
}

func TestLinkExpires(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := openDir(t, path)
		p := some(time.Now(), -1, "body")
		put(t, d, "acme", p)
		link, err := d.Link(t.Context(), "acme", p.ID, 10*time.Minute)
		if err != nil || !link.Expires.Equal(time.Now().Add(10*time.Minute)) {
			t.Fatalf("%v, %v", link, err)
		}
		time.Sleep(time.Until(link.Expires))
		if res := ask(d, "GET", link.URL); res.StatusCode != 200 {
			t.Errorf("at its end: %d", res.StatusCode)
		}
		time.Sleep(time.Second)
		refused(t, "a second later", ask(d, "GET", link.URL), 403, "expired_link")
		if res := ask(d, "GET", linked(t, d, "acme", p, time.Second)); res.StatusCode != 200 {
			t.Errorf("a fresh one: %d", res.StatusCode)
		}
	})
}

func TestGonePayloadIsNotFound(t *testing.T) {
	d := openDir(t, t.TempDir())
	p := some(time.Now(), -1, "body")
	link := linked(t, d, "acme", p, time.Hour)
	refused(t, "never put", ask(d, "GET", link), 404, "not_found")
	put(t, d, "acme", p)
	if err := os.Remove(pathOf(t, d, "acme", p)); err != nil {
		t.Fatal(err)
	}
	refused(t, "removed", ask(d, "HEAD", link, "X", "y"), 404, "not_found")
}

func TestLinksSurviveARotationOfKeys(t *testing.T) {
	d := openDir(t, t.TempDir())
	p := some(time.Now(), -1, "body")
	put(t, d, "acme", p)
	old := linked(t, d, "acme", p, time.Hour)
	d.SetKeys(keys(t, newKey, oldKey))
	fresh := linked(t, d, "acme", p, time.Hour)
	for _, link := range []string{old, fresh} {
		if res := ask(d, "GET", link); res.StatusCode != 200 {
			t.Errorf("%s: %d", link, res.StatusCode)
		}
	}
	d.SetKeys(keys(t, newKey))
	refused(t, "signed by a key that is gone", ask(d, "GET", old), 403, "invalid_link")
	if res := ask(d, "GET", fresh); res.StatusCode != 200 {
		t.Errorf("signed by the first key: %d", res.StatusCode)
	}
}

// Somebody who can write into the folder must not be able to serve other files of this machine,
// or one developer's files to another.
func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	d := openDir(t, t.TempDir())
	now := time.Now()
	p := some(now, -1, "secret")
	put(t, d, "acme", p)
	day := filepath.Join(d.path, now.UTC().Format(time.DateOnly))
	outside := filepath.Join(t.TempDir(), "outside")
	touch(t, outside)
	q, r := some(now, 1, "x"), some(now, 2, "x")
	for link, target := range map[string]string{
		filepath.Join(day, "acme", q.ID+".json"): outside,
		filepath.Join(day, "acme", r.ID+".json"): p.ID + ".json",
		filepath.Join(day, "globex"):             "acme",
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, "out of the store", ask(d, "GET", linked(t, d, "acme", q, time.Hour)), 503, "unavailable")
	refused(t, "within the store", ask(d, "GET", linked(t, d, "acme", r, time.Hour)), 503, "unavailable")
	refused(t, "a folder", ask(d, "GET", linked(t, d, "globex", p, time.Hour)), 503, "unavailable")
	if err := d.Put(t.Context(), "acme", q); err == nil {
		t.Error("a link in the place of a payload counts as the payload")
	}
}

func FuzzLinks(f *testing.F) {
	d := openDir(f, f.TempDir())
	p := some(time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC), -1, "body") // the same in every process of the fuzzer
	link := linked(f, d, "acme", p, time.Hour)
	u, err := url.Parse(link)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(u.Path, u.RawQuery)
	f.Add("/payloads/../../etc/passwd", "expires=9999999999&signature=AAAA")
	f.Fuzz(func(t *testing.T, path, query string) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}}
		if k, err := d.verify(r, time.Now()); err == nil && (path != u.Path || k.String() != strings.TrimPrefix(u.Path, Prefix)) {
			t.Fatalf("%q?%q gives %s away", path, query, k)
		}
	})
}
