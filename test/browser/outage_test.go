package browser

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// outage is a world whose two developers have a path of their endpoint that has gone, and have lost events by it.
type outage struct {
	*world
	began   map[string]time.Time     // by developer
	arrived map[string]*atomic.Int64 // by developer: at the path that is right
}

// lost is how many events each has lost since their outage began. One more died before.
const lost = 6

func newOutage(t testing.TB, settings string, prepare ...func(dir string)) *outage {
	t.Helper()
	o := &outage{world: &world{daemon: startDaemon(t, settings, prepare...), far: map[string]*farSide{}}, began: map[string]time.Time{}, arrived: map[string]*atomic.Int64{}}
	var cast []part
	for _, developer := range []string{"acme", "globex"} {
		arrived := &atomic.Int64{}
		o.arrived[developer] = arrived
		cast = append(cast, part{developer: developer, name: "hooks", more: "retry: { waits: [1ms], jitter: 0 }", answer: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/hooks" {
				arrived.Add(1)
				healthy(w, r)
				return
			}
			gone(w, r)
		}})
	}
	o.cast(cast)
	send := func(n int64, developers ...string) {
		for _, developer := range developers {
			for range n {
				o.send(developer, "", `{"type":"sleep","user":{"user_id":"user-of-`+developer+`"},"data":[]}`)
			}
		}
	}
	send(1, "acme", "globex")
	died := func(n int64) func(rows map[string]client.AuditRow) bool {
		return func(rows map[string]client.AuditRow) bool {
			return rows["acme/hooks"].Dead == n && rows["globex/hooks"].Dead == n
		}
	}
	o.until("one event each has died", died(1))
	for _, developer := range []string{"acme", "globex"} {
		o.began[developer] = time.Now()
		send(lost, developer)
	}
	o.until("all events have died", died(1+lost))
	return o
}

// moves gives a developer's document, as it stands in the page, the path that is right. Before that it tries another
// host, to which the secret that the page does not know would go.
func (o *outage) moves(b *tab, developer string) {
	b.t.Helper()
	var text string
	b.wait("the document", func() bool {
		return b.ask(`document.querySelector('textarea').value`, &text) == nil && strings.Contains(text, o.far[developer+"/hooks"].URL+"/hooks")
	})
	if strings.Contains(text, "secret-of-a-developer") || !strings.Contains(text, "[redacted]") {
		b.t.Errorf("the document shows the secret:\n%s", text)
	}
	b.fill("textbox", "YAML.*", strings.Replace(text, o.far[developer+"/hooks"].URL, "https://elsewhere.example", 1))
	b.click("button", "Show what it would change")
	b.reads(`line \d+: destination hooks: settings\.secret: is \[redacted\], and the destination leads elsewhere`)
	b.fill("textbox", "YAML.*", strings.Replace(text, "/hooks?", "/v2/hooks?", 1))
	b.click("button", "Show what it would change")
	b.reads(`~ ` + developer + `/hooks url`)
	b.accessible("the plan")
	if v, err := o.DocumentVersions(context.Background(), developer); err != nil || len(v) != 1 {
		b.t.Errorf("a plan has changed something: %+v, %v", v, err)
	}
	b.click("button", "Apply…")
	b.see("dialog", "Change the document of "+developer+"\\?")
	b.fill("textbox", "Reason.*", "their endpoint has moved")
	b.click("button", "Apply 1 change")
	b.reads(`Version 2 of ` + developer + ` is in force\.`)
	doc, err := o.Document(context.Background(), developer)
	if err != nil || !strings.Contains(string(doc.Text), "/v2/hooks?") {
		b.t.Errorf("the document: %s, %v", doc.Text, err)
	}
}

// tests sends a test event from a destination's page, and sees that it arrives at the path that is right.
func (o *outage) tests(b *tab, developer string) {
	b.t.Helper()
	before := o.arrived[developer].Load()
	b.click("button", "Send test event")
	b.reads(`(?s)The test event to ` + developer + `/hooks:\s+delivered`)
	if o.arrived[developer].Load() == before {
		b.t.Error("the page says that the test event was delivered, and it was not")
	}
	b.reads(`It takes what it is sent\.`)
}

// TestTheStoryGoesOn: what fails is a URL in the developer's document. The operator changes it, with what the daemon
// finds wrong and a plan before it is applied. Another developer does the same for their own over a link to the portal
// that allows it, sends a test event that arrives, and replays what died since their outage began, and no more: counted
// first, at a rate, with its progress, until it has ended.
func TestTheStoryGoesOn(t *testing.T) {
	t.Parallel()
	o := newOutage(t, withTokens)
	b := newWindow(t).tab()
	b.enter(o.world, operatorToken)
	b.click("link", "Developers")
	b.on("developers")
	b.click("link", "globex")
	b.on("developer")
	slow := func(ms int) {
		b.call("Network.emulateNetworkConditions", map[string]any{"offline": false, "latency": ms, "downloadThroughput": -1, "uploadThroughput": -1}, nil)
	}
	slow(300)                       // the page is painted before anything has been read
	b.call("Page.reload", nil, nil) // what moves after a click is forgiven
	b.on("developer")
	b.reads(`(?s)No link lives.*Day by day.*\d{4}-\d\d-\d\d`)
	b.steadyWithin(0.01, "a developer with links")
	slow(0)
	b.allow("answered 422: ") // the faults of a document
	o.moves(b, "globex")
	b.reads(`(?s)Versions.*2\s.*operator`)
	b.click("link", "Destinations")
	b.on("destinations")
	b.click("link", "globex/hooks")
	b.on("destination")
	o.tests(b, "globex")

	link, err := o.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: "acme", May: []string{"read", "configure", "test", "replay"}})
	if err != nil {
		t.Fatal(err)
	}
	tenant := newWindow(t).tab()
	tenant.hurry()
	tenant.allow("answered 422: ")
	tenant.goTo(link.URL)
	tenant.on("overview")
	tenant.click("link", "acme/hooks")
	tenant.on("destination")
	tenant.reads(`410`)
	tenant.click("link", "Document")
	tenant.on("developer")
	o.moves(tenant, "acme")
	tenant.goTo(o.console("#/destination/acme/hooks"))
	tenant.on("destination")
	tenant.gone("button", "Pause|Retry.*|Cancel.*") // the link allows none
	o.tests(tenant, "acme")

	tenant.click("link", "Replays")
	tenant.on("replays")
	tenant.click("button", "Replay…")
	tenant.see("dialog", "Replay stored events")
	tenant.fill("textbox", "Destination", "hooks")
	tenant.fill("textbox", "Accepted since", o.began["acme"].UTC().Format(time.RFC3339Nano))
	tenant.fill("textbox", "Deliveries a second", "1")
	tenant.click("button", "Count them")
	tenant.reads(fmt.Sprintf(`Make %d deliveries to acme/hooks\?\s+At 1/s that takes 6`, lost))
	tenant.accessible("the replay")
	tenant.fill("textbox", "Reason.*", "lost while our endpoint had moved")
	before := o.arrived["acme"].Load()
	progress := tenant.meanwhile(`progress[aria-label^="Progress of the replay"]`)
	tenant.click("button", fmt.Sprintf("Replay %d", lost))
	progress()
	tenant.wait("the replay has ended", func() bool {
		return regexp.MustCompile(fmt.Sprintf(`finished\s+%d of %d deliveries made in \d`, lost, lost)).MatchString(tenant.text())
	})
	o.until("all of it arrives", func(rows map[string]client.AuditRow) bool {
		r := rows["acme/hooks"]
		return r.Delivered == lost+1 && r.Dead == 1+lost && r.Pending == 0 && r.Balanced
	})
	if n := o.arrived["acme"].Load() - before; n != lost {
		t.Errorf("%d requests have arrived, want %d", n, lost)
	}
	reasons := map[string]string{}
	for act, err := range o.Changes(t.Context(), client.ChangeFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if act.Reason != "" {
			reasons[act.Call+" "+act.Developer+" "+act.Via] = act.Reason
		}
	}
	if reasons["putDeveloper globex "] == "" || reasons["putDeveloper acme "+link.ID] == "" || reasons["createReplay acme "+link.ID] == "" {
		t.Errorf("the trail does not say who did it, over what, and why: %v", reasons)
	}
}

// TestALinkThatOnlyReads shows no button that changes anything, and tells nothing of who made it.
func TestALinkThatOnlyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withTokens)
	link, err := w.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	b := newWindow(t).tab()
	b.goTo(link.URL)
	for _, p := range []struct{ name, address, shows string }{
		{"overview", "#/", `acme/old`}, {"destinations", "#/destinations", `acme/old`}, {"destination", "#/destination/acme/crm", `503`},
		{"deliveries", "#/deliveries?state=pending", `acme/lab`}, {"event", "#/event/" + w.hostile.ID, `acme/paused`},
		{"replays", "#/replays", `Nothing was replayed`}, {"developer", "#/developer/acme", `Document`}, {"trail", "#/trail", `paused`},
	} {
		if p.name != "overview" {
			b.goTo(w.console(p.address))
		}
		b.on(p.name)
		b.reads(p.shows)
		b.still("/v1/live")
		for _, n := range b.nodes("button", "(?:Pause|Resume|Check|Test|Send|Retry|Cancel|Replay|Apply|Show what|Make a link|Rotate|Use current|Undo|Revoke|Move).*") {
			if n.name != "Pause refresh" {
				t.Errorf("%s offers %q", p.name, n.name)
			}
		}
		for _, n := range b.nodes("textbox", "YAML.*") {
			if n.properties["readonly"] != true {
				t.Errorf("%s: the document can be written: %v", p.name, n.properties)
			}
		}
		if strings.Contains(b.text(), operatorToken) || strings.Contains(b.text(), "Make a link") {
			t.Errorf("%s shows:\n%s", p.name, b.text())
		}
	}
}
