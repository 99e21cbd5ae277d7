package fault

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// counter answers every request after wait and counts them.
func counter(t *testing.T, wait time.Duration) (url string, arrived chan struct{}) {
	arrived = make(chan struct{}, 1024)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if drain(r) {
			arrived <- struct{}{}
			<-time.After(wait)
		}
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL, arrived
}

func send(t *testing.T, d *daemon) {
	t.Helper()
	if _, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"x"}`)}); err != nil {
		t.Fatalf("send: %v\n%s", err, &d.log)
	}
}

func await(t *testing.T, arrived chan struct{}) {
	t.Helper()
	select {
	case <-arrived:
	case <-time.After(patience):
		t.Fatalf("nothing arrived in %v", patience)
	}
}

func TestHangupReloads(t *testing.T) {
	old, atOld := counter(t, 0)
	moved, atMoved := counter(t, 0)
	dir := t.TempDir()
	listen := settings(t, dir, old)
	d := start(t, dir, listen)
	send(t, d)
	await(t, atOld)
	file := filepath.Join(dir, "developers", "acme.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), old, moved)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	limit := time.After(patience)
	for reloaded := false; !reloaded; { // the signal is not answered: events tell when it took effect
		send(t, d)
		select {
		case <-atMoved:
			reloaded = true
		case <-atOld:
		case <-limit:
			t.Fatalf("SIGHUP did not reload\n%s", &d.log)
		}
	}
	d.stop(t)
}

// SIGTERM lets running attempts end, and neither burns nor repeats one.
func TestStopLetsAttemptsEnd(t *testing.T) {
	url, arrived := counter(t, 500*time.Millisecond)
	dir := t.TempDir()
	listen := settings(t, dir, url)
	d := start(t, dir, listen)
	send(t, d)
	await(t, arrived)
	d.stop(t)
	d = start(t, dir, listen)
	if row := d.settled(t); row.Delivered != 1 {
		t.Errorf("after a stop with an attempt under way: %+v, want 1 delivered", row)
	}
	d.stop(t)
	if n := len(arrived); n != 0 {
		t.Errorf("the delivery was attempted %d times more", n)
	}
}

// A damaged log is refused, with the command that goes on without it.
func TestDamagedLogIsRefusedUntilLossIsAccepted(t *testing.T) {
	url, arrived := counter(t, 0)
	dir := t.TempDir()
	listen := settings(t, dir, url)
	d := start(t, dir, listen)
	for range 200 {
		send(t, d)
		await(t, arrived)
	}
	d.kill()
	logs, err := filepath.Glob(filepath.Join(dir, "store", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("the store has no log: %v", err)
	}
	damage(t, logs[len(logs)-1])
	out, err := run("serve", "--config", filepath.Join(dir, "fantail.yaml"))
	if err == nil || !strings.Contains(out, "--accept-loss") {
		t.Fatalf("a daemon on a damaged log ended with %v and does not name the way out:\n%s", err, out)
	}
	d = start(t, dir, listen, "--accept-loss")
	send(t, d)
	await(t, arrived)
	d.settled(t)
	d.stop(t)
}

// damage overwrites bytes in the middle of what a log holds. The rest of the file may be
// preallocated.
func damage(t *testing.T, path string) {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	held := len(bytes.TrimRight(log, "\x00"))
	copy(log[held/2:], strings.Repeat("damage", 20))
	if err := os.WriteFile(path, log, 0o600); err != nil {
		t.Fatal(err)
	}
}
