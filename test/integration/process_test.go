package integration

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	program "github.com/seed-51f8da91/fantail"
	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

// asProgram makes the binary of these tests be the program, as cmd/fantail is: a daemon that is to be
// killed needs a process of its own.
const asProgram = "FANTAIL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(program.Main(ctx, os.Args[1:], all.Destinations()))
}

// process is a daemon in a process of its own; its stop sends SIGTERM.
type process struct {
	*daemon
	crash func() // ends it as kill -9 does
}

// serve starts the daemon, which listens on the address that its settings name.
func (h *home) serve(listen string) *process {
	h.t.Helper()
	return h.serveAs(exec.Command(os.Args[0], "serve", "--config", filepath.Join(h.dir, "fantail.yaml")), listen)
}

// serveFew is serve with so many descriptors.
func (h *home) serveFew(listen string, files int) *process {
	h.t.Helper()
	return h.serveAs(exec.Command("sh", "-c", `ulimit -n "$1" && exec "$0" serve --config "$2"`, os.Args[0], strconv.Itoa(files), filepath.Join(h.dir, "fantail.yaml")), listen)
}

func (h *home) serveAs(cmd *exec.Cmd, listen string) *process {
	h.t.Helper()
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = h, h
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	wait := sync.OnceValue(func() error { return <-ended })
	p := &process{crash: func() { _ = cmd.Process.Kill(); _ = wait() }}
	h.t.Cleanup(p.crash)
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	c, err := client.New("http://"+listen, "", web)
	if err != nil {
		h.t.Fatal(err)
	}
	p.daemon = &daemon{Client: c, stop: func() error { _ = cmd.Process.Signal(syscall.SIGTERM); return wait() }}
	until(h.t, "the daemon is ready", func() bool { return c.Ready(h.t.Context()) == nil })
	return p
}

// failing waits until each destination has a pending delivery whose attempt failed after the test last
// went to it.
func (d *daemon) failing(t *testing.T, events []*sent, destinations ...string) {
	t.Helper()
	mine := map[string]bool{}
	for _, e := range events {
		mine[e.id] = true
	}
	for _, name := range destinations {
		until(t, "an attempt at "+name+" fails", func() bool {
			for delivery, err := range d.Deliveries(t.Context(), client.DeliveryFilter{Developer: "acme", Destination: name, States: []string{"pending"}}) {
				if err != nil {
					t.Fatal(err)
				}
				if mine[delivery.Event] && delivery.Tried > 0 {
					return true
				}
			}
			return false
		})
	}
}

// traces returns the events of a destination's deliveries, by the ids that
// consumers know them by; each is delivered.
func (d *daemon) traces(t *testing.T, destination string, events []*sent) map[string]*sent {
	t.Helper()
	byID := map[string]*sent{}
	for _, e := range events {
		byID[e.id] = e
	}
	found := map[string]*sent{}
	for delivery, err := range d.Deliveries(t.Context(), client.DeliveryFilter{Developer: "acme", Destination: destination}) {
		if err != nil {
			t.Fatal(err)
		}
		if delivery.State != "delivered" {
			t.Errorf("%s: %s is %s %s", destination, delivery.ID, delivery.State, delivery.Reason)
		}
		found[delivery.ID] = byID[delivery.Event]
	}
	if len(found) != len(events) {
		t.Errorf("%s has %d deliveries of %d events", destination, len(found), len(events))
	}
	return found
}
