package browser

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// codeOf is the code in a link.
func codeOf(t testing.TB, l client.PortalLink) string {
	t.Helper()
	_, code, _ := strings.Cut(l.URL, "#link=")
	code, err := url.QueryUnescape(code)
	if err != nil || code == "" {
		t.Fatalf("a link %q", l.URL)
	}
	return code
}

// by makes a request with a secret and returns its answer, whose body is closed when the test ends.
func (d *daemon) by(secret, method, path, body string) *http.Response {
	d.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+d.address+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { res.Body.Close() })
	return res
}

// streamOf follows attempts with a secret; the channel has all of it when the daemon has ended it.
func (d *daemon) streamOf(secret string) <-chan string {
	d.t.Helper()
	res := d.by(secret, "GET", "/v1/live", "")
	lines := bufio.NewScanner(res.Body)
	if res.StatusCode != 200 || !lines.Scan() { // it has begun
		d.t.Fatalf("the stream: %s", res.Status)
	}
	all := make(chan string, 1)
	go func() {
		var text strings.Builder
		for lines.Scan() {
			text.WriteString(lines.Text() + "\n")
		}
		all <- text.String()
	}()
	return all
}

// ended waits until the daemon has ended a stream; its reader has told of no attempt, and why it is over.
func ended(t *testing.T, what string, stream <-chan string) {
	t.Helper()
	select {
	case text := <-stream:
		if strings.Contains(text, "event: attempt") || !strings.Contains(text, "event: end") {
			t.Errorf("%s: the stream told %q", what, text)
		}
	case <-time.After(patience):
		t.Errorf("%s: the stream goes on", what)
	}
}

// TestLinksAndTheirSessionsEnd, on a daemon's own clock: a link that is unused and one that is used when their time has
// come, at once when they are revoked; with them their sessions, the streams that these follow, and the pages that show
// them. Of fifty who use a link at once one gets in.
func TestLinksAndTheirSessionsEnd(t *testing.T) {
	t.Parallel()
	w := &world{daemon: startDaemon(t, withTokens), far: map[string]*farSide{}}
	w.cast([]part{{developer: "acme", name: "app", answer: healthy}})
	link := func(ttl time.Duration) client.PortalLink {
		t.Helper()
		l, err := w.MakePortalLink(context.Background(), client.PortalLinkRequest{Developer: "acme", TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	open := func(l client.PortalLink) string {
		t.Helper()
		s, err := w.BeginSession(context.Background(), codeOf(t, l))
		if err != nil {
			t.Fatal(err)
		}
		return s.Bearer
	}
	unused, used, shown := link(time.Minute), link(time.Minute), link(time.Minute)
	secret := open(used)
	stream := w.streamOf(secret)
	b := newWindow(t).tab()
	b.hurry()
	b.goTo(shown.URL)
	b.on("overview")

	// Revoked: before its time, and before anything more is told.
	early := link(0)
	revoked := open(early)
	follows := w.streamOf(revoked)
	if err := w.RevokePortalLink(context.Background(), early.ID); err != nil {
		t.Fatal(err)
	}
	if res := w.by(revoked, "GET", "/v1/session", ""); res.StatusCode != 401 {
		t.Errorf("the session of a link that was revoked: %s", res.Status)
	}
	w.send("acme", "", `{"type":"sleep","user":{"user_id":"u"},"data":[]}`)
	ended(t, "revoked", follows)

	// Fifty at once, by cookie and in frames.
	race := codeOf(t, link(0))
	var won, lost atomic.Int64
	var runners sync.WaitGroup
	start := make(chan struct{})
	for i := range 50 {
		runners.Go(func() {
			<-start
			r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+w.address+"/v1/session", strings.NewReader(fmt.Sprintf(`{"code":%q,"bearer":%t}`, race, i%2 == 0)))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Origin", "http://"+w.address)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			switch res.StatusCode {
			case 201:
				won.Add(1)
			case 401, 429: // many failures of a network are slowed
				lost.Add(1)
			default:
				t.Errorf("one of fifty: %s", res.Status)
			}
		})
	}
	close(start)
	runners.Wait()
	if won.Load() != 1 || lost.Load() != 49 {
		t.Errorf("%d of 50 have used one link, %d were refused", won.Load(), lost.Load())
	}

	b.allow("answered 401: ")
	if res := w.by(secret, "GET", "/v1/session", ""); res.StatusCode != 200 && time.Now().Before(used.Ends) {
		t.Errorf("before its time: %s", res.Status)
	}
	if !within(2*time.Minute, func() bool {
		return time.Until(used.Ends) < 2*time.Second && w.by(secret, "GET", "/v1/session", "").StatusCode == 401
	}) {
		t.Error("a session of a minute lives on")
	}
	if now := time.Now(); now.Before(used.Ends) {
		t.Errorf("it has ended %s before its time", used.Ends.Sub(now))
	}
	select {
	case <-stream:
	case <-time.After(patience):
		t.Error("its stream goes on")
	}
	b.on("login")
	b.reads(`The session has ended`)
	if strings.Contains(b.text(), "acme/") {
		t.Errorf("what the page showed is still there:\n%s", b.text())
	}
	if !within(patience, func() bool { return !time.Now().Before(unused.Ends) }) {
		t.Fatal("the clock stands")
	}
	if res := w.by("", "POST", "/v1/session", fmt.Sprintf(`{"code":%q,"bearer":true}`, codeOf(t, unused))); res.StatusCode != 401 && res.StatusCode != 429 {
		t.Errorf("a link whose time has come: %s", res.Status)
	}
}
