package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

var testNow = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// fake is a daemon that answers from a table and keeps what was asked.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by "METHOD /path"
	asked   []request
}

type request struct {
	what   string // METHOD /path?query
	body   string
	header http.Header
}

func newFake(t *testing.T, answers map[string]http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{answers: answers}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.URL.Path == "/healthz" {
			return
		}
		f.mu.Lock()
		f.asked = append(f.asked, request{r.Method + " " + r.URL.RequestURI(), string(body), r.Header})
		f.mu.Unlock()
		if h := f.answers[r.Method+" "+r.URL.EscapedPath()]; h != nil {
			h(w, r)
			return
		}
		w.WriteHeader(404)
		fmt.Fprint(w, `{"error":{"code":"not_found","message":"there is nothing at this path"}}`)
	}))
	t.Cleanup(f.Close)
	return f
}

// requests returns what was asked, but for the probe of send.
func (f *fake) requests() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]request(nil), f.asked...)
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

func deny(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": message}})
	}
}

// inOrder answers each request with the next handler, the last one for ever.
func inOrder(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		mu.Unlock()
		h(w, r)
	}
}

// result is what one run of the command line came to.
type result struct {
	code     int
	out, err string
}

// trial is a command line under test.
type trial struct {
	in       string
	terminal bool
	env      map[string]string
	kinds    destination.Registry
	now      func() time.Time // nil: testNow
	waits    int              // Ctrl-C comes at the wait of this number; 0: at none
	waited   *[]time.Duration // the waits, where they are wanted
	drawn    func()           // called once there is a line of progress
}

func (tr trial) run(t *testing.T, args ...string) result {
	t.Helper()
	var out bytes.Buffer
	err := &alarm{at: "...", do: tr.drawn}
	e := newEnv(strings.NewReader(tr.in), &out, err, tr.kinds)
	if e.now = tr.now; e.now == nil {
		e.now = func() time.Time { return testNow }
	}
	ctx, interrupt := context.WithCancelCause(t.Context())
	defer interrupt(nil)
	waits := 0
	e.pause = func(_ context.Context, d time.Duration) bool {
		if waits++; waits == tr.waits {
			interrupt(errors.New("interrupt signal received"))
		}
		if tr.waited != nil {
			*tr.waited = append(*tr.waited, d)
		}
		return waits != tr.waits
	}
	e.lookup = func(name string) string { return tr.env[name] }
	e.inTerminal, e.outTerminal, e.errTerminal = tr.terminal, tr.terminal, tr.terminal
	code := e.run(ctx, args)
	return result{code, out.String(), err.String()}
}

func (f *fake) run(t *testing.T, args ...string) result {
	t.Helper()
	return trial{env: map[string]string{"FANTAIL_SERVER": f.URL}}.run(t, args...)
}

func (r result) want(t *testing.T, code int, out, err string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d", r.code, code)
	}
	if r.out != out {
		t.Errorf("stdout:\n%swant:\n%s", r.out, out)
	}
	if r.err != err {
		t.Errorf("stderr:\n%swant:\n%s", r.err, err)
	}
}
