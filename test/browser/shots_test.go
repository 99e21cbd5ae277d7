package browser

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event/generate"
)

var shotsDir = flag.String("shots", "", "the folder that the pictures of the docs are written to")

// mostShots is what the pictures of the docs may weigh in all.
const mostShots = 1500 << 10

// photographer takes the pictures of the docs.
type photographer struct {
	*tab
	dir string
	sum int
}

// take writes a picture, as small as PNG gets.
func (p *photographer) take(name string) {
	p.t.Helper()
	p.still("/v1/live")
	picture, err := png.Decode(bytes.NewReader(p.shot()))
	var b bytes.Buffer
	if err == nil {
		err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, picture)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(p.dir, "console-"+name+".png"), b.Bytes(), 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.sum += b.Len()
}

// TestShots makes the pictures that README and docs/CONSOLE.md show: the story, in light, dark and narrow. With -shots
// they stay (make console-shots).
func TestShots(t *testing.T) {
	t.Parallel()
	dir := *shotsDir
	if dir == "" {
		dir = t.TempDir()
	}
	w := newPicture(t, "")
	b := newWindow(t).tab()
	b.call("Emulation.setTimezoneOverride", map[string]any{"timezoneId": "Europe/Berlin"}, nil)
	p := photographer{tab: b, dir: dir}
	laptop, phone := size{width: 1280, height: 800, overlay: true}, size{width: 390, height: 760, overlay: true}
	b.size(laptop)
	b.scheme("light")
	b.goTo(w.console("#/"))
	b.on("overview")
	b.reads("globex/hooks")
	b.click("button", "24h")
	p.take("overview")
	b.scheme("dark")
	p.take("overview-dark")
	b.size(phone)
	p.take("overview-narrow")
	b.scheme("light")
	b.size(laptop)

	b.click("link", "globex/hooks")
	b.on("destination")
	b.reads(`attempts failed since`)
	p.take("destination")
	b.click("link", "Dead")
	b.on("deliveries")
	b.reads(`deliveries shown`)
	p.take("deliveries")
	b.click("link", ".* ago")
	b.on("delivery")
	b.click("button", "Show the request")
	b.see("heading", "As curl")
	b.eval("scrollTo(0, 0)", nil)
	p.take("delivery")
	b.size(phone)
	b.scheme("dark")
	p.take("delivery-narrow")
	b.scheme("light")
	b.size(laptop)

	w.far["globex/hooks"].becomes(healthy)
	b.click("link", "globex/hooks")
	b.on("destination")
	b.click("button", "Send test event")
	b.reads(`(?s)The test event to globex/hooks:\s+delivered`)
	b.click("button", "Retry all dead since…")
	b.click("button", "Count them")
	b.reads(`Retry \d+ dead deliveries`)
	p.take("retry")
	b.click("button", "Keep as they are")

	b.goTo(w.console("#/send"))
	b.on("send")
	b.click("button", "Make it up")
	b.fill("combobox", "Developer", "acme")
	b.wait("a body", func() bool {
		var body string
		return b.ask("document.querySelector('textarea').value", &body) == nil && body != ""
	})
	b.click("button", "Show who would get it")
	b.reads(`acme/warehouse`)
	b.click("button", "Send")
	b.reads(`(?s)Delivery to acme/app:\s+delivered`)
	p.take("send")
	if p.sum > mostShots {
		t.Errorf("the pictures weigh %d KiB, want at most %d", p.sum>>10, mostShots>>10)
	}
	t.Logf("%d KiB in %s", p.sum>>10, dir)
}

// TestPortalShots makes those of docs/CONSOLE.md that show the portal: a developer's own, in a platform's name and colour,
// and the question before a link of somebody else ends their session.
func TestPortalShots(t *testing.T) {
	t.Parallel()
	dir := *shotsDir
	if dir == "" {
		dir = t.TempDir()
	}
	w := newPicture(t, withTokens+`console: { name: Example Health, accent: "#5b3fa8" }`+"\n")
	b := newWindow(t).tab()
	b.call("Emulation.setTimezoneOverride", map[string]any{"timezoneId": "Europe/Berlin"}, nil)
	p := photographer{tab: b, dir: dir}
	link := func(developer string) string {
		t.Helper()
		l, err := w.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: developer, May: []string{"read", "configure", "test", "retry", "replay"}})
		if err != nil {
			t.Fatal(err)
		}
		return l.URL
	}
	b.size(size{width: 1280, height: 800, overlay: true})
	b.scheme("light")
	b.goTo(link("globex"))
	b.on("overview")
	b.click("link", "globex/hooks")
	b.on("destination")
	b.reads(`attempts failed since`)
	p.take("portal")
	b.size(size{width: 390, height: 760, overlay: true})
	b.scheme("dark")
	p.take("portal-narrow")
	b.allow("answered 409: ")
	b.goTo(link("initech"))
	b.on("replace-session")
	p.take("portal-question")
	if p.sum > mostShots/3 {
		t.Errorf("the pictures weigh %d KiB, want at most %d", p.sum>>10, mostShots/3>>10)
	}
}

// newPicture is a world as an operator may meet it: one destination began to fail a while ago, one recovers, one hangs,
// one is held and one paused. What plots show of the day before is made up, and so is every event.
func newPicture(t *testing.T, settings string) *world {
	t.Helper()
	cast := []part{
		{developer: "acme", name: "app", answer: healthy},
		{developer: "acme", name: "crm", answer: busy, more: "retry: { waits: [20s, 5m], jitter: 0 }"},
		{developer: "acme", name: "warehouse", answer: healthy},
		{developer: "globex", name: "hooks", answer: healthy, more: "retry: { waits: [1ms, 2ms], jitter: 0 }"},
		{developer: "globex", name: "legacy", answer: hanging, more: "timeout: 1h, events: [sleep, athlete]"},
		{developer: "initech", name: "events", answer: moved, settings: ", hold_on_410: true"},
	}
	w := &world{far: map[string]*farSide{}}
	w.daemon = startDaemon(t, settings, func(dir string) {
		err := os.WriteFile(filepath.Join(dir, "fantail.key"), []byte("a key that seals nothing that matters\n"), 0o600)
		if err == nil {
			err = yesterday(filepath.Join(dir, "store"), cast)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	w.cast(cast)
	ctx := context.Background()
	if err := w.Pause(ctx, "acme", "warehouse", "moves to another cloud until 18:00, says Kim"); err != nil {
		t.Fatal(err)
	}
	g, err := generate.New(7)
	if err != nil {
		t.Fatal(err)
	}
	send := func(n int, developers ...string) {
		for i := range n {
			for _, developer := range developers {
				body, err := g.Event(generate.Request{Type: []string{"sleep", "activity", "daily", "body"}[i%4], User: fmt.Sprintf("user-%d", 1040+i%7)})
				if err != nil {
					t.Fatal(err)
				}
				w.send(developer, "", string(body))
			}
		}
	}
	send(40, "acme", "globex")
	send(3, "initech")
	w.until("they arrive", func(rows map[string]client.AuditRow) bool {
		return rows["globex/hooks"].Delivered == 40 && rows["acme/app"].Delivered == 40
	})
	w.far["globex/hooks"].becomes(refusing)
	send(12, "globex")
	w.until("they are dead", func(rows map[string]client.AuditRow) bool { return rows["globex/hooks"].Dead == 12 })
	return w
}

func busy(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "busy, try later", http.StatusServiceUnavailable)
}

func moved(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "this endpoint was removed, use /v2/events", http.StatusGone)
}

func refusing(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusBadGateway)
	_, _ = io.WriteString(w, `{"error":"upstream connect error or disconnect: connection refused"}`)
}

// yesterday writes what plots show of the last day into a store: a curve of a day, and an outage of globex/hooks.
func yesterday(dir string, cast []part) error {
	s, err := pebblestore.Open(dir, pebblestore.Options{})
	if err != nil {
		return fmt.Errorf("prepare a store: %w", err)
	}
	defer s.Close()
	var keys []store.DestinationKey
	for _, p := range cast {
		keys = append(keys, store.DestinationKey{Developer: p.developer, Name: p.name, Kind: "webhook"})
	}
	ids, err := s.Register(context.Background(), keys)
	if err != nil {
		return fmt.Errorf("prepare a store: %w", err)
	}
	past, now := series.New(), time.Now()
	for at := now.Add(-24 * time.Hour).Truncate(series.Step); at.Before(now); at = at.Add(series.Step) {
		wave := 1 + 0.6*math.Sin(float64(at.Unix())/13000) + 0.06*math.Sin(float64(at.Unix())/700) + 0.05*rand.Float64()
		ago := now.Sub(at)
		down := ago < 25*time.Minute || ago < 7*time.Hour && ago > 6*time.Hour
		for i, id := range ids {
			d := past.Dest(id, "webhook")
			n := int(wave * 30 / float64(1+i))
			d.Accepted(n)
			for k := range n {
				if cast[i].name == "hooks" && down && k%3 > 0 {
					d.Failed()
				} else {
					d.Delivered(time.Duration(2+k%7+int(4*wave)) * time.Millisecond)
				}
			}
		}
		past.Tick(at, func(id uint32) int64 {
			if id == ids[3] && down {
				return int64(ago.Minutes()) % 60 / 2
			}
			return 3
		})
	}
	return s.Put(context.Background(), "series", past.Save())
}
