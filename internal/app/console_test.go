package app

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// The daemon serves every part of its pages, to whoever has no token as well, and a reload
// changes their look.
func TestTheDaemonHasItsPages(t *testing.T) {
	h := newHome(t)
	const token = "tokens:\n  - { name: ops, value: ops-ops-ops-ops-ops, may: [operate] }\n"
	h.settings(token)
	h.developer("acme", "a", "")
	d := h.start()
	page := func(path string) (*http.Response, string) {
		t.Helper()
		res, err := http.Get(d.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	res, text := page("/console")
	if res.StatusCode != 200 || res.Request.URL.Path != "/console/" || !strings.Contains(text, "<title>Fantail</title>") {
		t.Fatalf("%s at %s: %s", res.Status, res.Request.URL, text)
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if res, text := page("/console/" + m[1]); res.StatusCode != 200 || text == "" {
			t.Errorf("%s: %s", m[1], res.Status)
		}
	}
	if got := res.Header.Get("Content-Security-Policy"); !strings.Contains(got, "frame-ancestors 'none'") {
		t.Errorf("policy %q", got)
	}
	h.settings(token + "console: { name: Acme events, accent: \"#0a4d3f\", frame_ancestors: [\"https://app.example.com\"] }\n")
	c, err := client.New(d.URL(), "ops-ops-ops-ops-ops", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	res, text = page("/console/")
	if !strings.Contains(text, "<title>Acme events</title>") || !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors https://app.example.com") {
		t.Errorf("after a reload: %v\n%s", res.Header, text)
	}
	if _, css := page("/console/brand.css"); !strings.Contains(css, "#0a4d3f") {
		t.Errorf("after a reload: %s", css)
	}
}
