package browser

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// TestALinkShowsWhatItAllows: each right of a link has its buttons, which work, and no others.
func TestALinkShowsWhatItAllows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTokens)
	link := func(may ...string) string {
		t.Helper()
		l, err := w.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: "globex", May: may})
		if err != nil {
			t.Fatal(err)
		}
		return l.URL
	}
	visit := func(b *tab, address, page string) {
		b.goTo(w.console(address))
		b.on(page)
		b.still("/v1/live")
	}
	const hooks, dead = "#/destination/globex/hooks", "#/deliveries?state=dead"

	reader := newWindow(t).tab()
	reader.goTo(link("read"))
	reader.on("overview")
	for page, address := range map[string]string{"destination": hooks, "deliveries": dead, "delivery": "#/delivery/" + w.dead, "replays": "#/replays", "developer": "#/developer/globex"} {
		visit(reader, address, page)
		for _, n := range reader.nodes("button", ".*") {
			if strings.Contains("Retry now Retry all these… Retry all dead since… Check Send test event Replay… Pause Rotate secret… Apply…", n.name) && n.name != "" {
				t.Errorf("whoever may read has the button %q on %s", n.name, page)
			}
		}
	}

	b := newWindow(t).tab()
	b.goTo(link("read", "test"))
	b.on("overview")
	visit(b, hooks, "destination")
	b.gone("button", "Retry all dead since…")
	b.click("button", "Check")
	b.reads(`globex/hooks was checked|globex/hooks: `)

	// A link in a tab that shows the pages already: no reload of the browser's own.
	b.goTo(link("read", "retry", "replay"))
	b.on("overview")
	b.reads(`globex`)
	visit(b, hooks, "destination")
	b.gone("button", "Check")
	b.see("button", "Retry all dead since…")
	visit(b, dead, "deliveries")
	b.click("button", "Retry all these…")
	b.reads(`Retry 4 dead deliveries`)
	b.click("button", "Keep as they are")

	// A replay of one event leaves an event alone that is the same but for its id; a count leaves no row.
	w.far["globex/hooks"].becomes(healthy)
	before := w.far["globex/hooks"].received.Load()
	hostile := w.dead[:36]
	visit(b, "#/event/"+hostile, "event")
	b.eval(`(() => { const s = document.querySelector('#replay-to'); s.value = 'hooks'; s.dispatchEvent(new Event('change', {bubbles: true})) })()`, nil)
	b.click("button", "Replay")
	b.see("heading", "Replay the event to globex/hooks.*")
	b.eval(`document.querySelector('dialog[open] button.primary, dialog[open] button[type=submit]').click()`, nil)
	b.reads(`A new delivery to globex/hooks was made`)
	if n := w.far["globex/hooks"].received.Load() - before; n > 1 {
		t.Errorf("%d deliveries went out, want one", n)
	}
	visit(b, "#/replays", "replays")
	b.reads(`1 event`)
	b.click("button", "Replay…")
	b.click("button", "Count them")
	b.reads(`Make 3 deliveries`)
	b.click("button", "Leave it")
	b.still("/v1/live")
	if text := b.text(); strings.Contains(text, "dry run") {
		t.Errorf("a count stands among the replays:\n%s", text)
	}

	// Nobody who came over a link is asked for a token.
	b.allow("answered 401: ")
	b.goTo(w.console("#link=%"))
	b.on("login")
	b.reads(`(?i)was used`)
	b.gone("textbox", "Token")
	b.click("button", "Log in with a token")
	b.see("textbox", "Token")
	for l, err := range w.PortalLinks(context.Background(), "globex") {
		if err == nil {
			err = w.RevokePortalLink(context.Background(), l.ID)
		}
		if err != nil {
			t.Fatal(fmt.Errorf("revoke: %w", err))
		}
	}
	reader.allow("answered 401: ")
	reader.goTo(w.console("#/destinations"))
	reader.on("login")
	reader.reads(`Open this page again from where you came`)
}
