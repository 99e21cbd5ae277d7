package browser

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// TestBehindAProxyWithAPrefix: nginx as docs/CONSOLE.md has it, over TLS, in front of the daemon below /fantail/, with
// and without the setting console.public_url.
func TestBehindAProxyWithAPrefix(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/CONSOLE.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindStringSubmatch(string(docs))
	if block == nil {
		t.Fatal("docs/CONSOLE.md has no block of nginx")
	}
	w := newWorld(t, withTokens)
	id, err := servers.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	nginx := servers.StartNginx(t, id, strings.ReplaceAll(block[1], "127.0.0.1:8080", w.address))
	for _, public := range []string{"", "console: { public_url: " + nginx.URL + "/fantail }\n"} {
		w.settings(withTokens + public)
		if _, err := w.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		b := newWindow(t).tab()
		b.call("Security.setIgnoreCertificateErrors", map[string]any{"ignore": true}, nil)
		b.allow("answered 401: ")
		b.goTo(nginx.URL + "/fantail/console/")
		b.on("login")
		b.logIn(operatorToken)
		b.on("overview")
		b.reads("globex/hooks")
		b.click("link", "globex/hooks")
		b.on("destination")
		b.wait("the stream", func() bool { return b.streams("/fantail/v1/live") == 1 })
		b.click("button", "Send test event")
		b.reads(`The test event to globex/hooks: dead`) // told by the stream, through nginx
		b.call("Page.reload", nil, nil)
		b.on("destination")
		for _, r := range b.requests("https://") {
			if !strings.Contains(r, "/fantail/") {
				t.Errorf("outside of the prefix: %s", r)
			}
		}
		b.click("button", "Log out")
		b.on("login")
	}
}
