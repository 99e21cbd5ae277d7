package integration

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// TestADaemonOnPostgres: one daemon on PostgreSQL does what it does on the embedded store, and goes on
// by itself when the database comes back.
func TestADaemonOnPostgres(t *testing.T) {
	server := servers.PrivatePostgres(t)
	u, err := url.Parse(server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	proxy := faults.New(t, u.Host)
	u.Host = proxy.Addr
	h := newHome(t)
	h.write("fantail.yaml", `
listen: 127.0.0.1:0
store: { postgres: { urls: ["${file:store-url}"], dir: own } }
egress: { allow: [127.0.0.0/8] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 2s
`)
	h.write("store-url", u.String())
	r := newReceiver(t, nil)
	h.write("developers/acme.yaml", webhook("acme", r.URL, "a-secret-of-acme", ""))

	refused := func(want string) {
		t.Helper()
		if _, err := h.open(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it starts, or: %v, want %q", err, want)
		}
	}
	refused("no daemon makes by itself")
	h.write("fantail.key", strings.Repeat("k", 32))
	refused("run fantail store migrate")
	if _, err := pgstore.Migrate(t.Context(), pgstore.Options{URLs: []secret.Value{secret.New(u.String())}}); err != nil {
		t.Fatal(err)
	}

	d := h.start()
	sent := 0
	send := func() {
		t.Helper()
		d.send(t, "acme", fmt.Appendf(nil, `{"type":"sleep","n":%d,"user":{"user_id":"ann"}}`, sent))
		sent++
	}
	for range 20 {
		send()
	}
	r.wait(t, sent)
	d.balanced(t)
	if err := d.Backup(t.Context(), t.TempDir()+"/copy"); err == nil || !strings.Contains(err.Error(), "pg_basebackup") {
		t.Errorf("backup: %v", err)
	}

	patient := d.Patience
	d.Patience = 0 // refusals are what is looked at
	for name, fault := range map[string]struct{ begin, end func() }{
		"killed":  {server.Kill, server.Start},
		"cut off": {proxy.Down, proxy.Up},
		"stopped": {server.Freeze, server.Thaw},
	} {
		fault.begin()
		until(t, name+": events are refused", func() bool {
			began := time.Now()
			_, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)})
			refusal, ok := errors.AsType[*client.Error](err)
			if err == nil {
				sent++
			}
			return ok && refusal.Status == http.StatusServiceUnavailable && time.Since(began) < 2*time.Second
		})
		fault.end()
		until(t, name+": events are accepted again", func() bool {
			_, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)})
			if err == nil {
				sent++
			}
			return err == nil
		})
	}
	d.Patience = patient
	until(t, "what was accepted is delivered", func() bool { return len(r.all()) >= sent })
	d.balanced(t)

	// Another daemon starts where this one stopped.
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	send()
	until(t, "and goes on", func() bool { return len(r.all()) >= sent })
	d.balanced(t)
	if strings.Contains(h.log.String(), u.User.String()) {
		t.Error("the log shows the password of the database")
	}
}

// pair is two processes on one database, the receiver that they deliver to, and what they accepted.
type pair struct {
	t         *testing.T
	homes     [2]*home
	addresses [2]string
	daemons   [2]*process
	r         *receiver
	down      atomic.Bool // the receiver refuses everything

	mu       sync.Mutex
	n        int
	accepted map[string]bool // by body
	arrived  map[string]int  // and not refused
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, accepted: map[string]bool{}, arrived: map[string]int{}}
	server := servers.PrivatePostgres(t)
	if _, err := pgstore.Migrate(t.Context(), pgstore.Options{URLs: []secret.Value{secret.New(server.DSN)}}); err != nil {
		t.Fatal(err)
	}
	p.r = newReceiver(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if p.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body := string(p.r.all()[n-1].body)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.arrived[body]++
	})
	for i := range p.homes {
		h := newHome(t)
		p.homes[i], p.addresses[i] = h, servers.Address(t)
		h.write("fantail.yaml", fmt.Sprintf(`
listen: %s
store: { postgres: { urls: ["${file:store-url}"], dir: own } }
egress: { allow: [127.0.0.0/8] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 30s
`, p.addresses[i]))
		h.write("store-url", server.DSN)
		h.write("fantail.key", strings.Repeat("k", 32))
		h.write("developers/acme.yaml", webhook("acme", p.r.URL, "a-secret-of-acme", "retry: { waits: ["+strings.Repeat("500ms, ", 59)+"500ms] }"))
		p.start(i)
	}
	return p
}

func (p *pair) start(i int) { p.daemons[i] = p.homes[i].serve(p.addresses[i]) }

// send has one of the daemons accept an event: the first in line that does.
func (p *pair) send(order ...int) {
	p.mu.Lock()
	p.n++
	n := p.n
	p.mu.Unlock()
	body := fmt.Sprintf(`{"type":"sleep","n":%d}`, n)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		for _, i := range order {
			p.mu.Lock()
			d := p.daemons[i]
			p.mu.Unlock()
			if _, err := d.Send(p.t.Context(), client.SendRequest{Developer: "acme", Body: []byte(body), IdempotencyKey: fmt.Sprint("key-", n)}); err == nil {
				p.mu.Lock()
				p.accepted[body] = true
				p.mu.Unlock()
				return
			}
		}
	}
	p.t.Errorf("nobody accepts %s", body)
}

// delivered waits until all that was accepted has arrived.
func (p *pair) delivered(what string) {
	p.t.Helper()
	until(p.t, what, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for body := range p.accepted {
			if p.arrived[body] == 0 {
				return false
			}
		}
		return true
	})
}

// balanced waits until a daemon knows what the other counted, and looks whether that is right.
func (p *pair) balanced(i int) {
	p.t.Helper()
	d := p.daemons[i]
	until(p.t, "everything is counted", func() bool {
		rows, err := d.Audit(p.t.Context(), false)
		return err == nil && rows[0].Delivered == int64(len(p.accepted))
	})
	d.balanced(p.t)
}

func (p *pair) doubled() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, times := range p.arrived {
		if times > 1 {
			n++
		}
	}
	return n
}

// TestADaemonGoesOnWithTheWorkOfOneThatWasKilled.
func TestADaemonGoesOnWithTheWorkOfOneThatWasKilled(t *testing.T) {
	p := newPair(t)
	for i := range 20 {
		p.send(i % 2)
	}
	p.delivered("what both accepted arrives")
	if n := p.doubled(); n > 0 {
		t.Errorf("%d arrived twice", n)
	}
	p.down.Store(true)
	before := len(p.r.all())
	for range 20 {
		p.send(0)
	}
	until(t, "attempts fail", func() bool { return len(p.r.all()) > before })
	p.daemons[0].crash()
	killed := time.Now()
	p.down.Store(false)
	p.send(1) // the other accepts meanwhile
	p.delivered("the deliveries of the daemon that was killed arrive")
	if took := time.Since(killed); took > time.Minute {
		t.Errorf("the last arrived %v after the kill", took)
	}
	p.balanced(1)
}

// TestDaemonsAreReplacedUnderLoad, one after the other: nothing is lost or doubled.
func TestDaemonsAreReplacedUnderLoad(t *testing.T) {
	p := newPair(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
					p.send(w, 1-w)
				}
			}
		})
	}
	for i := range p.daemons {
		if err := p.daemons[i].stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		d := p.homes[i].serve(p.addresses[i])
		p.mu.Lock()
		p.daemons[i] = d
		p.mu.Unlock()
	}
	close(stop)
	wg.Wait()
	p.delivered("what was accepted meanwhile arrives")
	if n := p.doubled(); n > 0 {
		t.Errorf("%d of %d arrived twice", n, p.n)
	}
	p.balanced(0)
}
