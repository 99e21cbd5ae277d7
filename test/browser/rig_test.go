package browser

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTheRigSeesWhatAPersonWould opens pages with one fault each: a rig that saw none would pass every test.
func TestTheRigSeesWhatAPersonWould(t *testing.T) {
	pages := map[string]struct{ head, body, want string }{
		"/sound":     {"", `<link rel="icon" href="data:,"><h1>Sound</h1>`, ""},
		"/exception": {"", `<script src="throws.js"></script>`, "exception: "},
		"/console":   {"", `<script src="complains.js"></script>`, "console.error: "},
		"/inline":    {"default-src 'self'", `<script>1</script>`, "ContentSecurityPolicyIssue"},
		"/style":     {"default-src 'self'", `<p style="color: red">red</p>`, "ContentSecurityPolicyIssue"},
		"/eval":      {"default-src 'self'", `<script src="evaluates.js"></script>`, "ContentSecurityPolicyIssue"},
		"/missing":   {"", `<img src="missing.png" alt="">`, "answered 404: "},
		"/outside":   {"", `<img src="http://elsewhere.example/x.png" alt="">`, "failed net::ERR_NAME_NOT_RESOLVED: "},
	}
	scripts := map[string]string{
		"/throws.js": "throw new Error('thrown')", "/complains.js": "console.error('bad')", "/evaluates.js": "try { eval('1') } catch (e) {}",
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, known := pages[r.URL.Path]
		switch {
		case known:
			if page.head != "" {
				w.Header().Set("Content-Security-Policy", page.head)
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>t</title>`+page.body)
		case scripts[r.URL.Path] != "":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, scripts[r.URL.Path])
		case r.URL.Path == "/favicon.ico":
			w.WriteHeader(http.StatusNoContent)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	b := newWindow(t).tab()
	for path, page := range pages {
		b.goTo(s.URL + path)
		b.still()
		seen := b.seen()
		if page.want == "" && len(seen) > 0 || page.want != "" && !strings.Contains(strings.Join(seen, "\n"), page.want) {
			t.Errorf("%s: the rig saw %q, want %q", path, seen, page.want)
		}
	}
}

// TestTheRigUsesAPage: what it finds by role and name is what the browser names, and what lies under
// something else is not clicked.
func TestTheRigUsesAPage(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>t</title><main>
<label>Name <input id="name" value="old"></label>
<button aria-label="Save it" onclick="out.textContent = 'saved ' + document.getElementById('name').value">S</button>
<button hidden>Hidden</button><a href="#there">There</a><p id="out"></p></main><script>window.out = document.getElementById('out')</script>`)
	}))
	t.Cleanup(s.Close)
	b := newWindow(t).tab()
	b.goTo(s.URL)
	b.fill("textbox", "Name", "new")
	b.click("button", "Save it")
	b.reads("saved new")
	if len(b.nodes("button", ".*")) != 1 {
		t.Errorf("hidden buttons are found: %v", b.nodes("button", ".*"))
	}
	b.press("Tab")
	if role, name := b.focused(); role != "link" || name != "There" {
		t.Errorf("Tab leads to %s %q", role, name)
	}
	b.press("Enter")
	b.wait("the link's place", func() bool { var h string; b.eval("location.hash", &h); return h == "#there" })
	b.press("Shift+Tab")
	b.press(" ")
	b.reads("saved new")
	if len(b.shot()) < 1000 {
		t.Error("the picture is empty")
	}
}
