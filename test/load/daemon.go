package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// group is developers with similar destinations: developer <prefix>i has destinations i*fanout to
// i*fanout+fanout-1, at url.
type group struct {
	prefix     string
	developers int
	fanout     int
	inFlight   int    // of each destination; 0: the default
	url        string // of the destinations, without their number
}

const (
	living = "d" // developers whose destinations are the sink
	dead   = "x" // developers whose destinations nobody answers
	noisy  = "n" // the developer of a producer that misbehaves
	anyone = ""  // whose token reads and operates
)

// daemon is the real binary on settings of our own.
type daemon struct {
	*process
	*client.Client
	url      string
	profiles string        // URL of its profiles; "": none
	ready    time.Duration // from the start of the process to the first 200 of /readyz
	began    time.Time
}

// tokenOf is the token for the developers with this prefix.
func tokenOf(prefix string) string { return "token-of-" + prefix + "-for-measuring" }

// tokensOf has one token for each group that may hand in, and one that may do everything else.
func tokensOf(groups []group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "tokens:\n  - { name: operator, value: %q, may: [operate] }\n", tokenOf(anyone))
	for _, g := range groups {
		fmt.Fprintf(&b, "  - { name: %s, value: %q, may: [ingest], developers: [", g.prefix, tokenOf(g.prefix))
		for i := range g.developers {
			fmt.Fprintf(&b, "%s%d, ", g.prefix, i)
		}
		b.WriteString("] }\n")
	}
	return b.String()
}

// writeSettings writes what the daemon needs to dir, once.
func writeSettings(dir string, groups []group, tokens bool) error {
	files := map[string]string{}
	for _, g := range groups {
		for i := range g.developers {
			var b strings.Builder
			fmt.Fprintf(&b, "developer: %s%d\ndestinations:\n", g.prefix, i)
			for d := i * g.fanout; d < (i+1)*g.fanout; d++ {
				fmt.Fprintf(&b, "  - name: %s\n    kind: webhook\n    settings: { url: %q, secret: %q, allow_http: true }\n", destination(d), g.url+strconv.Itoa(d), secret)
				if g.inFlight > 0 {
					fmt.Fprintf(&b, "    max_in_flight: %d\n", g.inFlight)
				}
			}
			files[fmt.Sprintf("developers/%s%d.yaml", g.prefix, i)] = b.String()
		}
	}
	listen, err := freePort()
	if err != nil {
		return err
	}
	files["fantail.yaml"] = fmt.Sprintf("listen: %s\nstore: { pebble: { dir: store } }\negress: { allow: [127.0.0.0/8] }\nlimits: { per_developer: { destinations: 100000 } }\n", listen)
	if tokens {
		files["fantail.yaml"] += tokensOf(groups)
	}
	files["listen"] = listen
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	return nil
}

func destination(d int) string { return "hook" + strconv.Itoa(d) }

// startDaemon starts the binary on the settings of daemon n in dir and waits until it is ready.
func startDaemon(ctx context.Context, binary, dir string, n int, profile, tokens bool) (*daemon, error) {
	listen, err := os.ReadFile(filepath.Join(dir, listenOf(n)))
	if err != nil {
		return nil, err
	}
	d := &daemon{url: "http://" + string(listen)}
	args := []string{"serve", "--config", filepath.Join(dir, settingsOf(n))}
	if profile {
		addr, err := freePort()
		if err != nil {
			return nil, err
		}
		d.profiles = "http://" + addr + "/debug/pprof/"
		args = append(args, "--pprof", addr)
	}
	token := ""
	if tokens {
		token = tokenOf(anyone)
	}
	if d.Client, err = client.New(d.url, token, nil); err != nil {
		return nil, err
	}
	d.began = time.Now()
	if d.process, err = startProcess(binary, args...); err != nil {
		return nil, err
	}
	for d.Ready(ctx) != nil {
		if time.Since(d.began) > time.Minute || ctx.Err() != nil {
			return nil, errors.Join(errors.New("the daemon did not get ready in a minute"), d.stop())
		}
		time.Sleep(2 * time.Millisecond)
	}
	d.ready = time.Since(d.began)
	return d, nil
}

// kill ends the process as a crash would.
func (d *daemon) kill() {
	d.Process.Kill()
	_ = d.end() // says that it was killed
}

// pending sums what waits at the destinations of developers with this prefix,
// and what they were ever given.
func (d *daemon) pending(ctx context.Context, prefix string) (pending, accepted int64, err error) {
	rows, err := d.Audit(ctx, false)
	for _, r := range rows {
		if strings.HasPrefix(r.Developer, prefix) {
			pending += r.Pending
			accepted += r.Accepted
		}
	}
	return pending, accepted, err
}

// failed is how many attempts have failed since the daemon began.
func (d *daemon) failed(ctx context.Context) (n int, err error) {
	body, err := request(ctx, "GET", d.url+"/metrics")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	for in := bufio.NewScanner(body); in.Scan(); {
		name, value, _ := strings.Cut(in.Text(), " ")
		if strings.HasPrefix(name, "fantail_attempts_total{") && strings.Contains(name, `class="transient"`) {
			f, err := strconv.ParseFloat(value, 64)
			return int(f), err
		}
	}
	return 0, errors.New("/metrics has no failed attempts")
}

// profile writes a CPU profile of that length to file. The file is complete when done is closed or
// has an error.
func (d *daemon) profile(ctx context.Context, file string, long time.Duration) (done chan error) {
	done = make(chan error, 1)
	if d.profiles == "" {
		close(done)
		return done
	}
	go func() {
		body, err := request(ctx, "GET", fmt.Sprintf("%sprofile?seconds=%d", d.profiles, max(1, int(long.Seconds()))))
		if err != nil {
			done <- err
			return
		}
		defer body.Close()
		b, err := io.ReadAll(body)
		done <- errors.Join(err, os.WriteFile(file, b, 0o600))
	}()
	return done
}

// freePort returns a loopback address that nobody else gets for as long as the process lives: a socket is
// bound to it, and never listens. Connections are refused until a daemon listens beside it, which Linux
// allows when both set SO_REUSEADDR.
func freePort() (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", addr.(*syscall.SockaddrInet4).Port), nil
}
