package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	program "github.com/seed-51f8da91/fantail"
	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// asProgram makes the binary of these tests be the program, as cmd/fantail is.
const asProgram = "FANTAIL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(program.Main(ctx, os.Args[1:], all.Destinations()))
}

// daemon is the real one, in a process and a folder of its own, with developers' documents in its store.
// It keeps its address over restarts.
type daemon struct {
	*client.Client // as the operator
	t              testing.TB
	dir, address   string
	log            lockedBuffer
	stop           func() // ends it in order
	crash          func() // ends it as kill -9 does
}

// operatorToken is that of the client where a world has tokens.
const operatorToken = "token-of-the-operator"

const withTokens = `
tokens:
  - { name: operator, value: token-of-the-operator, may: [ingest, read, operate, configure, link] }
  - { name: support, value: token-of-the-support, may: [read] }
  - { name: of-acme, value: token-of-acme-alone, may: [read, operate, ingest], developers: [acme] }
`

// startDaemon starts one; settings are added to its fantail.yaml, and prepare may fill its folder before.
func startDaemon(t testing.TB, settings string, prepare ...func(dir string)) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir(), address: servers.Address(t)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.log.tail(8<<10))
		}
	})
	d.settings(settings)
	token := ""
	if strings.Contains(settings, operatorToken) {
		token = operatorToken
	}
	// Connections are closed, so that a restart of the daemon meets none that it has ended.
	c, err := client.New("http://"+d.address, token, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	d.Client = c
	for _, p := range prepare {
		p(d.dir)
	}
	d.start()
	return d
}

// settings writes fantail.yaml.
func (d *daemon) settings(more string) {
	d.t.Helper()
	text := fmt.Sprintf(`
listen: %s
developers: { store: {} }
store: { pebble: { dir: store, reserve: 1MiB } }
egress: { allow: [127.0.0.0/8] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 1s
`, d.address) + more
	if err := os.WriteFile(filepath.Join(d.dir, "fantail.yaml"), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// start starts the daemon on what its folder has, and waits until it is ready.
func (d *daemon) start() {
	d.t.Helper()
	cmd := exec.Command(os.Args[0], "serve", "--config", filepath.Join(d.dir, "fantail.yaml"))
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = &d.log, &d.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	end := func(s syscall.Signal) func() {
		return sync.OnceFunc(func() { _ = cmd.Process.Signal(s); <-ended })
	}
	d.stop, d.crash = end(syscall.SIGTERM), end(syscall.SIGKILL)
	d.t.Cleanup(d.crash)
	if !within(patience, func() bool {
		select {
		case <-ended:
			d.t.Fatalf("the daemon has ended (%s):\n%s", cmd.ProcessState, d.log.tail(8<<10))
		default:
		}
		return d.Ready(context.Background()) == nil
	}) {
		d.t.Fatalf("the daemon is not ready:\n%s", d.log.tail(8<<10))
	}
}

// console is the address of a page of the console.
func (d *daemon) console(page string) string { return "http://" + d.address + "/console/" + page }

// rowsRead is what the store has read so far to answer questions.
func (d *daemon) rowsRead() int {
	d.t.Helper()
	text, err := d.Metrics(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\nfantail_store_rows_read_total ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseFloat(line, 64)
	if !found || err != nil {
		d.t.Fatalf("fantail_store_rows_read_total: %v", err)
	}
	return int(n)
}

// document sets the document of a developer.
func (d *daemon) document(developer, text string) {
	d.t.Helper()
	if _, err := d.PutDocument(context.Background(), developer, []byte(text), client.ChangeOptions{}); err != nil {
		d.t.Fatalf("document of %s: %v\n%s", developer, err, text)
	}
}

func (d *daemon) send(developer, reference, body string) client.Accepted {
	d.t.Helper()
	a, err := d.Send(context.Background(), client.SendRequest{Developer: developer, Reference: reference, Body: []byte(body)})
	if err != nil {
		d.t.Fatalf("send to %s: %v", developer, err)
	}
	return a
}

// until waits for what the audit of a destination is to say.
func (d *daemon) until(what string, done func(rows map[string]client.AuditRow) bool) {
	d.t.Helper()
	var last map[string]client.AuditRow
	if !within(patience, func() bool {
		rows, err := d.Audit(context.Background(), false)
		if err != nil {
			var refused *client.Error
			if !errors.As(err, &refused) {
				d.t.Fatal(err)
			}
		}
		last = map[string]client.AuditRow{}
		for _, r := range rows {
			last[r.Developer+"/"+r.Destination] = r
		}
		return done(last)
	}) {
		d.t.Fatalf("waited for: %s\nthe audit: %+v", what, last)
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.b.Bytes()
	return string(b[max(0, len(b)-n):])
}
