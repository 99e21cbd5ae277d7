package browser

import (
	"context"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// link makes a link to the portal of a developer.
func (w *world) link(developer string) client.PortalLink {
	w.t.Helper()
	l, err := w.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: developer})
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// asks fails the test unless the page asks before a link ends the session, and keeps the code to itself.
func (b *tab) asks(w *world, link client.PortalLink, now, next string) {
	b.t.Helper()
	b.on("replace-session")
	b.reads(`You are signed in as ` + now + `\. This link opens the portal of ` + next + ` instead`)
	var address string
	b.eval("location.href", &address)
	if strings.Contains(address, "link=") {
		b.t.Errorf("the code stays in the address: %s", address)
	}
	if w.used(link.ID) {
		b.t.Error("the question has used the link up")
	}
}

// TestALinkEndsNoSessionUnasked: whoever follows a link of somebody else's does not work in their portal without knowing:
// the page asks before it ends a session, in a tab that shows the pages already, in a fresh one and in a frame. The
// question does not use the link up, and what other tabs show does not go on under the old name.
func TestALinkEndsNoSessionUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTokens)
	window := newWindow(t)
	b := window.tab()
	b.enter(w, operatorToken)
	other := window.tab()
	other.goTo(w.console("#/destinations"))
	other.on("destinations")
	other.reads("globex/hooks")
	b.call("Page.bringToFront", nil, nil)

	l := w.link("acme")
	b.allow("answered 409: ")
	b.goTo(l.URL)
	b.asks(w, l, "operator", "acme")
	b.accessible("the question")
	b.size(narrow)
	b.scheme("dark")
	b.fits("the question")
	b.accessible("the question, narrow and dark")
	b.size(wide)
	b.scheme("light")
	b.click("button", "Stay signed in")
	b.on("overview")
	b.reads("globex/hooks")
	b.goTo("about:blank")
	b.goTo(l.URL)
	b.asks(w, l, "operator", "acme")
	b.call("Page.reload", nil, nil) // the code is forgotten, and the session is not
	b.on("overview")
	b.reads("globex/hooks")
	b.goTo(l.URL)
	b.asks(w, l, "operator", "acme")
	other.allow("answered 401: ") // the moment before it is loaded again
	b.click("button", "Open the link instead")
	for _, tab := range []*tab{b, other} {
		tab.call("Page.bringToFront", nil, nil)
		tab.wait("the portal of acme", func() bool {
			text := tab.text()
			return strings.Contains(text, "acme/old") && !strings.Contains(text, "globex") && !strings.Contains(text, "operator")
		})
	}
	if !w.used(l.ID) {
		t.Error("the link is unused")
	}

	b.call("Page.bringToFront", nil, nil)
	b.goTo(w.link("acme").URL) // the same portal again is no other
	b.on("overview")
	l = w.link("globex")
	b.goTo(l.URL)
	b.asks(w, l, "the portal of acme", "globex")
	b.press("Tab")
	b.press("Tab")
	if role, name := b.focused(); role != "button" || name != "Open the link instead" {
		b.click("button", "Open the link instead")
	} else {
		b.press("Enter")
	}
	b.on("overview")
	b.reads("globex/hooks")
}

// TestALinkInAFrameEndsNoSessionUnasked: there the session is in memory, and the page around can move the frame.
func TestALinkInAFrameEndsNoSessionUnasked(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	w := newWorld(t, withTokens+`console: { frame_ancestors: ["`+p.origin+`"] }`+"\n")
	first, next := w.link("acme"), w.link("globex")
	p.link = first.URL
	page, frame := newWindow(t).embed(p.origin)
	frame.on("overview")
	frame.reads("acme/old")
	move := func() { page.eval("document.querySelector('iframe').src = "+quote(next.URL)+"; 0", nil) }
	frame.allow("answered 409: ")
	move()
	frame.asks(w, next, "the portal of acme", "globex")
	frame.accessible("the question in a frame")
	frame.click("button", "Stay signed in")
	frame.on("overview")
	frame.reads("acme/old")
	page.eval("document.querySelector('iframe').src = "+quote(strings.Split(next.URL, "#")[0]+"#/destinations")+"; 0", nil)
	frame.on("destinations")
	move()
	frame.asks(w, next, "the portal of acme", "globex")
	frame.click("button", "Open the link instead")
	frame.on("overview")
	frame.reads("globex/hooks")
	if strings.Contains(frame.text(), "acme/") || !w.used(next.ID) {
		t.Errorf("the frame shows\n%s", frame.text())
	}
}
