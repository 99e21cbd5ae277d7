package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// home is the folder of a daemon, its log and the kinds that it knows.
type home struct {
	t   *testing.T
	dir string

	mu     sync.Mutex
	log    bytes.Buffer
	opened []destination.Deps // what was lent, in order
	closed int
	broken map[string]bool // addresses whose destinations cannot be opened
	panics bool
	onOpen func()   // of each destination
	onSend func()   // of each attempt
	sent   []string // to which address
}

func newHome(t *testing.T) *home {
	h := &home{t: t, dir: t.TempDir(), broken: map[string]bool{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", h.logged())
		}
	})
	h.settings("")
	return h
}

func (h *home) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(b)
}

func (h *home) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func (h *home) settings(more string) {
	h.write("fantail.yaml", "listen: 127.0.0.1:0\nstore: { pebble: { dir: store, reserve: 1MiB } }\nshutdown_grace: 2s\n"+more)
}

func (h *home) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// developer writes the file of a developer with one destination.
func (h *home) developer(id, to, more string) {
	h.t.Helper()
	h.write("developers/"+id+".yaml", fmt.Sprintf("developer: %s\ndestinations:\n  - name: app\n    kind: post\n    settings: { to: %s%s }\n", id, to, more))
}

// post is a kind that delivers into the test's memory.
type post struct {
	To    string `yaml:"to"`
	Links bool   `yaml:"links"`
	Cloud bool   `yaml:"cloud"`
}

func (p post) Validate() error   { return nil }
func (p post) OwnPayloads() bool { return !p.Links }
func (p post) NeedsAmbient() bool {
	return p.Cloud
}

type box struct {
	h    *home
	to   string
	link bool
	deps destination.Deps
}

func (b *box) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	if b.link {
		if err := b.deps.Payloads.Put(ctx, d.Event.Developer, b.deps.Catalogue.Whole(d.Event)); err != nil {
			return destination.Receipt{}, err
		}
	}
	if b.h.onSend != nil {
		b.h.onSend()
	}
	b.h.mu.Lock()
	defer b.h.mu.Unlock()
	b.h.sent = append(b.h.sent, b.to)
	return destination.Receipt{Code: 200}, nil
}

func (b *box) Close() error {
	b.h.mu.Lock()
	defer b.h.mu.Unlock()
	b.h.closed++
	return nil
}

func (h *home) kinds() destination.Registry {
	return destination.NewRegistry(destination.Define("post", destination.Traits{Links: true}, func() post { return post{} },
		func(p post, deps destination.Deps) (destination.Destination, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.broken[p.To] {
				if h.panics {
					panic("secret-of-" + p.To)
				}
				return nil, errors.New(p.To + " cannot be opened")
			}
			h.opened = append(h.opened, deps)
			if h.onOpen != nil {
				h.onOpen()
			}
			return &box{h, p.To, p.Links, deps}, nil
		}))
}

func (h *home) delivered() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.sent, " ")
}

func (h *home) counts() (opened, closed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.opened), h.closed
}

// daemon is a running one.
type daemon struct {
	*client.Client
	*App
	stop func() error
}

func (h *home) open() (*App, error) { return h.openWith(h.kinds()) }

func (h *home) openWith(kinds destination.Registry) (*App, error) {
	return New(h.t.Context(), Options{
		Config: filepath.Join(h.dir, "fantail.yaml"), Kinds: kinds, Version: "test", Log: slog.New(slog.NewTextHandler(h, nil)),
	})
}

func (h *home) start() *daemon {
	h.t.Helper()
	return h.startWith(h.kinds())
}

func (h *home) startWith(kinds destination.Registry) *daemon {
	h.t.Helper()
	a, err := h.openWith(kinds)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	c, err := client.New(a.URL(), "", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	d := &daemon{Client: c, App: a, stop: sync.OnceValue(func() error { cancel(); return <-ended })}
	h.t.Cleanup(func() {
		if err := d.stop(); err != nil {
			h.t.Errorf("stop the daemon: %v", err)
		}
	})
	return d
}

// send hands in an event and returns how many destinations it goes to.
func (d *daemon) send(t *testing.T, developer string) client.Accepted {
	t.Helper()
	a, err := d.Send(t.Context(), client.SendRequest{Developer: developer, Body: []byte(`{"type":"x"}`)})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return a
}
