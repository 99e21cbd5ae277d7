package servers

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// shared is a server that all tests of a process use. They never close it, because Go tells no package
// when its last test has ended. The reaper closes it when the process ends.
type shared struct {
	once sync.Once
	p    *process
	addr string
	err  error
}

// use returns the address of the server; its first caller starts it. A test that fails shows what the
// server logged meanwhile.
func (s *shared) use(t testing.TB, start func(port) (*process, error)) string {
	t.Helper()
	s.once.Do(func() {
		at, err := reserve()
		if err != nil {
			s.err = err
			return
		}
		s.addr = at.addr()
		s.p, s.err = start(at)
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	s.p.showLog(t)
	return s.addr
}

// showLog shows what the server logs during the test, if the test fails.
func (p *process) showLog(t testing.TB) {
	from := p.logSize()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s logged meanwhile:\n%s", p.name, p.logTail(from))
		}
	})
}

// answers returns a ready function: GET url answers 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Close = true // no connection, and no goroutine, stays behind in the test
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		return nil
	}
}

// find returns the newest of the files that match the patterns, else the program on the PATH. Debian
// keeps the servers of PostgreSQL and MariaDB off the PATH.
func find(name string, patterns ...string) (string, error) {
	var found []string
	for _, p := range patterns {
		m, err := filepath.Glob(filepath.Join(p, name))
		if err != nil {
			return "", err
		}
		found = append(found, m...)
	}
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { // by length first: 9 < 10
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return strings.Compare(a, b)
		}), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// moduleRoot returns the folder of go.mod. Tests run in the folder of their package.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod above %s", dir)
		}
	}
}
