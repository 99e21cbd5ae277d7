package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// page is one that the console has.
type page struct {
	name    string // data-page of its main
	address func(w *world) string
	shows   string // what stands there when it has read everything
	rows    int    // of the store that it may read, at the most
	is      kind
}

// kind is what pages have in common.
type kind int

const (
	list  kind = iota // says so when there is nothing
	one               // not looked at in an empty daemon: there is none, or it is never empty
	whole             // of the daemon, not of a tenant
)

func at(address string) func(*world) string { return func(*world) string { return address } }

// pages are all of them. rows is about twice what each reads: a page that begins to read more than it
// shows fails its test.
var pages = []page{
	{"overview", at("#/"), `acme/old`, 60, list},
	{"destinations", at("#/destinations"), `acme/old`, 0, list},
	{"destination", at("#/destination/globex/hooks"), `503`, 60, one},
	{"deliveries", at("#/deliveries?state=dead&since=24h"), `globex/hooks`, 60, list},
	{"delivery", func(w *world) string { return "#/delivery/" + w.dead }, `503`, 60, one},
	{"event", func(w *world) string { return "#/event/" + w.hostile.ID }, `acme/paused`, 80, one},
	{"send", at("#/send"), `Nothing was sent yet`, 0, list},
	{"replays", at("#/replays"), `Replay`, 10, list},
	{"developers", at("#/developers"), `umbrella`, 60, list},
	{"developer", at("#/developer/acme"), `acme`, 60, one},
	{"trail", at("#/trail"), `paused`, 120, one},
	{"settings", at("#/settings"), `shutdown_grace`, 10, whole},
	{"daemons", at("#/daemons"), `aemon`, 10, whole},
}

// open opens a page afresh and waits until it has read everything.
func (b *tab) open(w *world, p *page) {
	b.t.Helper()
	b.goTo("about:blank")
	b.goTo(w.console(p.address(w)))
	b.on(p.name)
	b.reads(p.shows)
	b.still("/v1/live")
}

// on waits for a page.
func (b *tab) on(name string) {
	b.t.Helper()
	b.wait("the page "+name, func() bool {
		var now string
		_ = b.ask(`document.querySelector('main:not([aria-busy="true"])')?.dataset.page ?? ''`, &now)
		return now == name
	})
}

var axe = sync.OnceValues(func() (string, error) {
	source, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		return "", fmt.Errorf("axe-core is not installed: run make setup: %w", err)
	}
	return string(source), nil
})

// accessible has axe-core judge the page as it is: nothing serious may be wrong.
func (b *tab) accessible(where string) {
	b.t.Helper()
	source, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	b.eval(`if (!window.axe) { (0, `+"function () {"+source+"\n})() }", nil)
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct {
			HTML           string
			FailureSummary string
		}
	}
	b.eval(`axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)`, &found)
	for _, v := range found {
		if v.Impact != "serious" && v.Impact != "critical" {
			b.t.Logf("%s: %s, %s: %s, as %.200s", where, v.Impact, v.ID, v.Help, v.Nodes[0].HTML)
			continue
		}
		for _, n := range v.Nodes {
			b.t.Errorf("%s: %s, %s: %s\n%.300s\n%s", where, v.Impact, v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// fits fails the test if anything is wider than the window.
func (b *tab) fits(where string) {
	b.t.Helper()
	var wide []string
	b.eval(`(() => {
	const found = [], width = document.documentElement.clientWidth
	if (document.documentElement.scrollWidth > width) found.push('the page is ' + document.documentElement.scrollWidth + ' px wide')
	for (const e of document.body.querySelectorAll('*')) {
		const r = e.getBoundingClientRect(), s = getComputedStyle(e)
		if (r.width && r.right > width + 1 && s.position !== 'fixed' && !e.closest('pre, .canvas')) found.push(e.tagName + '.' + e.className + ' ends at ' + Math.round(r.right) + ': ' + e.textContent.slice(0, 60))
		if (['auto', 'scroll'].includes(s.overflowX) && e.scrollWidth > e.clientWidth + 1 && !['PRE', 'TEXTAREA'].includes(e.tagName)) found.push(e.tagName + '.' + e.className + ' scrolls')
	}
	return found.slice(0, 8)
})()`, &wide)
	if len(wide) > 0 {
		b.t.Errorf("%s: wider than the window: %s", where, strings.Join(wide, "; "))
	}
}

// steady fails the test if the page moved after it was painted: browsers call a sum below 0.1 good, below 0.25 fair.
func (b *tab) steady(where string) {
	b.t.Helper()
	b.steadyWithin(0.1, where)
}

func (b *tab) steadyWithin(limit float64, where string) {
	b.t.Helper()
	var moves []struct {
		Value float64
		What  []string
	}
	b.eval(`new Promise(done => {
	new PerformanceObserver(l => done(l.getEntries().filter(e => !e.hadRecentInput).map(e => ({value: e.value, what: e.sources.map(s =>
		s.node?.nodeName + '.' + (s.node?.className ?? '') + ' ' + (s.node?.textContent ?? '').slice(0, 40) + ' from ' + s.previousRect.y + ' to ' + s.currentRect.y)}))
	)).observe({type: 'layout-shift', buffered: true})
	setTimeout(() => done([]), 200)
})`, &moves)
	sum := 0.0
	for _, m := range moves {
		sum += m.Value
	}
	if sum > limit {
		b.t.Errorf("%s: the page jumps, by %.3f: %+v", where, sum, moves)
	}
}

// TestEveryPage opens each page in a world full of hostile names and texts: nothing of it becomes markup, nothing
// violates the policy, axe finds nothing serious in light and in dark, a narrow window needs no scrolling to the
// side, nothing jumps, and what the store reads for it is bounded.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	b := newWindow(t).tab()
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			b.t = t
			b.size(wide)
			b.scheme("light")
			before := w.rowsRead()
			b.open(w, &p)
			if n := w.rowsRead() - before; n > p.rows {
				t.Errorf("the store read %d rows, want at most %d", n, p.rows)
			} else {
				t.Logf("%d rows", n)
			}
			b.steady("light")
			b.fits("wide")
			b.unharmed()
			b.accessible("light")
			b.scheme("dark")
			b.accessible("dark")
			b.size(narrow)
			b.still("/v1/live")
			b.fits("narrow")
			b.accessible("narrow")
			for _, f := range b.seen() {
				t.Error(f)
			}
		})
	}
	b.t = t
}

// TestEveryPageOfAnEmptyDaemon: a daemon without a developer has pages that say what to do.
func TestEveryPageOfAnEmptyDaemon(t *testing.T) {
	t.Parallel()
	w := &world{daemon: startDaemon(t, "")}
	b := newWindow(t).tab()
	for _, p := range pages {
		if p.is == one {
			continue
		}
		b.goTo("about:blank")
		b.goTo(w.console(p.address(w)))
		b.on(p.name)
		b.still("/v1/live")
		b.size(narrow)
		b.still("/v1/live")
		b.fits(p.name)
		b.size(wide)
		b.accessible(p.name)
		if text := b.text(); p.is == list && !strings.Contains(text, "no ") && !strings.Contains(text, "No ") && !strings.Contains(text, "Nothing") {
			t.Errorf("%s does not say that there is nothing:\n%s", p.name, text)
		}
	}
}

// quote is a string as JavaScript writes it.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
