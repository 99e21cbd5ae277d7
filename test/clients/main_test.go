// Package clients tests the clients of clients/: their types are those of openapi.yaml, and their own
// suites run against the daemon, in the packages as users install them.
package clients

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/app"
)

const token = "a-token-of-a-back-end"

// daemon starts the real daemon with developers' documents in its store, and returns its URL.
func daemon(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	settings := fmt.Sprintf(`listen: 127.0.0.1:0
store: { pebble: { dir: store } }
developers: { store: {} }
egress: { allow: [127.0.0.0/8] }
payloads: { dir: { path: payloads, public_url: "http://events.example" } }
console: { public_url: "http://console.example" }
tokens: [{ name: back-end, value: %s, may: [ingest, read, operate, configure, link] }]
shutdown_grace: 2s
`, token)
	path := filepath.Join(dir, "fantail.yaml")
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{
		Config: path, Kinds: all.Destinations(), Version: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stop the daemon: %v", err)
		}
	})
	return a.URL()
}

// within is how long a suite may take.
const within = 5 * time.Minute

// copyFolder copies what git knows, or would, of a folder below the repository: builds must leave nothing
// in it.
func copyFolder(t *testing.T, from string, names ...string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(from))
	for _, name := range names {
		source := filepath.Join("../../clients", from, name)
		info, err := os.Stat(source)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(filepath.Join(to, name), os.DirFS(source))
		} else {
			var text []byte
			if text, err = os.ReadFile(source); err == nil {
				err = os.MkdirAll(to, 0o700)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(to, name), text, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}
