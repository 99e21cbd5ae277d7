package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail"
	"github.com/seed-51f8da91/fantail/destinations/webhook"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// asDeadly has the test binary be a daemon that knows webhooks and a deadly kind.
const asDeadly = "FANTAIL_TEST_DEADLY"

func deadly() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return fantail.Main(ctx, os.Args[1:], destination.NewRegistry(webhook.Definition(),
		destination.Define("deadly", destination.Traits{}, func() killer { return killer{} }, func(k killer, _ destination.Deps) (destination.Destination, error) {
			k.strikes("open")
			return k, nil
		})))
}

// killer is a destination that ends the process when it is asked for what At names. A defect of a kind
// would do that, and so would a server.
type killer struct {
	At []string `yaml:"at"` // open, check, send, poison: a send of that type; panic: a send, in a goroutine
}

var _ destination.Checker = killer{}

func (killer) Validate() error { return nil }
func (killer) Close() error    { return nil }

func (k killer) strikes(what string) {
	if slices.Contains(k.At, what) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (k killer) Check(context.Context) error { k.strikes("check"); return nil }

func (k killer) Send(_ context.Context, d destination.Delivery) (destination.Receipt, error) {
	k.strikes("send")
	if d.Event.Type == "poison" {
		k.strikes("poison")
	}
	if slices.Contains(k.At, "panic") {
		go panic("a defect")
		select {}
	}
	return destination.Receipt{Answer: "taken"}, nil
}

// lives is a daemon that is started again whenever it dies, as systemd does.
type lives struct {
	*daemon
	t           *testing.T
	dir, listen string
	crashes     int
	arrived     chan struct{} // at the neighbour
}

func (l *lives) start() {
	l.t.Helper()
	for l.daemon = nil; l.daemon == nil || l.dead(); {
		if l.daemon != nil {
			if l.crashes++; l.crashes > 12 {
				l.t.Fatalf("it has died %d times\n%s", l.crashes, tail(l.log.Bytes(), 4000))
			}
		}
		self, err := os.Executable()
		if err != nil {
			l.t.Fatal(err)
		}
		cmd := exec.Command(self, "serve", "--config", filepath.Join(l.dir, "fantail.yaml"))
		cmd.Env = append(os.Environ(), asDeadly+"=1")
		l.daemon = launch(l.t, cmd, l.listen)
	}
}

// send hands in an event, and does so again when the daemon dies of the event before.
func (l *lives) send(developer, typ string) {
	l.t.Helper()
	key := fmt.Sprint(time.Now().UnixNano())
	for {
		_, err := l.Send(l.t.Context(), client.SendRequest{Developer: developer, Body: []byte(`{"type":"` + typ + `"}`), IdempotencyKey: key})
		switch {
		case err == nil:
			return
		case l.t.Context().Err() != nil:
			l.t.Fatal(err)
		}
		l.again()
	}
}

// again waits for the death of the daemon that does not answer.
func (l *lives) again() {
	l.t.Helper()
	select {
	case <-l.done:
		l.crashes++
		l.start()
	case <-time.After(patience):
		l.t.Fatalf("the daemon neither answers nor dies\n%s", tail(l.log.Bytes(), 4000))
	}
}

// serves sends events to the neighbour until the daemon has lived for a while.
func (l *lives) serves(while time.Duration) {
	l.t.Helper()
	for began, n := time.Now(), l.crashes; time.Since(began) < while; {
		l.send("good", "x")
		select {
		case <-l.arrived:
		case <-l.done:
		case <-time.After(patience):
			l.t.Fatalf("the neighbour is not served\n%s", tail(l.log.Bytes(), 4000))
		}
		if l.dead() {
			l.again()
		}
		if l.crashes > n {
			began, n = time.Now(), l.crashes
		}
	}
}

// TestKillsAreCharged: whatever part of a destination ends the process, it costs a handful of crashes.
// The neighbour is served between and after them. Once the settings are mended, everything that waited
// is delivered.
func TestKillsAreCharged(t *testing.T) {
	for name, tt := range map[string]struct {
		at      string
		waiting int // deliveries
		most    int // crashes
		says    string
	}{
		"every delivery":          {"send", 50, 3, "the process died"},
		"a panic in a goroutine":  {"panic", 10, 3, "the process died"},
		"a poisoned delivery":     {"poison", 10, 3, "the process died"},
		"a check":                 {"check", 0, 1, "not checked: the process died"},
		"check and delivery":      {"check, send", 50, 3, "the process died"},
		"being opened":            {"open", 0, 2, "not checked"}, // the check opens it too
		"being opened to deliver": {"open", 10, 4, "the process died"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, arrived := counter(t, 0)
			dir := t.TempDir()
			l := &lives{t: t, dir: dir, arrived: arrived, listen: settings(t, dir)}
			bad := func(at string) {
				t.Helper()
				if err := errors.Join(
					os.WriteFile(filepath.Join(dir, "developers", "acme.yaml"), []byte("developer: acme\ndestinations: [{ name: d0, kind: deadly, settings: { at: ["+at+"] } }]\n"), 0o600),
					os.WriteFile(filepath.Join(dir, "developers", "good.yaml"), fmt.Appendf(nil,
						"developer: good\ndestinations: [{ name: app, kind: webhook, settings: { url: %q, secret: a-secret-of-good, allow_http: true } }]\n", url), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			bad(tt.at)
			l.start()
			for i := range tt.waiting {
				typ := "x"
				if i == tt.waiting/2 {
					typ = "poison"
				}
				l.send("acme", typ)
			}
			for began := time.Now(); l.crashes == 0 && time.Since(began) < patience; {
				l.serves(time.Second) // a busy daemon checks late
			}
			l.serves(3 * time.Second)
			if l.crashes == 0 || l.crashes > tt.most {
				t.Errorf("%d crashes, want up to %d", l.crashes, tt.most)
			}
			got := l.shown()
			for began := time.Now(); !strings.Contains(got, tt.says) && time.Since(began) < patience; got = l.shown() {
				<-time.After(50 * time.Millisecond)
			}
			if !strings.Contains(got, tt.says) {
				t.Errorf("%q does not say %q", got, tt.says)
			}
			if tt.waiting == 50 && os.Getenv("FANTAIL_KILLS") != "" { // until after its first trial
				n := l.crashes
				for began := time.Now(); l.crashes == n && time.Since(began) < 65*time.Second; {
					l.serves(time.Second)
				}
				if l.serves(3 * time.Second); l.crashes > n+1 {
					t.Errorf("%d crashes with one trial", l.crashes-n)
				}
			}
			bad("")
			if _, err := l.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.settled(t)
			rows, err := l.Audit(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if !r.Balanced || r.Delivered != r.Accepted || r.Developer == "acme" && r.Accepted != int64(tt.waiting) {
					t.Errorf("%+v", r)
				}
			}
			if got := l.shown(); tt.waiting > 0 && got != "" && !strings.HasPrefix(got, "not checked") {
				t.Errorf("after all is delivered it shows %q", got)
			}
			l.stop(t)
			t.Logf("%d crashes", l.crashes)
		})
	}
}

// shown is what the API says of the deadly destination.
func (l *lives) shown() string {
	l.t.Helper()
	for d, err := range l.Destinations(l.t.Context(), "acme", "") {
		if err != nil {
			l.t.Fatal(err)
		}
		all := d.Reason
		if d.Check != nil && d.Reason == "" {
			for _, f := range d.Check.Findings {
				all += f.Message
			}
		}
		return all
	}
	l.t.Fatal("the destination is not shown")
	return ""
}
