package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// TestTenThousandDestinations: pages show what is worst and what is looked for, however many destinations there are. What
// they hold, are sent and have the store read is bounded.
func TestTenThousandDestinations(t *testing.T) {
	t.Parallel()
	const developers, each = 20, 500
	w := &world{daemon: startDaemon(t, ""), far: map[string]*farSide{}}
	good, bad := newFarSide(t, healthy), newFarSide(t, failing)
	began := time.Now()
	for i := range developers {
		var text strings.Builder
		fmt.Fprintf(&text, "developer: many-%02d\ndestinations:\n", i)
		for j := range each {
			to, more := good.URL, "enabled: false, events: [lab_report.*], " // nobody checks it, and the one event is not for it
			if i == 7 && j == 321 {
				to, more = bad.URL, "retry: { waits: [1ms], jitter: 0 }, "
			}
			fmt.Fprintf(&text, "  - { name: hooks-%03d, kind: webhook, %ssettings: { url: %q, secret: secret-of-a-developer, allow_http: true } }\n", j, more, to)
		}
		w.document(fmt.Sprintf("many-%02d", i), text.String())
	}
	w.send("many-07", "", `{"type":"sleep","user":{"user_id":"u"},"data":[]}`)
	w.until("one is dead", func(rows map[string]client.AuditRow) bool { return rows["many-07/hooks-321"].Dead == 1 })
	t.Logf("%d destinations after %s", developers*each, time.Since(began).Round(time.Millisecond))

	b := newWindow(t).tab()
	// bounded holds what the page has become, and what it took, to limits.
	bounded := func(what string, elements, bytes, rows int, open func()) {
		t.Helper()
		b.eval("performance.clearResourceTimings()", nil)
		before, at := w.rowsRead(), time.Now()
		open()
		took := time.Since(at)
		b.still("/v1/live")
		var is struct{ Elements, Bytes int }
		b.eval(`({elements: document.querySelectorAll('*').length,
			bytes: Math.max(0, ...performance.getEntriesByType('resource').filter(r => r.name.includes('/v1/')).map(r => r.decodedBodySize))})`, &is)
		read := w.rowsRead() - before
		t.Logf("%-24s %7d elements %8d bytes %4d rows %6s", what, is.Elements, is.Bytes, read, took.Round(time.Millisecond))
		if is.Elements > elements || is.Bytes > bytes || read > rows {
			t.Errorf("%s: %d elements, an answer of %d bytes, %d rows read: want at most %d, %d, %d", what, is.Elements, is.Bytes, read, elements, bytes, rows)
		}
	}
	b.goTo(w.console("#/"))
	b.on("overview")
	b.still("/v1/live") // what is under way when it is loaded again never ends
	bounded("overview", 1500, 100<<10, 60, func() {
		b.call("Page.reload", nil, nil)
		b.on("overview")
		b.reads(`10,000`)
		b.reads(`many-07/hooks-321`)
	})
	rows := func() (n int) {
		b.eval("document.querySelectorAll('main tbody tr').length", &n)
		return n
	}
	bounded("destinations", 6000, 200<<10, 60, func() {
		b.click("link", "Destinations")
		b.on("destinations")
		b.reads(`(?s)all 10,000.*many-07/hooks-321`) // worst first
	})
	if n := rows(); n != 100 {
		t.Errorf("%d rows at first", n)
	}
	bounded("search", 1000, 100<<10, 60, func() {
		b.fill("searchbox", "Name or kind", "many-13/hooks-499")
		b.wait("one row", func() bool { return rows() == 1 })
		b.reads("many-13/hooks-499")
	})
	bounded("search for nothing", 1000, 100<<10, 60, func() {
		b.fill("searchbox", "Name or kind", "nobody")
		b.reads("No destination is like that")
	})
	bounded("search for many", 6000, 200<<10, 60, func() {
		b.fill("searchbox", "Name or kind", "many-07/")
		b.reads(`(?s)all 500.*many-07/hooks-321`)
		b.wait("a page of rows", func() bool { return rows() == 100 })
	})
	bounded("one developer's failing", 1000, 100<<10, 60, func() {
		b.click("link", "failing 1")
		b.wait("one row", func() bool { return rows() == 1 })
	})
	bounded("all that are shown", 60_000, 2<<20, 60, func() {
		b.goTo(w.console("#/destinations?sort=name"))
		for _, n := range []int{100, 300, 1000} {
			b.wait(fmt.Sprintf("%d rows", n), func() bool { return rows() == n })
			if n < 1000 {
				b.click("button", "Show more")
			}
		}
		b.reads("Narrow the list down")
	})
	if len(b.nodes("button", "Show more")) > 0 {
		t.Error("more than a thousand rows are offered")
	}
	// What happened to it stands among the acts on all 500 of its developer, which are read until it is found.
	bounded("one of them", 1500, 200<<10, 1500, func() {
		b.goTo(w.console("#/destination/many-07/hooks-321"))
		b.on("destination")
		b.reads("503")
	})
	bounded("developers", 3000, 100<<10, 60, func() {
		b.click("link", "Developers")
		b.on("developers")
		b.reads("many-19")
	})
}
