// Package fault runs the real binary and treats it badly.
package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

var binary string // of the daemon, built once

// patience is what something may take that happens, or fails the test, on a busy machine too.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asDeadly) != "" {
		os.Exit(deadly())
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "fantail-fault-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "fantail")
		build := exec.Command("go", "build", "-o", binary, "../../cmd/fantail")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the daemon: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// daemon is one process of the real binary.
type daemon struct {
	*client.Client
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{} // closed when the process has ended
	err  error         // of the process, once done
}

// start runs `fantail serve` in dir and waits until it is ready.
func start(t *testing.T, dir, listen string, flags ...string) *daemon {
	t.Helper()
	d := launch(t, exec.Command(binary, append([]string{"serve", "--config", filepath.Join(dir, "fantail.yaml")}, flags...)...), listen)
	if d.dead() {
		t.Fatalf("the daemon ended: %v\n%s", d.err, &d.log)
	}
	return d
}

// launch runs a daemon and waits until it is ready, or dead.
func launch(t *testing.T, cmd *exec.Cmd, listen string) *daemon {
	t.Helper()
	d := &daemon{done: make(chan struct{}), cmd: cmd}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.err = d.cmd.Wait(); close(d.done) }()
	t.Cleanup(d.kill)
	var err error
	if d.Client, err = client.New("http://"+listen, "", &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}); err != nil {
		t.Fatal(err)
	}
	d.Patience = 0
	limit := time.Now().Add(patience)
	for !d.dead() && d.Ready(t.Context()) != nil {
		select {
		case <-d.done:
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(limit) {
			d.kill()
			t.Fatalf("the daemon is not ready after %v\n%s", patience, &d.log)
		}
	}
	return d
}

// dead tells whether the process has ended.
func (d *daemon) dead() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// run runs a command that is expected to end by itself.
func run(args ...string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	return string(out), err
}

// kill ends the process as a crash would.
func (d *daemon) kill() {
	d.cmd.Process.Kill()
	<-d.done
}

// stop ends the process as an operator would.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(patience):
		d.kill()
		t.Fatalf("the daemon did not stop on SIGTERM\n%s", &d.log)
	}
	var exit *exec.ExitError
	if errors.As(d.err, &exit) {
		t.Fatalf("the daemon stopped with %v\n%s", d.err, &d.log)
	}
}

// settled waits until nothing is pending and returns the audit, recounted.
func (d *daemon) settled(t *testing.T) client.AuditRow {
	t.Helper()
	limit := time.Now().Add(patience)
	for {
		rows, err := d.Audit(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		var pending int64
		for _, r := range rows {
			pending += r.Pending
		}
		if pending == 0 {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%d deliveries are pending after %v\n%s", pending, patience, &d.log)
		}
		<-time.After(20 * time.Millisecond)
	}
	rows, err := d.Audit(t.Context(), true)
	if err != nil || len(rows) == 0 {
		t.Fatalf("audit: %v %v", rows, err)
	}
	for _, r := range rows {
		if !r.Balanced {
			t.Errorf("the audit does not balance: %+v", r)
		}
	}
	d.used(t, rows)
	return rows[0]
}

// used holds usage, which counts by day, to the audit: no crash may part them.
func (d *daemon) used(t *testing.T, rows []client.AuditRow) {
	t.Helper()
	u, err := d.Usage(t.Context(), client.UsageFilter{By: "destination", Since: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		i := slices.IndexFunc(u.Items, func(u client.UsageRow) bool {
			return u.Developer == r.Developer && u.Destination == r.Destination && u.Kind == r.Kind
		})
		if i < 0 {
			if r.Accepted > 0 {
				t.Errorf("usage lacks %+v", r)
			}
			continue
		}
		got := u.Items[i]
		if got.Accepted != r.Accepted || got.Delivered != r.Delivered || got.Dead != r.Dead || got.Cancelled != r.Cancelled || got.Attempts == nil || *got.Attempts < r.Delivered {
			t.Errorf("usage says %+v, the audit %+v", got, r)
		}
	}
}

// settings writes a daemon with one developer, acme, whose destinations are urls.
func settings(t *testing.T, dir string, urls ...string) (listen string) {
	t.Helper()
	listen = servers.Address(t)
	dev := "developer: acme\ndestinations:\n"
	for i, url := range urls {
		dev += fmt.Sprintf("  - name: d%d\n    kind: webhook\n    retry: { waits: [100ms, 200ms, 1s, 5s, 10s], jitter: 0 }\n    settings: { url: %q, secret: a-secret-of-acme, allow_http: true }\n", i, url)
	}
	for name, text := range map[string]string{
		"fantail.yaml":         fmt.Sprintf("listen: %s\nstore: { pebble: { dir: store } }\negress: { allow: [127.0.0.0/8] }\nlimits: { per_developer: { shortest_wait: 1ms } }\nshutdown_grace: 30s\n", listen),
		"developers/acme.yaml": dev,
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return listen
}

func drain(r *http.Request) bool {
	_, err := io.Copy(io.Discard, r.Body)
	return err == nil
}
