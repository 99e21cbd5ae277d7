package browser

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// What comes from outside is hostile in every field that takes it. A page that takes any of it for markup
// gets an element that says so (see unharmed); one that decodes bodies rounds the numbers.
const (
	hostileType      = `<img src=hostile onerror="hostile()">`
	hostileUser      = `"><script>hostile()</script>{{7*7}}${7*7}`
	hostileReference = `'"><svg/onload=hostile()>javascript:hostile()//%00%0a`
	hostileAnswer    = `</pre></textarea><script>hostile()</script><img src=hostile onerror=hostile()> ` + "\x1b[31m\u202e\u0000 e\u0301 \U0001F9A9"
	hostileReason    = `<a href="javascript:hostile()" onmouseover=hostile()>paused</a> by "O'Brien" & co <!--`
	bigInteger       = `123456789012345678901234567890`
	// The order of its members, the form of its numbers and the blanks count: bodies are bytes.
	hostileBody = `{"type":%q,"user":{"user_id":%q,"reference_id":"</script><script>hostile()</script>"},"z":` + bigInteger + `,"a":1.10,"a2":1e400,"__proto__":{"x":1},  "data":[{"metadata":{"start_time":"<b id=hostile>bold</b>"}}]}`
)

// hostileEvent is a body as JSON has it: %q of Go writes what JSON reads.
func hostileEvent() string { return fmt.Sprintf(hostileBody, hostileType, hostileUser) }

// unharmed fails the test if any of it became an element, or ran.
func (b *tab) unharmed() {
	b.t.Helper()
	var found string
	b.eval(`[...document.querySelectorAll('img[src="hostile"], svg[onload], [onerror], [onmouseover], [onload], a[href^="javascript:"], script:not([src]), #hostile')].map(e => e.outerHTML).join("\n") + (window.hostileRan ? " and it ran" : "")`, &found)
	if found != "" {
		b.t.Errorf("what came from outside became markup: %s", found)
	}
}

// farSide is the endpoint of a developer.
type farSide struct {
	*httptest.Server
	mu       sync.Mutex
	answer   func(w http.ResponseWriter, r *http.Request)
	received atomic.Int64
	last     []byte // the body of the last request
	ended    context.Context
}

// farSides are what an endpoint may be like.
func healthy(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "thank you") }

func failing(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, "upstream connect error: connection refused. "+hostileAnswer)
}

func gone(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusGone)
	_, _ = io.WriteString(w, "this endpoint was removed "+hostileAnswer)
}

func hanging(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func newFarSide(t testing.TB, answer http.HandlerFunc) *farSide {
	f := &farSide{answer: answer}
	var end context.CancelFunc
	f.ended, end = context.WithCancel(context.Background())
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() {
		end() // a daemon that still runs would go on to hang here
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *farSide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.received.Add(1)
	f.mu.Lock()
	f.last = body
	answer := f.answer
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(f.ended, cancel)()
	answer(w, r.WithContext(ctx))
}

// becomes changes what it is like from the next request on.
func (f *farSide) becomes(answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// part is one destination of the world.
type part struct {
	developer, name string
	answer          http.HandlerFunc
	more            string // of its document
	settings        string // likewise, of its kind
}

// parts is everybody in the world, in all states that a destination can be in. Names are as hostile as
// they may be: long, and those of what every object of JavaScript has.
var parts = []part{
	{developer: "acme", name: "app", answer: healthy},
	{developer: "acme", name: "crm", answer: failing, more: "retry: { waits: [1h], jitter: 0 }"}, // waits, and recovers when the test says so
	{developer: "acme", name: "lab", answer: hanging, more: "timeout: 1h, max_in_flight: 2"},     // in flight for ever
	{developer: "acme", name: "old", answer: gone, settings: ", hold_on_410: true"},              // held
	{developer: "acme", name: "paused", answer: healthy},                                         // by a person, with a reason
	{developer: "acme", name: "off", answer: healthy, more: "enabled: false"},                    // disabled
	{developer: "constructor", name: "hasOwnProperty", answer: healthy},
	{developer: "globex", name: "hooks", answer: failing, more: "retry: { waits: [1ms, 1ms], jitter: 0 }"}, // dead
	{developer: "globex", name: "picky", answer: healthy, more: "events: [lab_report.*]"},                  // gets nothing
	{developer: longName, name: longName, answer: failing, more: "retry: { waits: [1ms], jitter: 0 }, rate_limit: 100/s"},
}

var longName = strings.Repeat("wide", 16)

// world is a daemon with all that can be seen, and what the developers' endpoints are like.
type world struct {
	*daemon
	far map[string]*farSide // by developer/name

	hostile client.Accepted // of acme, hostile in every field
	dead    string          // a delivery of globex/hooks that is
}

// newWorld starts a daemon with developers, and sends it events.
func newWorld(t testing.TB, settings string) *world {
	t.Helper()
	w := &world{daemon: startDaemon(t, settings), far: map[string]*farSide{}}
	w.cast(parts)
	w.document("umbrella", "developer: umbrella\n") // has no destination: what they send matches nothing
	ctx := context.Background()
	if err := w.Pause(ctx, "acme", "paused", hostileReason); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for _, developer := range []string{"acme", "constructor", "globex", longName, "umbrella"} {
			w.send(developer, "", fmt.Sprintf(`{"type":"sleep","user":{"user_id":"user-%d","provider":"GARMIN"},"data":[]}`, i))
		}
	}
	w.hostile = w.send("acme", hostileReference, hostileEvent())
	w.send("globex", hostileReference, hostileEvent())
	w.until("everything has been tried", func(rows map[string]client.AuditRow) bool {
		return rows["globex/hooks"].Dead == 4 && rows[longName+"/"+longName].Dead == 3 && rows["acme/app"].Delivered == 4 && rows["constructor/hasOwnProperty"].Delivered == 3
	})
	for d, err := range w.Deliveries(ctx, client.DeliveryFilter{Developer: "globex", Destination: "hooks", States: []string{"dead"}, Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		w.dead = d.ID
	}
	if !within(patience, func() bool { // the states that attempts lead to
		n := 0
		for d, err := range w.Destinations(ctx, "acme", "") {
			if err != nil {
				t.Fatal(err)
			}
			if d.Name == "old" && d.State == "held" || d.Name == "lab" && d.InFlight > 0 || d.Name == "crm" && d.FailedAttempts > 0 {
				n++
			}
		}
		return n == 3
	}) {
		t.Fatal("the destinations of acme are not in the states that they should be in")
	}
	return w
}

// cast starts the endpoints of destinations and sets the documents of their developers.
func (w *world) cast(parts []part) {
	w.t.Helper()
	documents := map[string]string{}
	for _, p := range parts {
		f := newFarSide(w.t, p.answer)
		w.far[p.developer+"/"+p.name] = f
		if documents[p.developer] == "" {
			documents[p.developer] = "developer: " + p.developer + "\ndestinations:\n"
		}
		more := ""
		if p.more != "" {
			more = ", " + p.more
		}
		documents[p.developer] += fmt.Sprintf("  - { name: %s, kind: webhook%s, settings: { url: %q, secret: secret-of-a-developer, allow_http: true%s } }\n",
			p.name, more, f.URL+"/hooks?tenant="+p.developer, p.settings)
	}
	for developer, text := range documents {
		w.document(developer, text)
	}
}
