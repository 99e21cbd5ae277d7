// Package browser drives the console in a real browser, Debian's Chromium, against the real daemon in a
// process of its own. Whatever a person would see as broken fails the test it happens in: an exception, an
// error in the browser's console, a violation of the content security policy, a request that fails.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// patience is how long a page may take to show what a test waits for. It only ends tests that fail.
const patience = 2 * time.Minute

var browserProtocol = sync.OnceValue(func() *protocol { return newProtocol(chromiumOf.In, chromiumOf.Out) })

var chromiumOf *servers.Chromium

// window is what shares cookies and storage: one person's browser.
type window struct {
	t  testing.TB
	p  *protocol
	id string
}

func newWindow(t testing.TB) *window {
	t.Helper()
	chromiumOf = servers.StartChromium(t)
	w := &window{t: t, p: browserProtocol()}
	var made struct{ BrowserContextID string }
	w.call("Target.createBrowserContext", map[string]any{"disposeOnDetach": true}, &made)
	w.id = made.BrowserContextID
	t.Cleanup(func() { w.call("Target.disposeBrowserContext", map[string]any{"browserContextId": w.id}, nil) })
	return w
}

func (w *window) call(method string, params, result any) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.p.call(ctx, "", method, params, result); err != nil {
		w.t.Fatal(err)
	}
}

// size is what a window shows, in CSS pixels.
type size struct {
	width, height int
	overlay       bool // scroll bars take no room, as on phones
}

var (
	wide   = size{width: 1440, height: 900}
	narrow = size{width: 390, height: 844}
)

// tab is one page in a window.
type tab struct {
	t       testing.TB
	p       *protocol
	session string
	input   string // session that keys and clicks go to: of a frame that of the page around it
	target  string

	mu      sync.Mutex
	faults  []string
	allowed []string
	pending map[string]string // requests without an end yet: url by id
	asked   []string          // method and url of every request
}

// tab opens an empty page.
func (w *window) tab() *tab {
	w.t.Helper()
	b := &tab{t: w.t, p: w.p, pending: map[string]string{}}
	var made struct{ TargetID string }
	w.call("Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": w.id}, &made)
	b.target = made.TargetID
	var attached struct{ SessionID string }
	w.call("Target.attachToTarget", map[string]any{"targetId": b.target, "flatten": true}, &attached)
	b.watch(attached.SessionID, attached.SessionID)
	b.call("Network.setCacheDisabled", map[string]any{"cacheDisabled": false}, nil)
	b.size(wide)
	return b
}

// watch listens to a session of the browser until the test ends, and fails it by what it sees then.
func (b *tab) watch(session, input string) {
	b.t.Helper()
	b.session, b.input = session, input
	b.p.listen(b.session, b.told)
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits", "DOM", "Accessibility"} {
		b.call(domain+".enable", nil, nil)
	}
	t := b.t
	t.Cleanup(func() {
		b.p.listen(b.session, nil)
		for _, f := range b.seen() {
			t.Errorf("the page: %s", f)
		}
	})
}

// embed opens a page with one frame of another site, which fills it, and returns page and frame.
func (w *window) embed(url string) (page, frame *tab) {
	w.t.Helper()
	page = w.tab()
	begun := make(chan string, 1)
	page.p.listen(page.session, func(method string, params json.RawMessage) {
		var e struct{ SessionID string }
		if method == "Target.attachedToTarget" && json.Unmarshal(params, &e) == nil {
			select {
			case begun <- e.SessionID:
			default: // it has one frame
			}
			return
		}
		page.told(method, params)
	})
	page.call("Target.setAutoAttach", map[string]any{"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true}, nil)
	page.goTo(url)
	frame = &tab{t: w.t, p: w.p, pending: map[string]string{}}
	select {
	case session := <-begun:
		frame.watch(session, page.session)
	case <-time.After(patience):
		w.t.Fatalf("%s has no frame of another site: %q", url, page.seen())
	}
	frame.call("Runtime.runIfWaitingForDebugger", nil, nil)
	return page, frame
}

// close closes the page, as a person does.
func (b *tab) close() {
	b.t.Helper()
	b.call("Page.close", nil, nil)
}

func (b *tab) call(method string, params, result any) {
	b.t.Helper()
	if err := b.try(method, params, result); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) try(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if params == nil {
		params = struct{}{}
	}
	session := b.session
	if strings.HasPrefix(method, "Input.") {
		session = b.input
	}
	return b.p.call(ctx, session, method, params, result)
}

// allow says which faults the test provokes: those with this text in them.
func (b *tab) allow(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = append(b.allowed, text)
}

// seen returns the faults so far that are not allowed, and forgets them.
func (b *tab) seen() (faults []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		if !slices.ContainsFunc(b.allowed, func(a string) bool { return strings.Contains(f, a) }) && !slices.Contains(faults, f) {
			faults = append(faults, f)
		}
	}
	b.faults = nil
	return faults
}

func (b *tab) fault(format string, args ...any) {
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

// told takes note of what the browser says about the page.
func (b *tab) told(method string, params json.RawMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch method {
	case "Runtime.exceptionThrown":
		b.fault("exception: %.600s", params)
	case "Runtime.consoleAPICalled":
		var e struct{ Type string }
		if json.Unmarshal(params, &e) == nil && (e.Type == "error" || e.Type == "warning" || e.Type == "assert") {
			b.fault("console.%s: %.600s", e.Type, params)
		}
	case "Log.entryAdded":
		var e struct {
			Entry struct{ Source, Level, Text, URL string }
		}
		// What the network says stands below, with its status.
		if json.Unmarshal(params, &e) == nil && e.Entry.Source != "network" && (e.Entry.Level == "error" || e.Entry.Level == "warning") {
			b.fault("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case "Audits.issueAdded":
		var e struct{ Issue struct{ Code string } }
		if json.Unmarshal(params, &e) == nil && (e.Issue.Code == "ContentSecurityPolicyIssue" || e.Issue.Code == "MixedContentIssue" || e.Issue.Code == "CookieIssue") {
			b.fault("%s: %.800s", e.Issue.Code, params)
		}
	case "Network.requestWillBeSent":
		var e struct {
			RequestID string
			Request   struct{ Method, URL string }
		}
		if json.Unmarshal(params, &e) == nil {
			b.pending[e.RequestID] = e.Request.URL
			b.asked = append(b.asked, e.Request.Method+" "+e.Request.URL)
		}
	case "Network.responseReceived":
		var e struct {
			Response struct {
				URL    string
				Status int
			}
		}
		if json.Unmarshal(params, &e) == nil && e.Response.Status >= 400 {
			b.fault("answered %d: %s", e.Response.Status, e.Response.URL)
		}
	case "Network.loadingFinished", "Network.loadingFailed":
		var e struct {
			RequestID, ErrorText string
			Canceled             bool
		}
		if json.Unmarshal(params, &e) != nil {
			return
		}
		if method == "Network.loadingFailed" && !e.Canceled { // the page itself ends what it does not need any more
			b.fault("failed %s: %s", e.ErrorText, b.pending[e.RequestID])
		}
		delete(b.pending, e.RequestID)
	}
}

// streams returns the requests to path that are still being answered.
func (b *tab) streams(path string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, url := range b.pending {
		if strings.Contains(url, path) {
			n++
		}
	}
	return n
}

// requests returns the requests so far whose method and URL contain text.
func (b *tab) requests(text string) (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.asked {
		if strings.Contains(r, text) {
			all = append(all, r)
		}
	}
	return all
}

// still waits until the page has asked for nothing for a moment and everything was answered, except the
// streams, which never are.
func (b *tab) still(streams ...string) {
	b.t.Helper()
	last, since := -1, time.Now()
	b.wait("the page is still", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.asked) != last {
			last, since = len(b.asked), time.Now()
		}
		for _, url := range slices.Collect(maps.Values(b.pending)) {
			if !slices.ContainsFunc(streams, func(s string) bool { return strings.Contains(url, s) }) {
				since = time.Now()
			}
		}
		return time.Since(since) > 150*time.Millisecond
	})
}

// wait asks done every few milliseconds.
func (b *tab) wait(what string, done func() bool) {
	b.t.Helper()
	if !within(patience, done) {
		b.t.Fatalf("waited %s for: %s\nthe page shows:\n%s\nits faults: %q", patience, what, b.text(), b.seen())
	}
}

func within(limit time.Duration, done func() bool) bool {
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !done(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
