package browser

import (
	"regexp"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// TestTheStory is what the console is for. A support person sees that globex/hooks fails, reads what its far side
// says and since when, finds what is dead and every attempt of one of them with the request as curl. When the far
// side is mended they check, send a test event and see it arrive, and retry what was dead, counted first. Then
// everything adds up.
func TestTheStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	b := newWindow(t).tab()
	b.goTo(w.console(""))
	b.on("overview")
	b.see("heading", "Needs somebody")
	b.wait("globex/hooks fails", func() bool {
		return regexp.MustCompile(`(?s)^globex/hooks webhook\s+failing\s+the last 12 attempts failed: answered 503 Service Unavailable\s+0\s+–\s+4\s+never$`).MatchString(b.row("globex/hooks"))
	})

	b.click("link", "globex/hooks")
	b.on("destination")
	b.reads(`The last 12 attempts failed: answered 503 Service Unavailable\.`)
	b.reads(`(?s)Last answer .* ago: 503, transient.*upstream connect error: connection refused`)
	b.reads(`12 attempts failed since the first one: none has ever succeeded`)

	b.click("link", "Dead")
	b.on("deliveries")
	b.reads(`4 deliveries shown, which is all of them`)
	b.click("link", `.* ago`) // the newest, which is hostile
	b.on("delivery")
	b.unharmed()
	b.reads(`(?s)` + regexp.QuoteMeta(hostileType))
	b.wait("three attempts", func() bool { return len(regexp.MustCompile(`503`).FindAllString(b.text(), -1)) >= 3 })
	b.click("button", "Show the request")
	b.see("heading", "As curl")
	b.reads(`(?s)curl .*\[redacted\]`)
	b.reads(bigInteger)
	b.unharmed()

	w.far["globex/hooks"].becomes(healthy)
	b.click("link", "globex/hooks")
	b.on("destination")
	b.click("button", "Check")
	b.reads(`globex/hooks: the last 12 attempts failed`) // what is known so far
	b.reads(`(?s)ok\s+connect\s+connected to 127\.0\.0\.1`)
	before := w.far["globex/hooks"].received.Load()
	b.click("button", "Send test event")
	b.reads(`(?s)The test event to globex/hooks:\s+delivered`)
	if w.far["globex/hooks"].received.Load() == before {
		t.Error("the page says that the test event was delivered, and it was not")
	}

	b.click("button", "Retry all dead since…")
	b.see("dialog", ".*dead deliveries")
	b.accessible("the question")
	b.click("button", "Count them")
	b.reads(`Retry 4 dead deliveries of globex/hooks\?`)
	b.fill("textbox", "Reason.*", "their proxy is back")
	b.call("Network.emulateNetworkConditions", map[string]any{"offline": false, "latency": 700, "downloadThroughput": -1, "uploadThroughput": -1}, nil)
	progress := b.meanwhile(`progress[aria-label="Progress"]`)
	b.click("button", "Retry 4")
	progress()
	b.reads(`4 deliveries are due now\.`)
	b.call("Network.emulateNetworkConditions", map[string]any{"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}, nil)
	b.click("button", "Close")
	w.until("all of it is delivered", func(rows map[string]client.AuditRow) bool {
		r := rows["globex/hooks"]
		return r.Delivered == 5 && r.Dead == 0 && r.Pending == 0
	})
	b.reads(`It takes what it is sent\.`)

	b.click("link", "Overview")
	b.on("overview")
	b.reads(`adds up 35 deliveries accepted = 12 delivered \+ 20 pending \+ 3 dead \+ 0 cancelled`)
	b.wait("globex/hooks does not fail", func() bool {
		return regexp.MustCompile(`^(globex/hooks webhook\s+active\s|$)`).MatchString(b.row("globex/hooks"))
	})

	found := false // what they said of why
	for act, err := range w.Changes(t.Context(), client.ChangeFilter{Call: "retryDeliveries"}) {
		if err != nil {
			t.Fatal(err)
		}
		found = found || act.Reason == "their proxy is back"
	}
	if !found {
		t.Error("the trail does not say why the deliveries were retried")
	}
	rows, err := w.Audit(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !r.Balanced {
			t.Errorf("the audit does not add up: %+v", r)
		}
	}
}
