package browser

import (
	"regexp"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// tabTo presses Tab until something with this role and name has the focus, which must be seen on the way.
func (b *tab) tabTo(role, name string) {
	b.t.Helper()
	re := regexp.MustCompile("^(?:" + name + ")$")
	for range 120 {
		b.press("Tab")
		is, called := b.focused()
		var seen bool
		b.eval(`(() => { const e = document.activeElement, s = getComputedStyle(e)
	return e === document.body || s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 })()`, &seen)
		if !seen {
			b.t.Errorf("nobody sees that %s %q has the focus", is, called)
		}
		if is == role && re.MatchString(called) {
			return
		}
	}
	b.t.Fatalf("Tab does not lead to %s %q\n%s", role, name, b.text())
}

// focusOn waits until something has the focus.
func (b *tab) focusOn(role, name string) {
	b.t.Helper()
	re := regexp.MustCompile("^(?:" + name + ")$")
	var is, called string
	if !within(patience, func() bool { is, called = b.focused(); return is == role && re.MatchString(called) }) {
		b.t.Fatalf("the focus is on %s %q, want %s %q", is, called, role, name)
	}
}

// TestTheStoryByKeyboard walks through the story without a mouse: whatever has the focus shows it, a new page begins
// at its title, dialogs keep the focus, give it back, and end with Escape.
func TestTheStoryByKeyboard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	b := newWindow(t).tab()
	b.goTo(w.console("#/"))
	b.on("overview")
	b.reads("globex/hooks")
	b.tabTo("link", "Skip to the page")
	b.press("Enter")
	b.focusOn("heading", "Overview")
	b.tabTo("link", "globex/hooks")
	b.press("Enter")
	b.on("destination")
	b.focusOn("heading", "globex/hooks")

	b.tabTo("button", "Pause")
	b.press(" ")
	b.see("dialog", "Pause globex/hooks\\?")
	for range 6 { // the focus stays inside
		b.press("Tab")
		var inside bool
		b.eval("document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)", &inside)
		if !inside {
			role, name := b.focused()
			t.Errorf("the focus leaves the question, to %s %q", role, name)
		}
	}
	b.press("Escape")
	b.gone("dialog", ".*")
	b.focusOn("button", "Pause")

	b.tabTo("link", "Dead")
	b.press("Enter")
	b.on("deliveries")
	b.focusOn("heading", "Deliveries")
	b.tabTo("link", ".* ago")
	b.press("Enter")
	b.on("delivery")
	b.focusOn("heading", ".* to globex/hooks")
	b.tabTo("button", "Show the request")
	b.press("Enter")
	b.see("heading", "As curl")

	w.far["globex/hooks"].becomes(healthy)
	b.goTo(w.console("#/destination/globex/hooks"))
	b.on("destination")
	b.reads("The last 12 attempts failed")
	b.tabTo("button", "Send test event")
	b.press("Enter")
	b.reads(`(?s)The test event to globex/hooks:\s+delivered`)
	b.tabTo("button", "Retry all dead since…")
	b.press("Enter")
	b.see("dialog", ".*dead deliveries")
	b.tabTo("button", "Count them")
	b.press("Enter")
	b.reads(`Retry 4 dead deliveries`)
	b.tabTo("button", "Retry 4")
	b.press("Enter")
	b.reads(`4 deliveries are due now`)
	b.press("Escape")
	b.gone("dialog", ".*")
	w.until("all of it is delivered", func(rows map[string]client.AuditRow) bool { return rows["globex/hooks"].Delivered == 5 })
}
