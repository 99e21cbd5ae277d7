package integration

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

const inNamespace = "FANTAIL_TEST_SMALL_DISK"

// While a disk fills up, the daemon refuses with 503 before the store could hang. It still delivers
// and settles what it acknowledged, and accepts again as soon as there is room. The test runs itself
// again in a mount namespace of its own, so that the small disk vanishes with the process.
func TestFullDiskRefusesAndLosesNothing(t *testing.T) {
	if dir := os.Getenv(inNamespace); dir != "" {
		onSmallDisk(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("in a mount namespace (needs root, or user namespaces): %v\n%s", err, out)
	}
}

func onSmallDisk(t *testing.T, dir string) {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatalf("make mounts private: %v", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256m"); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 100<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHome(t)
	r := newReceiver(t, nil)
	h.write("fantail.yaml", fmt.Sprintf(`
listen: 127.0.0.1:0
store: { pebble: { dir: %q, reserve: 64MiB } }
egress: { allow: [127.0.0.0/8] }
`, filepath.Join(dir, "store")))
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))
	d := h.start()

	body := append([]byte(`{"type":"x","s":"`), bytes.Repeat([]byte("0123456789abcdef"), 32<<10)...)
	body = append(body, `"}`...)
	d.Patience = 0
	acked := 0
	var refused *client.Error
	for refused == nil {
		began := time.Now()
		_, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: body})
		if took := time.Since(began); took > time.Minute {
			t.Fatalf("the answer took %s: the store hung", took)
		}
		switch {
		case err == nil:
			acked++
		case !errors.As(err, &refused):
			t.Fatal(err)
		}
		if acked > 1000 {
			t.Fatal("500 MiB were accepted on a disk of 256 MiB")
		}
	}
	if refused.Status != http.StatusServiceUnavailable || refused.RetryAfter <= 0 {
		t.Errorf("refused with %+v, want 503 with Retry-After", refused)
	}
	if acked == 0 {
		t.Fatal("nothing was accepted before the reserve was reached")
	}
	rows := d.balanced(t) // settling goes on below the reserve
	if rows[0].Delivered != int64(acked) {
		t.Errorf("%d events were acknowledged, %d delivered", acked, rows[0].Delivered)
	}
	if err := d.Ready(t.Context()); err == nil {
		t.Error("/readyz says ready on a full disk")
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, "events are accepted again", func() bool {
		_, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: body})
		return err == nil
	})
	if rows := d.balanced(t); rows[0].Delivered != int64(acked)+1 {
		t.Errorf("%d events were delivered in all, want %d", rows[0].Delivered, acked+1)
	}
}
