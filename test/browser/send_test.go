package browser

import (
	"bytes"
	"testing"
)

// TestSendIsByteForByte: what somebody writes is sent as they wrote it, large numbers and blanks included; the page
// says who would get it before and what becomes of it after, and the event's page shows the same bytes.
func TestSendIsByteForByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	b := newWindow(t).tab()
	b.goTo(w.console("#/send"))
	b.on("send")
	b.fill("textbox", "Body.*", "no JSON")
	b.reads(`It is no JSON`)
	b.fill("combobox", "Developer", "acme")
	b.fill("textbox", "Body.*", hostileEvent())
	b.click("button", "Show who would get it")
	b.reads(`(?s)acme/app.*acme/crm.*acme/lab`)
	b.unharmed()
	received := w.far["acme/app"].received.Load()
	b.click("button", "Send")
	b.reads(`(?s)Delivery to acme/app:\s+delivered`)
	b.reads(`(?s)Delivery to acme/paused:\s+pending its destination is paused`)
	if w.far["acme/app"].received.Load() == received {
		t.Error("the page says that it was delivered, and it was not")
	}
	b.accessible("sent")

	b.click("link", `[0-9a-f]{8}-[0-9a-f-]{27}`)
	b.on("event")
	b.see("table", "Deliveries of the event") // which moves what is below when it is read
	b.click("button", "Show the body")
	b.reads(`"z": ` + bigInteger) // set out in lines, with its numbers as they were
	b.click("button", "raw")
	var shown string
	b.wait("the body", func() bool {
		return b.ask(`[...document.querySelectorAll('pre')].map(e => e.textContent).find(t => t.includes('hostile')) ?? ''`, &shown) == nil && shown != ""
	})
	if shown != hostileEvent() {
		t.Errorf("the page shows\n%s\nwant\n%s", shown, hostileEvent())
	}
	b.unharmed()
	b.accessible("with a body")
	b.size(narrow)
	b.fits("with a body")
	w.far["acme/app"].mu.Lock()
	got := w.far["acme/app"].last
	w.far["acme/app"].mu.Unlock()
	if !bytes.Equal(got, []byte(hostileEvent())) {
		t.Errorf("the far side got\n%s", got)
	}
}

// TestAnEventOfNobody: what matches no destination is found, and the pages say so.
func TestAnEventOfNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	e := w.send("umbrella", "a-reference-of-umbrella", `{"type":"alone","user":{"user_id":"lonely"},"data":[]}`)
	b := newWindow(t).tab()
	b.goTo(w.console("#/"))
	b.on("overview")
	for _, id := range []string{e.ID, e.ID[:18], "a-reference-of-umbrella"} {
		b.fill("searchbox", "Find.*", id)
		b.press("Enter")
		b.on("event")
		b.reads(`When it was accepted, no destination of its developer wanted its type`)
		b.click("link", "Overview")
		b.on("overview")
	}
	b.fill("searchbox", "Find.*", "user-2")
	b.press("Enter")
	b.on("deliveries")
	b.reads(`user-2`)
	b.allow("answered 404: ")
	b.fill("searchbox", "Find.*", "0123456789abcdef")
	b.press("Enter")
	b.reads(`Nothing is known as`)
}
