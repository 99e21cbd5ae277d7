package integration

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// heard is an output that is read while it is written.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *heard) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *heard) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// tail shows attempts after a restart too, and Ctrl-C ends it.
func TestTailGoesOnOverARestart(t *testing.T) {
	h := newHome(t)
	up := newReceiver(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
	const settings = "\nstore: { pebble: { dir: store } }\negress: { allow: [127.0.0.0/8] }\n"
	listen := servers.Address(t)
	h.write("fantail.yaml", "listen: "+listen+settings)
	h.write("developers/acme.yaml", webhook("acme", up.URL, "a-secret-of-acme", ""))
	d := h.start()
	url := d.app.URL()
	var out, errs heard
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, []string{"tail", "acme/app", "--server", url}, strings.NewReader(""), &out, &errs, all.Destinations())
	}()
	shown := func(n int) func() bool {
		return func() bool {
			d.send(t, "acme", []byte(`{"type":"sleep","user":{"user_id":"ann"}}`))
			return strings.Count(out.String(), "delivered, 200") >= n
		}
	}
	until(t, "an attempt is shown", shown(1))
	d.balanced(t)
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "the stop is told", func() bool { return strings.Contains(errs.String(), "The daemon has stopped.") })
	before := strings.Count(out.String(), "delivered, 200")
	d = h.start()
	until(t, "the daemon is found again", func() bool { return strings.Contains(errs.String(), "Connected again.") })
	until(t, "an attempt after it is shown", shown(before+1))
	interrupt()
	select {
	case code := <-ended:
		if code != 130 {
			t.Errorf("exit %d: %s", code, errs.String())
		}
	case <-time.After(patience):
		t.Error("tail does not end")
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
}
