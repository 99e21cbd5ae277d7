package browser

import (
	"context"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// platform is the site of somebody who embeds the portal. To a browser it is another site than the daemon's, since
// localhost and 127.0.0.1 are two.
type platform struct {
	*httptest.Server
	origin, link string
	more         string // attributes of the frame
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"><title>Platform</title>
<style>body { margin: 0 } iframe { position: fixed; inset: 0; width: 100%%; height: 100%%; border: 0 }</style>
<iframe src="%s" title="Your events"%s></iframe>`, html.EscapeString(p.link), p.more)
	}))
	t.Cleanup(p.Close)
	_, port, err := net.SplitHostPort(p.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p.origin = "http://localhost:" + port
	return p
}

// used tells whether a link has opened its session.
func (w *world) used(id string) bool {
	w.t.Helper()
	for l, err := range w.PortalLinks(context.Background(), "") {
		if err != nil {
			w.t.Fatal(err)
		}
		if l.ID == id {
			return !l.Used.IsZero()
		}
	}
	return false
}

// TestThePortalInAFrame: a page of another site shows the portal only where console.frame_ancestors names it. There it
// has the platform's name, logo and accent, follows light and dark, lets a tenant work, and keeps its session in memory:
// no cookie and no storage has it, and a frame that is loaded again needs another link.
func TestThePortalInAFrame(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	const look = `console: { name: Acme events, logo: logo.svg, accent: "#7a1fa2"%s }` + "\n"
	logo := func(dir string) {
		text, err := os.ReadFile("../../web/icon.svg")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "logo.svg"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{daemon: startDaemon(t, withTokens, logo), far: map[string]*farSide{}}
	w.cast([]part{{developer: "acme", name: "app", answer: healthy}})
	w.send("acme", "", `{"type":"sleep","user":{"user_id":"u"},"data":[]}`)
	link := func() client.PortalLink {
		l, err := w.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: "acme", May: []string{"read", "test"}})
		if err != nil {
			t.Fatal(err)
		}
		p.link = l.URL
		return l
	}
	with := func(more string) {
		w.settings(withTokens + fmt.Sprintf(look, more))
		if _, err := w.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
	}

	for name, ancestors := range map[string]string{"nobody": "", "another port": `, frame_ancestors: ["http://localhost:1"]`} {
		with(ancestors)
		l := link()
		b := newWindow(t).tab()
		b.goTo(p.origin)
		b.wait("the frame is refused to whom the settings do not name: "+name, func() bool {
			return strings.Contains(strings.Join(b.seen(), "\n"), "frame-ancestors")
		})
		b.allow("frame-ancestors")
		b.allow("ContentSecurityPolicyIssue")
		b.allow("failed net::ERR_BLOCKED_BY_RESPONSE")
		b.still()
		if w.used(l.ID) {
			t.Errorf("%s: the link was used in a frame that is refused", name)
		}
	}

	with(`, frame_ancestors: ["` + p.origin + `"]`)
	l := link()
	p.more = ` sandbox="allow-scripts allow-same-origin allow-forms"` // as docs/CONSOLE.md has it
	window := newWindow(t)
	page, frame := window.embed(p.origin)
	frame.on("overview")
	frame.reads(`1 delivery accepted = 1 delivered`)
	if !w.used(l.ID) {
		t.Error("the link is unused")
	}
	frame.see("link", "Acme events")
	var shown struct {
		Logo              bool
		Title, Top, Where string
	}
	frame.eval(`({logo: document.querySelector('.brand img').complete && document.querySelector('.brand img').naturalWidth > 0, title: document.title,
		top: window.top === window ? 'itself' : 'another', where: location.href})`, &shown)
	if !shown.Logo || !strings.HasSuffix(shown.Title, "Acme events") || shown.Top != "another" || strings.Contains(shown.Where, "link=") {
		t.Errorf("the frame shows %+v", shown)
	}
	frame.click("link", "Destinations")
	frame.on("destinations")
	frame.click("link", "acme/app")
	frame.on("destination")
	frame.wait("the stream", func() bool { return frame.streams("/v1/live") == 1 }) // by the session in memory, too
	var accent string
	frame.eval(`getComputedStyle([...document.querySelectorAll('button.primary')].find(b => b.innerText === 'Send test event')).backgroundColor`, &accent)
	if accent != "rgb(122, 31, 162)" {
		t.Errorf("the accent is %s", accent)
	}
	ground := func() (colour string) {
		frame.eval(`getComputedStyle(document.documentElement).backgroundColor`, &colour)
		return colour
	}
	for _, c := range [][2]string{{"light", "rgb(246, 247, 248)"}, {"dark", "rgb(18, 23, 28)"}} {
		page.scheme(c[0])
		frame.scheme(c[0])
		frame.wait("it is "+c[0], func() bool { return ground() == c[1] })
		frame.accessible("in a frame, " + c[0])
	}
	frame.click("button", "Send test event")
	frame.reads(`(?s)The test event to acme/app:\s+delivered`)

	var jar struct{ Cookies []struct{ Name string } }
	window.call("Storage.getCookies", map[string]any{"browserContextId": window.id}, &jar)
	var kept string
	frame.eval(`document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + location.href`, &kept)
	if len(jar.Cookies) > 0 || strings.Contains(kept, "fts_") || strings.Contains(kept, "ftl_") {
		t.Errorf("the browser keeps %v %s", jar.Cookies, kept)
	}
	frame.allow("answered 401: ")
	frame.eval(`location.reload()`, nil)
	frame.on("login")
	frame.gone("textbox", "Token") // nobody is to write a token into another site's page
	frame.reads(`(?i)open this page again from where you came`)

	// A link that is revoked ends the page that it opened.
	l = link()
	p.more = ""
	_, frame = newWindow(t).embed(p.origin)
	frame.on("overview")
	if err := w.RevokePortalLink(context.Background(), l.ID); err != nil {
		t.Fatal(err)
	}
	frame.allow("answered 401: ")
	frame.eval("location.hash = '#/deliveries'", nil) // it reads, if it has not done so by itself
	frame.on("login")
	if strings.Contains(frame.text(), "acme/") {
		t.Errorf("what the page showed is still there:\n%s", frame.text())
	}
}
