package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail"
	"github.com/seed-51f8da91/fantail/destinations/webhook"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// What the examples talk to: the whole program in this process, with a receiver
// that answers 503 under /down until it is mended.
var (
	server string
	token  = "made-up-token-of-examples"
	mended atomic.Bool
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "fantail-client-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/down" && !mended.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		defer receiver.Close()
		config, err := settings(dir, receiver.URL)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			fantail.Main(ctx, []string{"serve", "--log-level", "error", "--config", config}, destination.NewRegistry(webhook.Definition()))
		}()
		defer func() { stop(); <-ended }()
		if err := ready(ended); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func settings(dir, receiver string) (config string, err error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server = "http://" + l.Addr().String()
	l.Close()
	config = filepath.Join(dir, "fantail.yaml")
	files := map[string]string{config: fmt.Sprintf(`
listen: %s
tokens: [{ name: example, value: %s, may: [ingest, operate] }]
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.0/8] }
shutdown_grace: 1s
`, l.Addr(), token)}
	for developer, path := range map[string]string{"acme": "/", "globex": "/down"} {
		files[filepath.Join(dir, "developers", developer+".yaml")] = fmt.Sprintf(`
developer: %s
destinations:
  - name: app
    kind: webhook
    retry: { retries: 0 }
    settings: { url: "%s%s", secret: made-up-secret, allow_http: true }
`, developer, receiver, path)
	}
	if err := os.Mkdir(filepath.Join(dir, "developers"), 0o700); err != nil {
		return "", err
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return config, nil
}

func ready(ended <-chan struct{}) error {
	c, err := client.New(server, token, nil)
	if err != nil {
		return err
	}
	for limit := time.Now().Add(time.Minute); ; {
		select {
		case <-ended:
			return errors.New("the daemon ended, and has said why")
		case <-time.After(5 * time.Millisecond):
		}
		if err := c.Ready(context.Background()); err == nil || time.Now().After(limit) {
			return err
		}
	}
}
