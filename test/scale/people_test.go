package scale

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

func clientOf(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(url, "", &http.Client{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c.Patience = 0
	return c
}

// soon is how long it may take until every daemon knows what a person did at one, with the slowness
// of a machine that does other things.
const soon = 30 * time.Second

// A person acts at one daemon on what another holds, and any daemon answers alike.
func TestAPersonActsAtAnyDaemon(t *testing.T) {
	f := newFleet(t, 2, "shutdown_delay: 0s\n", nil)
	a, b := f.daemons[0], f.daemons[1]
	ctx := t.Context()
	f.sink.set(true)
	until(t, soon, "they know each other", func() bool {
		all, err := a.Daemons(ctx)
		return err == nil && len(all) == 2 && all[0].Alive && all[1].Alive && all[1].SameKeys && all[1].SameFiles && len(all[0].Slots) > 0
	})
	// b holds a delivery that waits.
	sent, err := b.Send(ctx, client.SendRequest{Developer: "acme", Reference: "held", Body: []byte(`{"type":"sleep"}`)})
	if err != nil {
		t.Fatal(err)
	}
	stateAt := func(d *daemon) string {
		for one, err := range d.Destinations(ctx, "acme", "") {
			if err == nil {
				return one.State
			}
		}
		return ""
	}
	until(t, soon, "any daemon shows the last answer", func() bool {
		for one, err := range a.Destinations(ctx, "acme", "") {
			return err == nil && one.LastAnswer != nil && one.LastAnswer.Code == 503 && one.Pending == 1
		}
		return false
	})
	if err := a.Pause(ctx, "acme", "app", "lunch"); err != nil {
		t.Fatal(err)
	}
	until(t, soon, "the pause holds at the other daemon", func() bool { return stateAt(b) == "paused" })
	f.sink.set(false)
	if moved, err := a.Cancel(ctx, sent.ID+"_1"); err != nil || moved.To != "cancelled" {
		t.Errorf("cancel at a of what b holds: %+v, %v", moved, err)
	}
	if err := a.Resume(ctx, "acme", "app"); err != nil {
		t.Fatal(err)
	}
	until(t, soon, "it goes on at the other daemon", func() bool { return stateAt(b) == "active" })
	if times := f.sink.of("held"); len(times) > 0 {
		t.Errorf("what was cancelled was delivered: %v", times)
	}
	if moved, err := a.Retry(ctx, sent.ID+"_1"); err != nil || moved.To != "pending" {
		t.Errorf("retry: %+v, %v", moved, err)
	}
	until(t, soon, "it is delivered", func() bool { return len(f.sink.of("held")) == 1 })

	// What is tried at b is followed at a.
	follows := make(chan struct{})
	watcher := clientOf(t, "http://"+a.listen)
	watcher2, err := client.New("http://"+a.listen, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	watcher2.Following = func() { close(follows) }
	told := make(chan string, 16)
	go func() {
		for attempt, err := range watcher2.Follow(ctx, "acme", "") {
			if err != nil {
				return
			}
			select {
			case told <- attempt.State:
			default:
			}
		}
	}()
	<-follows
	until(t, soon, "an attempt at the other daemon is told", func() bool {
		if _, err := b.Send(ctx, client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)}); err != nil {
			return false
		}
		select {
		case state := <-told:
			return state == "delivered"
		case <-time.After(500 * time.Millisecond):
			return false
		}
	})
	if _, err := watcher.Series(ctx, client.SeriesFilter{}); err != nil {
		t.Errorf("series: %v", err)
	}

	// A daemon with other files is named.
	b.write("fantail.yaml", strings.Replace(b.read("fantail.yaml"), "shutdown_grace: 5s", "shutdown_grace: 5s\nretention: { events: 200h }", 1))
	if _, err := b.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	until(t, soon, "the difference is said", func() bool {
		r, err := a.Readiness(ctx)
		return err == nil && slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "fantail-1 runs on other files") })
	})
}
