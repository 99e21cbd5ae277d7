// Package scale runs several daemons of this build on one PostgreSQL, and treats them badly. Who
// decides is the sink: what was acknowledged arrives, and arrives twice only where it was in flight.
package scale

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

var binary string // of the daemon, built once

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "fantail-scale-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "fantail")
		if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/fantail").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the daemon: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// rounds is how often a test does what it does: FANTAIL_SCALE_ROUNDS, which `make scale-fault` sets.
func rounds(short int) int {
	if n, err := strconv.Atoi(os.Getenv("FANTAIL_SCALE_ROUNDS")); err == nil {
		return n
	}
	return short
}

// fleet are daemons on one PostgreSQL.
type fleet struct {
	t       *testing.T
	sink    *sink
	server  *servers.Private
	daemons []*daemon
}

// daemon is one of them: its folder stays, its process comes and goes.
type daemon struct {
	*client.Client
	t      *testing.T
	name   string
	dir    string
	listen string
	binary string   // "": of this build
	env    []string // beside that of the test

	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan struct{} // closed when the process has ended
	err  error         // of the process, once done
}

// shape says what is special about a fleet; each may be nil.
type shape struct {
	more string                             // goes into every fantail.yaml
	url  func(i int, dsn string) string     // where a daemon finds the database
	api  func(i int, listen string) string  // where the others find a daemon; nil: nowhere
	sink func(addr string) (through string) // where all find the sink
}

// newFleet prepares n daemons and starts them. more goes into every fantail.yaml; url, which may be nil,
// says where a daemon finds the database.
func newFleet(t *testing.T, n int, more string, url func(i int, dsn string) string) *fleet {
	t.Helper()
	return newFleetOf(t, n, shape{more: more, url: url})
}

func newFleetOf(t *testing.T, n int, like shape) *fleet {
	t.Helper()
	f := layOut(t, servers.PrivatePostgres(t), n, like)
	f.migrate()
	for _, d := range f.daemons {
		d.start()
	}
	return f
}

// migrate makes the schema of this build.
func (f *fleet) migrate() (from, to int) {
	f.t.Helper()
	m, err := pgstore.Migrate(f.t.Context(), pgstore.Options{URLs: []secret.Value{secret.New(f.server.DSN)}})
	if err != nil {
		f.t.Fatal(err)
	}
	return m.From, m.To
}

// layOut prepares n daemons and starts none.
func layOut(t *testing.T, server *servers.Private, n int, like shape) *fleet {
	t.Helper()
	f := &fleet{t: t, sink: newSink(t), server: server}
	far := f.sink.url
	if like.sink != nil {
		far = "http://" + like.sink(strings.TrimPrefix(far, "http://"))
	}
	for i := range n {
		d := &daemon{t: t, name: fmt.Sprintf("fantail-%d", i), dir: t.TempDir(), listen: servers.Address(t)}
		at, api := f.server.DSN, ""
		if like.url != nil {
			at = like.url(i, at)
		}
		if like.api != nil {
			api = ", advertise: \"http://" + like.api(i, d.listen) + "\""
		}
		d.write("store-url", at)
		d.write("fantail.key", strings.Repeat("k", 32))
		d.write("fantail.yaml", fmt.Sprintf(`
listen: %s
store: { postgres: { urls: ["${file:store-url}"], name: %s, dir: own%s } }
egress: { allow: [127.0.0.0/8] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 5s
%s`, d.listen, d.name, api, like.more))
		d.write("developers/acme.yaml", fmt.Sprintf("developer: acme\ndestinations:\n  - name: app\n    kind: webhook\n    timeout: 5s\n    retry: { waits: [100ms, 200ms, 1s, 5s, 10s, 10s, 20s, 30s], jitter: 0 }\n    settings: { url: %q, secret: a-secret-of-acme, allow_http: true }\n", far))
		f.daemons = append(f.daemons, d)
	}
	return f
}

func (d *daemon) write(name, text string) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		d.t.Fatal(err)
	}
}

// start runs `fantail serve` and waits until it is ready.
func (d *daemon) start() {
	d.t.Helper()
	d.done, d.log = make(chan struct{}), &bytes.Buffer{}
	d.cmd = exec.Command(cmp.Or(d.binary, binary), "serve", "--config", filepath.Join(d.dir, "fantail.yaml"))
	d.cmd.Env = append(os.Environ(), d.env...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	cmd, done := d.cmd, d.done
	go func() { d.err = cmd.Wait(); close(done) }()
	d.t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	var err error
	if d.Client, err = client.New("http://"+d.listen, "", &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}); err != nil {
		d.t.Fatal(err)
	}
	d.Patience = 0
	until(d.t, 90*time.Second, d.name+" is ready", func() bool {
		if d.ended() {
			d.t.Fatalf("%s ended: %v\n%s", d.name, d.err, d.log)
		}
		return d.Ready(d.t.Context()) == nil
	})
}

func (d *daemon) ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// kill ends the process as a crash would.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
}

// stop ends it as an operator would, and returns how long that took.
func (d *daemon) stop() time.Duration {
	d.t.Helper()
	began := time.Now()
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(2 * time.Minute):
		d.t.Fatalf("%s did not stop on SIGTERM\n%s", d.name, d.log)
	}
	if d.err != nil {
		d.t.Fatalf("%s stopped with %v\n%s", d.name, d.err, d.log)
	}
	return time.Since(began)
}

// until polls for what happens in other processes.
func until(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited %v for: %s", limit, what)
		}
	}
}

// settle waits until nothing is pending, and holds the audit and the sink to what was acknowledged.
// moments are those at which a daemon died, stood still or lost its database: only what was in flight
// shortly before one of them may have come twice.
func (f *fleet) settle(acked []string, moments []time.Time, before time.Duration) {
	f.t.Helper()
	f.balance()
	lost, doubled, unexplained := f.account(acked, moments, before)
	f.t.Logf("%d acknowledged, %d lost, %d came twice, %d of them without a reason", len(acked), len(lost), doubled, unexplained)
	if len(lost) > 0 || unexplained > 0 {
		f.t.Errorf("lost %d, doubled without a reason %d", len(lost), unexplained)
	}
	if len(acked) == 0 {
		f.t.Error("nothing was acknowledged: the test says nothing")
	}
}

// balance waits until nothing is pending, and recounts the audit.
func (f *fleet) balance() {
	f.t.Helper()
	d := f.daemons[0]
	until(f.t, 90*time.Second, "nothing is pending", func() bool {
		rows, err := d.Audit(f.t.Context(), false)
		if err != nil || len(rows) == 0 {
			return false
		}
		for _, r := range rows {
			if r.Pending > 0 {
				return false
			}
		}
		return true
	})
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	rows, err := d.Audit(ctx, true)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range rows {
		if !r.Balanced {
			f.t.Errorf("the audit does not balance: %+v, recounted %+v", r, r.Recounted)
		}
	}
}

// account asks the sink for what was acknowledged.
func (f *fleet) account(acked []string, moments []time.Time, before time.Duration) (lost []string, doubled, unexplained int) {
	for _, ref := range acked {
		times := f.sink.of(ref)
		switch {
		case len(times) == 0:
			lost = append(lost, ref)
		case len(times) > 1:
			doubled++
			if !explained(times, moments, before) {
				unexplained++
			}
		}
	}
	return lost, doubled, unexplained
}

// explained tells whether something broke between two arrivals, shortly after the first.
func explained(times, moments []time.Time, before time.Duration) bool {
	for _, m := range moments {
		if times[0].After(m.Add(-before)) && times[0].Before(m.Add(before)) {
			return true
		}
	}
	return false
}

func (d *daemon) read(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}
