package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func ask(t *testing.T, h http.Handler, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func handler(t *testing.T) *Handler {
	t.Helper()
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var references = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

// TestEveryAssetIsThere follows what the page refers to: all of it is in the binary, and
// none of it is somewhere else.
func TestEveryAssetIsThere(t *testing.T) {
	h := handler(t)
	page := ask(t, h, "GET", "/console/")
	if page.StatusCode != 200 || page.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%s %v", page.Status, page.Header)
	}
	names := references.FindAllStringSubmatch(string(body(t, page)), -1)
	if len(names) < 4 {
		t.Fatalf("the page refers to %q", names)
	}
	for _, m := range names {
		if strings.ContainsAny(m[1], "/:?") {
			t.Errorf("%q is not beside the page: behind a prefix it would not be found", m[1])
		}
		got := ask(t, h, "GET", "/console/"+m[1])
		if got.StatusCode != 200 || len(body(t, got)) == 0 || !strings.HasPrefix(got.Header.Get("Content-Type"), strings.TrimSuffix(kinds[filepath.Ext(m[1])], "; charset=utf-8")) {
			t.Errorf("%s: %s %v", m[1], got.Status, got.Header)
		}
	}
	if got := ask(t, h, "GET", "/console/LICENSES.txt"); got.StatusCode != 200 || !bytes.Contains(body(t, got), []byte("Permission is hereby granted")) {
		t.Errorf("licences: %s", got.Status)
	}
	for _, path := range []string{"/console/dist", "/console/x", "/console/../console.go", "/console/dist/app.js", "/console/logo"} {
		if got := ask(t, h, "GET", path); got.StatusCode != 404 {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

// TestThePageIsSmall: 120 KB over the wire is what the design allows.
func TestThePageIsSmall(t *testing.T) {
	h := handler(t)
	total := 0
	for _, name := range []string{"", "app.js", "app.css", "brand.css", "icon.svg"} {
		got := ask(t, h, "GET", "/console/"+name, "Accept-Encoding", "br, gzip;q=1.0")
		total += len(body(t, got))
	}
	if total > 120_000 {
		t.Errorf("the console has %d bytes over the wire", total)
	}
	t.Logf("%d bytes over the wire", total)
}

func TestPagesAllowNothingFromElsewhere(t *testing.T) {
	h := handler(t)
	for _, name := range []string{"", "app.js", "nothing"} {
		policy := ask(t, h, "GET", "/console/"+name).Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'self';") || !strings.HasSuffix(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%q: %q", name, policy)
		}
	}
	page := body(t, ask(t, h, "GET", "/console/"))
	if bytes.Contains(page, []byte("<style")) || regexp.MustCompile(`<script(?:[^>]*)>[^<]|\son\w+=|\sstyle=`).Match(page) {
		t.Errorf("the page has inline script or style:\n%s", page)
	}
	if err := h.SetLook(Look{Ancestors: []string{"https://app.example.com", "http://127.0.0.1:9000"}}); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, h, "GET", "/console/").Header.Get("Content-Security-Policy"); !strings.HasSuffix(got, "; frame-ancestors https://app.example.com http://127.0.0.1:9000") {
		t.Error(got)
	}
}

func TestBrowsersKeepWhatHasNotChanged(t *testing.T) {
	h := handler(t)
	first := ask(t, h, "GET", "/console/app.js")
	tag := first.Header.Get("ETag")
	if first.Header.Get("Cache-Control") != "no-cache" || tag == "" {
		t.Fatalf("%v", first.Header)
	}
	for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if got := ask(t, h, "GET", "/console/app.js", "If-None-Match", known); got.StatusCode != 304 || len(body(t, got)) != 0 {
			t.Errorf("%s: %s", known, got.Status)
		}
	}
	if got := ask(t, h, "GET", "/console/app.js", "If-None-Match", `"x"`); got.StatusCode != 200 {
		t.Error(got.Status)
	}
	before := ask(t, h, "GET", "/console/").Header.Get("ETag")
	if err := h.SetLook(Look{Name: "Acme"}); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, h, "GET", "/console/", "If-None-Match", before); got.StatusCode != 200 {
		t.Errorf("after another name: %s", got.Status)
	}
}

func TestAnswersAreCompressedForWhoTakesIt(t *testing.T) {
	h := handler(t)
	plain := body(t, ask(t, h, "GET", "/console/app.js"))
	for accepts, want := range map[string]bool{
		"gzip": true, "br, gzip;q=0.5": true, "*": true, "gzip;q=0": false, "br": false, "gzip;q=0.0": false, "": false,
	} {
		got := ask(t, h, "GET", "/console/app.js", "Accept-Encoding", accepts)
		b := body(t, got)
		if (got.Header.Get("Content-Encoding") == "gzip") != want || got.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accepts, got.Header)
			continue
		}
		if want {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if b, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(b, plain) {
			t.Errorf("%q: another file", accepts)
		}
	}
	if got := ask(t, h, "HEAD", "/console/app.js"); got.StatusCode != 200 || len(body(t, got)) != 0 || got.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %s %v", got.Status, got.Header)
	}
	if got := ask(t, h, "POST", "/console/app.js"); got.StatusCode != 405 || got.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s", got.Status)
	}
}

// TestALookIsNoWayIn: what the settings say ends up as text.
func TestALookIsNoWayIn(t *testing.T) {
	h := handler(t)
	logo := filepath.Join(t.TempDir(), "logo.SVG")
	if err := os.WriteFile(logo, []byte("<svg/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.SetLook(Look{Name: `"><script>alert(1)</script>`, Logo: logo, Accent: "#ffee00"}); err != nil {
		t.Fatal(err)
	}
	page := body(t, ask(t, h, "GET", "/console/"))
	if bytes.Contains(page, []byte("<script>")) || bytes.Contains(page, []byte(`"">`)) || !bytes.Contains(page, []byte(`name="fantail-logo" content="true"`)) {
		t.Errorf("%s", page)
	}
	if got := ask(t, h, "GET", "/console/logo"); got.Header.Get("Content-Type") != "image/svg+xml" || string(body(t, got)) != "<svg/>" {
		t.Errorf("logo: %s %v", got.Status, got.Header)
	}
	if got := ask(t, h, "GET", "/console/logo"); got.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(got.Header.Get("Content-Security-Policy"), "default-src 'none'") ||
		!strings.Contains(got.Header.Get("Content-Security-Policy"), "; sandbox;") {
		t.Errorf("a logo that is opened alone may do something: %v", got.Header)
	}
	if got := string(body(t, ask(t, h, "GET", "/console/brand.css"))); got != ":root { --accent: #ffee00; --accent-ink: #000000; --accent-edge: var(--ink); }\n@media (prefers-color-scheme: dark) { :root { --accent-edge: #ffee00; } }\n" {
		t.Error(got)
	}
	if err := os.Remove(logo); err != nil {
		t.Fatal(err)
	}
	if err := h.SetLook(Look{Logo: logo}); err == nil || !strings.Contains(err.Error(), "logo") {
		t.Errorf("a logo that is gone: %v", err)
	}
	if got := ask(t, h, "GET", "/console/"); got.StatusCode != 200 || bytes.Contains(body(t, got), []byte(`content="true"`)) {
		t.Error("without its logo the page is not shown")
	}
}
