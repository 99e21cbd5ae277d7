package browser

import (
	"context"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

const (
	supportToken = "token-of-the-support"
	acmeToken    = "token-of-acme-alone"
)

// logIn gives a token to the page that asks for one.
func (b *tab) logIn(token string) {
	b.t.Helper()
	b.fill("textbox", "Token", token)
	b.click("button", "Log in")
}

// enter opens the console with a token; without a session the page's first question is answered 401.
func (b *tab) enter(w *world, token string) {
	b.t.Helper()
	b.allow("answered 401: ")
	b.goTo(w.console("#/"))
	b.on("login")
	b.logIn(token)
	b.on("overview")
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTokens)
	b := newWindow(t).tab()
	b.allow("answered 401: ")
	b.goTo(w.console("#/destinations?state=held"))
	b.on("login")
	b.accessible("log-in")
	b.size(narrow)
	b.fits("log-in")
	b.size(wide)

	b.logIn("a-token-that-nobody-has")
	b.see("alert", ".*")
	b.reads(`(?i)the token or link is not known`)
	b.logIn(operatorToken)
	b.on("destinations") // where one wanted to go
	b.reads("acme/old")

	var kept string
	b.eval(`document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + location.href`, &kept)
	if strings.Contains(kept, operatorToken) || strings.Contains(kept, "fantail_session") {
		t.Errorf("scripts reach the token or the session: %s", kept)
	}
	b.call("Page.reload", nil, nil)
	b.on("destinations")
	b.click("button", "Log out")
	b.on("login")
	b.call("Page.reload", nil, nil)
	b.on("login")
}

// TestASessionEndsUnderAnOpenPage: who may not see any more sees nothing any more, and goes on where they were
// once they have logged in again.
func TestASessionEndsUnderAnOpenPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTokens)
	b := newWindow(t).tab()
	b.hurry()
	b.enter(w, supportToken)
	b.goTo(w.console("#/destinations"))
	b.on("destinations")
	b.reads("globex/hooks")
	w.settings(strings.Replace(withTokens, supportToken, "another-token-of-the-support", 1))
	if _, err := w.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.on("login")
	b.reads(`The session has ended`)
	if strings.Contains(b.text(), "globex") {
		t.Error("what the page showed is still there")
	}
	b.logIn("another-token-of-the-support")
	b.on("destinations")
	b.reads("globex/hooks")
}

// TestAReaderHasNoButtons: a token that may only read is offered nothing that it may not do.
func TestAReaderHasNoButtons(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTokens)
	b := newWindow(t).tab()
	b.enter(w, supportToken)
	for _, p := range pages {
		if p.name == "send" {
			continue
		}
		b.goTo(w.console(p.address(w)))
		b.on(p.name)
		b.reads(p.shows)
		b.still("/v1/live")
		for _, act := range []string{"Pause (acme|globex).*", "Resume.*", "Check.*", "Send.*", "Retry.*", "Cancel.*", "Replay.*"} {
			for _, n := range b.nodes("button", act) {
				t.Errorf("%s offers %q", p.name, n.name)
			}
		}
	}
}

// TestATenantSeesTheirOwnAlone: by a token, and by a portal link, which opens one session.
func TestATenantSeesTheirOwnAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTokens)
	alone := func(b *tab) {
		t.Helper()
		for _, p := range pages {
			if p.is == whole || strings.Contains(p.address(w), w.dead) || strings.Contains(p.address(w), "globex") {
				continue
			}
			b.goTo(w.console(p.address(w)))
			b.on(p.name)
			b.still("/v1/live")
			if text := b.text(); strings.Contains(text, "globex") || strings.Contains(text, longName[:12]) || !strings.Contains(text, "acme") && p.name == "destinations" {
				t.Errorf("%s shows:\n%s", p.name, text)
			}
			for _, url := range b.requests("/v1/") {
				if strings.Contains(url, "globex") {
					t.Errorf("%s asks for %s", p.name, url)
				}
			}
		}
	}
	b := newWindow(t).tab()
	b.enter(w, acmeToken)
	alone(b)

	link, err := w.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	tenant := newWindow(t).tab()
	tenant.goTo(link.URL)
	tenant.on("overview")
	var address string
	tenant.eval("location.href", &address)
	if strings.Contains(address, "link=") {
		t.Errorf("the code stays in the address: %s", address)
	}
	alone(tenant)
	tenant.call("Page.reload", nil, nil)
	tenant.gone("textbox", "Token")

	other := newWindow(t).tab()
	other.allow("answered 401: ")
	other.goTo(link.URL)
	other.on("login")
	other.reads(`(?i)was used`)

	if err := w.RevokePortalLink(context.Background(), link.ID); err != nil {
		t.Fatal(err)
	}
	tenant.allow("answered 401: ")
	tenant.call("Page.reload", nil, nil)
	tenant.on("login")
}
