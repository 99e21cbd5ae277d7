package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Web is a real web server of one test.
type Web struct {
	URL string // without a path
	t   testing.TB
	p   *process
}

// Arrival is a request whose body a receiver of ours read to its end.
type Arrival struct {
	ID     string // x-terra-trace-id
	Size   int
	SHA256 string // of the body, in hex
}

// arrivals is the file in the server's folder to which it writes what it received.
const arrivals = "arrivals"

// Arrivals are the requests that the server itself received.
func (w *Web) Arrivals() (all []Arrival) {
	w.t.Helper()
	for _, line := range w.lines() {
		var a Arrival
		if _, err := fmt.Sscan(line, &a.ID, &a.Size, &a.SHA256); err != nil {
			w.t.Fatalf("%s says %q: %v", w.p.name, line, err)
		}
		all = append(all, a)
	}
	return all
}

func (w *Web) lines() (all []string) {
	w.t.Helper()
	f, err := os.Open(filepath.Join(w.p.dir, arrivals))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return all // what has no end is being written
		}
		all = append(all, strings.TrimSuffix(line, "\n"))
	}
}

// site is what a web server is started with.
type site struct {
	t    testing.TB
	dir  string
	port port
	certFiles
	pair string // certificate and key in one file
}

// startWeb starts a server for one test. build makes its command, without the check that it is ready.
func startWeb(t testing.TB, scheme string, id Identity, build func(site) (command, error)) *Web {
	t.Helper()
	at, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.release)
	dir, err := newDir("web")
	if err != nil {
		t.Fatal(err)
	}
	s := site{t: t, dir: dir, port: at, pair: filepath.Join(dir, "pair.pem")}
	certs := certificates{TLS: TLS{CA: id.CA}, serverCert: id.Cert, serverKey: id.Key}
	s.certFiles, err = certs.write(dir)
	if err == nil {
		err = certs.writePair(s.pair)
	}
	var c command
	if err == nil {
		c, err = build(s)
	}
	if err != nil {
		os.RemoveAll(dir)
		t.Fatal(err)
	}
	c.ready = listens(at.addr())
	if c.quit == 0 {
		c.quit = syscall.SIGTERM
	}
	p, err := launch(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	p.showLog(t)
	return &Web{URL: scheme + "://" + at.addr(), t: t, p: p}
}

// writePair writes certificate and key into one file, as HAProxy wants them.
func (c *certificates) writePair(path string) error {
	if err := os.WriteFile(path, append(append([]byte(nil), c.serverCert...), c.serverKey...), 0o600); err != nil || os.Geteuid() != 0 {
		return err
	}
	uid, gid, err := nobody()
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

// listens returns a ready function: the address accepts connections.
func listens(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			c.Close()
		}
		return err
	}
}

// system finds a server of the system. Debian keeps some off the PATH of ordinary users.
func system(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	path := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed: run make setup", name)
	}
	return path, nil
}

// receiver is the path of a receiver of ours that a server runs.
func receiver(path ...string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(append([]string{root, "test", "servers"}, path...)...), nil
}
