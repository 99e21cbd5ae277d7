package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Chromium is a browser that is driven by the DevTools protocol over a pair of pipes: JSON messages that
// end with a zero byte. It ends when the pipe to it is closed, as the reaper's servers do.
type Chromium struct {
	In  io.Writer
	Out io.Reader
}

// chromiumFlags keep the browser to itself: it asks nobody for updates, models or translations, and finds
// no name but this machine's, so that a page cannot reach out either.
var chromiumFlags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-breakpad",
	"--disable-dev-shm-usage", "--password-store=basic", "--force-color-profile=srgb", "--lang=en-US", "--log-level=3",
	"--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication",
	"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
	"--remote-debugging-pipe",
}

var (
	chromiumOnce sync.Once
	chromium     *process
	chromiumEnds Chromium
	errChromium  error
)

// StartChromium starts Debian's Chromium with a profile of its own. One serves all tests of a process:
// each takes a browser context, which shares nothing with the others.
func StartChromium(t testing.TB) *Chromium {
	t.Helper()
	chromiumOnce.Do(func() { chromium, chromiumEnds, errChromium = startChromium() })
	if errChromium != nil {
		t.Fatal(errChromium)
	}
	chromium.showLog(t)
	return &chromiumEnds
}

func startChromium() (*process, Chromium, error) {
	var none Chromium
	bin, err := exec.LookPath("chromium")
	if err != nil {
		return nil, none, errors.New("chromium is not installed: run make setup")
	}
	dir, err := newDir("chromium")
	if err != nil {
		return nil, none, err
	}
	commands, in, err := os.Pipe()
	var out, answers *os.File
	if err == nil {
		out, answers, err = os.Pipe()
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, none, fmt.Errorf("start chromium: %w", err)
	}
	p, err := launch(command{
		name: "chromium", path: bin, args: append(chromiumFlags, "--user-data-dir="+filepath.Join(dir, "profile"), "about:blank"),
		quit: syscall.SIGTERM, unprivileged: true, files: []*os.File{commands, answers},
		ready: func(context.Context) error { return nil }, // commands wait in the pipe
	}, dir)
	return p, Chromium{in, out}, err
}
