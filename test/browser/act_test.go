package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Pages are asked and used as a person with a screen reader does: by the role and the name that the
// browser itself computes for what is there.

// node is a part of the page as the accessibility tree has it.
type node struct {
	role, name string
	id         int // of the DOM's node
	properties map[string]any
}

// nodes returns what has a role and a name that matches, in the order of the document.
func (b *tab) nodes(role, name string) (found []node) {
	b.t.Helper()
	re, err := regexp.Compile("^(?:" + name + ")$")
	if err != nil {
		b.t.Fatal(err)
	}
	var root struct{ Result struct{ ObjectID string } }
	if b.try("Runtime.evaluate", map[string]any{"expression": "document", "objectGroup": "tree"}, &root) != nil {
		return nil // between two documents
	}
	var tree struct {
		Nodes []struct {
			Ignored          bool
			Role, Name       struct{ Value any }
			BackendDOMNodeID int
			Properties       []struct {
				Name  string
				Value struct{ Value any }
			}
		}
	}
	if b.try("Accessibility.queryAXTree", map[string]any{"objectId": root.Result.ObjectID, "role": role}, &tree) != nil {
		return nil
	}
	for _, n := range tree.Nodes {
		text, _ := n.Name.Value.(string)
		if n.Ignored || n.BackendDOMNodeID == 0 || !re.MatchString(strings.TrimSpace(text)) {
			continue
		}
		m := node{role: role, name: text, id: n.BackendDOMNodeID, properties: map[string]any{}}
		for _, p := range n.Properties {
			m.properties[p.Name] = p.Value.Value
		}
		found = append(found, m)
	}
	return found
}

// see waits until the page has something with this role and name, and returns the first of it.
func (b *tab) see(role, name string) node {
	b.t.Helper()
	var found []node
	b.wait(fmt.Sprintf("%s %q", role, name), func() bool { found = b.nodes(role, name); return len(found) > 0 })
	return found[0]
}

// meanwhile watches for what is there only for a moment; shown waits until it was.
func (b *tab) meanwhile(selector string) (shown func()) {
	b.t.Helper()
	b.eval(`{
	const look = () => { window.shown ||= !!document.querySelector(`+quote(selector)+`) }
	new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true})
	look()
}`, nil)
	return func() {
		b.t.Helper()
		b.wait(selector, func() bool {
			var shown bool
			return b.ask("!!window.shown", &shown) == nil && shown
		})
	}
}

// gone waits until nothing has this role and name.
func (b *tab) gone(role, name string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("no %s %q", role, name), func() bool { return len(b.nodes(role, name)) == 0 })
}

// click clicks on what has the role and name, with the mouse, in its middle.
func (b *tab) click(role, name string) {
	b.t.Helper()
	x, y := -1.0, -1.0
	b.wait(fmt.Sprintf("a place to click %s %q", role, name), func() bool {
		found := b.nodes(role, name)
		if len(found) == 0 || found[0].properties["disabled"] == true {
			return false
		}
		at := map[string]any{"backendNodeId": found[0].id}
		if b.try("DOM.scrollIntoViewIfNeeded", at, nil) != nil {
			return false
		}
		var quads struct{ Quads [][]float64 }
		if b.try("DOM.getContentQuads", at, &quads) != nil || len(quads.Quads) == 0 {
			return false
		}
		q, beforeX, beforeY := quads.Quads[0], x, y
		x, y = (q[0]+q[4])/2, (q[1]+q[5])/2
		// It stands still: what is read meanwhile moves what is below. And whatever lies above it would get the click.
		return x == beforeX && y == beforeY && b.hit(found[0].id, x, y)
	})
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		event := map[string]any{"type": kind, "x": x, "y": y}
		if kind != "mouseMoved" {
			event["button"], event["clickCount"] = "left", 1
		}
		b.call("Input.dispatchMouseEvent", event, nil)
	}
}

// hit tells whether a click at a place would be one on the node.
func (b *tab) hit(id int, x, y float64) bool {
	var o struct{ Object struct{ ObjectID string } }
	if b.try("DOM.resolveNode", map[string]any{"backendNodeId": id}, &o) != nil {
		return false
	}
	var is struct{ Result struct{ Value bool } }
	return b.try("Runtime.callFunctionOn", map[string]any{
		"objectId": o.Object.ObjectID, "functionDeclaration": "function (x, y) { const e = document.elementFromPoint(x, y); return !!e && this.contains(e) }",
		"arguments": []any{map[string]any{"value": x}, map[string]any{"value": y}}, "returnByValue": true,
	}, &is) == nil && is.Result.Value
}

// fill puts text into a field in place of what is there.
func (b *tab) fill(role, name, text string) {
	b.t.Helper()
	n := b.see(role, name)
	b.call("DOM.focus", map[string]any{"backendNodeId": n.id}, nil)
	b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "commands": []string{"selectAll"}}, nil)
	b.call("Input.insertText", map[string]any{"text": text}, nil)
}

var keyCodes = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35}

// press presses and releases a key: Tab, Enter, Escape, a letter. Shift+Tab goes back.
func (b *tab) press(key string) {
	b.t.Helper()
	shift := strings.HasPrefix(key, "Shift+")
	key = strings.TrimPrefix(key, "Shift+")
	event := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": keyCodes[key]}
	switch {
	case key == "Enter":
		event["text"] = "\r"
	case utf8.RuneCountInString(key) == 1:
		event["text"] = key
	}
	if shift {
		event["modifiers"] = 8
	}
	b.call("Input.dispatchKeyEvent", event, nil)
	event["type"] = "keyUp"
	delete(event, "text")
	b.call("Input.dispatchKeyEvent", event, nil)
}

// focused returns role and name of what has the focus.
func (b *tab) focused() (role, name string) {
	b.t.Helper()
	var o struct{ Result struct{ ObjectID string } }
	b.call("Runtime.evaluate", map[string]any{"expression": "document.activeElement || document.body", "objectGroup": "tree"}, &o)
	var tree struct {
		Nodes []struct{ Role, Name struct{ Value any } }
	}
	if b.try("Accessibility.getPartialAXTree", map[string]any{"objectId": o.Result.ObjectID, "fetchRelatives": false}, &tree) != nil || len(tree.Nodes) == 0 {
		return "", ""
	}
	return fmt.Sprint(tree.Nodes[0].Role.Value), strings.TrimSpace(fmt.Sprint(tree.Nodes[0].Name.Value))
}

// hurry makes the timers of pages that are opened from now on run ten times as fast: tests need not wait for
// what refreshes every ten seconds. A notice, which goes after eight, stays: a busy machine would miss it.
func (b *tab) hurry() {
	b.t.Helper()
	b.call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": `{
	const timeout = window.setTimeout, interval = window.setInterval
	window.setTimeout = (f, ms, ...args) => ms === 8000 ? 0 : timeout(f, (ms ?? 0) / 10, ...args)
	window.setInterval = (f, ms, ...args) => interval(f, (ms ?? 0) / 10, ...args)
}`}, nil)
}

// goTo opens a page of an address.
func (b *tab) goTo(url string) {
	b.t.Helper()
	var gone struct{ ErrorText string }
	b.call("Page.navigate", map[string]any{"url": url}, &gone)
	if gone.ErrorText != "" {
		b.t.Fatalf("open %s: %s", url, gone.ErrorText)
	}
}

// eval runs JavaScript in the page and decodes what it comes to.
func (b *tab) eval(js string, result any) {
	b.t.Helper()
	if err := b.ask(js, result); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) ask(js string, result any) error {
	var v struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := b.try("Runtime.evaluate", map[string]any{"expression": js, "awaitPromise": true, "returnByValue": true}, &v)
	switch {
	case err != nil:
		return err
	case v.ExceptionDetails != nil:
		return fmt.Errorf("%s %s\nin %.200s", v.ExceptionDetails.Text, v.ExceptionDetails.Exception.Description, js)
	case result == nil || v.Result.Value == nil:
		return nil
	}
	return json.Unmarshal(v.Result.Value, result)
}

// text is all that a person can read on the page.
func (b *tab) text() string {
	var text string
	_ = b.ask("document.body.innerText", &text) // between two documents there is none
	return text
}

// row is what the row of a table shows that begins so; "" where there is none.
func (b *tab) row(begins string) string {
	var text string
	_ = b.ask("[...document.querySelectorAll('tbody tr')].find(r => r.innerText.startsWith("+quote(begins)+"))?.innerText ?? ''", &text)
	return text
}

// reads waits until the page shows text that matches.
func (b *tab) reads(pattern string) {
	b.t.Helper()
	re, err := regexp.Compile(pattern)
	if err != nil {
		b.t.Fatal(err)
	}
	b.wait("the text "+pattern, func() bool { return re.MatchString(b.text()) })
}

// size sets what the window shows.
func (b *tab) size(s size) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": s.width, "height": s.height, "deviceScaleFactor": 1, "mobile": s.overlay}, nil)
}

// scheme is light or dark.
func (b *tab) scheme(scheme string) {
	b.t.Helper()
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{
		map[string]any{"name": "prefers-color-scheme", "value": scheme}, map[string]any{"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil)
}

// shot is a picture of what the window shows, as a PNG.
func (b *tab) shot() []byte {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "optimizeForSpeed": false}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}
