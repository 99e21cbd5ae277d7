package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// sendMany hands in n events, as batches.
func (w *world) sendMany(developer string, n int) {
	w.t.Helper()
	for n > 0 {
		var lines strings.Builder
		for range min(n, 1000) {
			fmt.Fprintf(&lines, `{"dev_id":%q,"event":{"type":"sleep","user":{"user_id":"many"},"data":[]}}`+"\n", developer)
		}
		for r, err := range w.SendBatch(context.Background(), []byte(lines.String())) {
			if err != nil || r.Err != nil {
				w.t.Fatalf("send many: %v %v", err, r.Err)
			}
		}
		n -= 1000
	}
}

// TestSevenTabsShareOneStream: browsers allow six connections to a host. Seven windows that look at what happens, two of
// them at Overview, hold one stream; each shows what comes, and when the one that reads is closed another goes on.
func TestSevenTabsShareOneStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	one := newWindow(t)
	var tabs, lists, overviews []*tab
	for i := range 7 {
		b := one.tab()
		if i%3 == 1 {
			b.goTo(w.console("#/"))
			b.on("overview")
			overviews = append(overviews, b)
		} else {
			b.goTo(w.console("#/deliveries?developer=constructor"))
			b.on("deliveries")
			lists = append(lists, b)
		}
		tabs = append(tabs, b)
	}
	streams := func() (n int) {
		for _, b := range tabs {
			n += b.streams("/v1/live")
		}
		return n
	}
	tabs[0].wait("one stream", func() bool { return streams() == 1 })
	w.send("constructor", "", `{"type":"first","data":[]}`)
	for _, b := range lists {
		b.reads("1 new attempt: show")
	}
	w.send("globex", "", `{"type":"dies","data":[]}`)             // seven have died before
	for _, b := range append(slices.Clone(overviews), lists[0]) { // one of a window is seen, and that one reads
		b.call("Page.bringToFront", nil, nil)
		b.wait("who is seen reads", func() bool { return streams() == 1 && b.streams("/v1/live") == 1 })
		if slices.Contains(overviews, b) {
			b.reads(`Dead in 24 h\s+8`)
		}
	}
	gone := slices.IndexFunc(tabs, func(b *tab) bool { return b.streams("/v1/live") == 1 })
	if gone < 0 {
		t.Fatal("nobody reads")
	}
	closed := tabs[gone]
	closed.close()
	others := func(all []*tab) []*tab {
		return slices.DeleteFunc(slices.Clone(all), func(b *tab) bool { return b == closed })
	}
	tabs, lists, overviews = others(tabs), others(lists), others(overviews)
	lists[0].call("Page.bringToFront", nil, nil)
	tabs[0].wait("another reads", func() bool { return len(tabs) == 6 && streams() == 1 })
	if !within(patience, func() bool { // what comes between two streams is in the list, and in no stream
		w.send("constructor", "", `{"type":"second","data":[]}`)
		return strings.Contains(lists[0].text(), "new attempts: show")
	}) {
		t.Error("nothing comes after the tab that read was closed")
	}
	for _, b := range lists {
		b.reads(`\d+ new attempts?: show`)
	}
	w.send("globex", "", `{"type":"dies","data":[]}`)
	for _, b := range overviews {
		b.call("Page.bringToFront", nil, nil)
		b.reads(`Dead in 24 h\s+9`)
	}
	tabs[0].wait("one stream still", func() bool { return streams() == 1 })
}

// TestOverviewFollowsCounters: its figures come over the stream, and its list is not read for them. The stream brings
// no attempt along, since the page shows none.
func TestOverviewFollowsCounters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	b := newWindow(t).tab()
	b.goTo(w.console("#/"))
	b.on("overview")
	b.reads("globex/hooks")
	b.wait("the stream", func() bool { return b.streams("/v1/live?tell=counters") == 1 })
	dead := 7
	if !within(3*patience, func() bool { // a list that is read meanwhile says nothing: another event does
		before := len(b.requests("/v1/destinations?"))
		w.send("globex", "", `{"type":"dies","data":[]}`)
		dead++
		b.reads(fmt.Sprintf(`Dead in 24 h\s+%d`, dead))
		return len(b.requests("/v1/destinations?")) == before
	}) {
		t.Error("figures change only when the list is read")
	}
	// Who is failing, held or paused is in the list at once.
	if err := w.Pause(context.Background(), "constructor", "hasOwnProperty", "their night"); err != nil {
		t.Fatal(err)
	}
	b.reads("their night")
	b.steady("figures that change")
	if n := len(b.requests("/v1/live")); n != 1 {
		t.Errorf("%d streams: %q", n, b.requests("/v1/live"))
	}
	// Paused, nothing moves.
	b.click("button", "Pause refresh")
	b.wait("no stream", func() bool { return b.streams("/v1/live") == 0 })
	b.still()
	before := len(b.requests("/v1/"))
	w.send("globex", "", `{"type":"dies","data":[]}`)
	w.until("it has died", func(rows map[string]client.AuditRow) bool { return rows["globex/hooks"].Dead == int64(dead-7+4+1) })
	if n := len(b.requests("/v1/")) - before; n != 0 {
		t.Errorf("a page whose refresh is paused has asked %d times: %q", n, b.requests("/v1/")[before:])
	}
	b.click("button", "Refresh is paused")
	b.reads(fmt.Sprintf(`Dead in 24 h\s+%d`, dead+1))
}

// TestOverviewPollsWithoutAStream: where something on the way lets no stream through, figures come as they did.
func TestOverviewPollsWithoutAStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	b := newWindow(t).tab()
	b.hurry()
	b.allow("/v1/live") // it is blocked
	b.call("Network.setBlockedURLs", map[string]any{"urls": []string{"*/v1/live*"}}, nil)
	b.goTo(w.console("#/"))
	b.on("overview")
	b.reads(`Dead in 24 h\s+7`)
	w.send("globex", "", `{"type":"dies","data":[]}`)
	b.reads(`Dead in 24 h\s+8`)
	if b.streams("/v1/live") != 0 {
		t.Error("there is a stream")
	}
}

// TestASlowReaderHoldsUpNobody: a page on a line of 2 KB/s does not slow deliveries, is told how many attempts it
// missed, and works.
func TestASlowReaderHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	b := newWindow(t).tab()
	b.goTo(w.console("#/deliveries?developer=constructor"))
	b.on("deliveries")
	b.wait("the stream", func() bool { return b.streams("/v1/live") == 1 })
	speed := func(bytes int) {
		b.call("Network.emulateNetworkConditions", map[string]any{"offline": false, "latency": 0, "downloadThroughput": bytes, "uploadThroughput": -1}, nil)
	}
	speed(2000)
	const n = 4000
	w.sendMany("constructor", n)
	w.until("everything is delivered", func(rows map[string]client.AuditRow) bool {
		return rows["constructor/hasOwnProperty"].Delivered == n+3
	})
	speed(-1)
	b.see("button", `[\d,]+ new attempts: show`)
	b.wait("what was on its way has come", func() bool {
		if len(b.nodes("button", `.* new attempts?: show`)) == 0 {
			return true
		}
		b.click("button", `.* new attempts?: show`)
		return false
	})
	b.reads(`50 deliveries shown`)
}
