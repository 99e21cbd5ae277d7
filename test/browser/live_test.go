package browser

import (
	"context"
	"fmt"
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

// TestSevenTabsShareOneStream: browsers allow six connections to a host. Seven windows that all look at what happens
// hold one stream; each shows what comes, and when the one that reads is closed another goes on.
func TestSevenTabsShareOneStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	one := newWindow(t)
	var tabs []*tab
	for range 7 {
		b := one.tab()
		b.goTo(w.console("#/deliveries?developer=constructor"))
		b.on("deliveries")
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
	for _, b := range tabs {
		b.reads("1 new attempt: show")
	}
	for i, b := range tabs {
		if b.streams("/v1/live") == 1 {
			b.close()
			tabs = append(tabs[:i], tabs[i+1:]...)
			break
		}
	}
	tabs[0].wait("another reads", func() bool { return len(tabs) == 6 && streams() == 1 })
	if !within(patience, func() bool { // what comes between two streams is in the list, and in no stream
		w.send("constructor", "", `{"type":"second","data":[]}`)
		return strings.Contains(tabs[5].text(), "new attempts: show")
	}) {
		t.Error("nothing comes after the tab that read was closed")
	}
	for _, b := range tabs {
		b.reads(`\d+ new attempts: show`)
	}
	if n := streams(); n != 1 {
		t.Errorf("%d streams", n)
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
