package odd_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/odd"
)

var (
	// identity is that of every server here. The process trusts its authority, so that destinations need no
	// settings of their own and share what they share in production.
	identity servers.Identity
	// logged is what package log printed: net/http's transport quotes answers there.
	logged buffer
	// heavy bounds how many large bodies are sent at once, so that the rest of the tests keeps its times.
	heavy = make(chan struct{}, 3)
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "24") // tests here wait most of the time
	log.SetOutput(&logged)
	if err := trust(); err != nil {
		panic(err)
	}
	m.Run()
}

// trust makes an authority that all of this process trusts.
func trust() (err error) {
	if identity, err = servers.NewIdentity(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fantail-odd-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, identity.CA, 0o600); err != nil {
		return err
	}
	os.Setenv("SSL_CERT_FILE", ca)
	_, err = x509.SystemCertPool() // is read once
	return err
}

// buffer is written to by many.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return b.text.String()
}

// TestRows runs every kind that speaks HTTP against every server that it may meet. For all of them, one
// attempt is one request, takes a bounded time, and ends as the server said. The next delivery works.
// Package log, which has neither scrubber nor limit, prints nothing.
func TestRows(t *testing.T) {
	t.Parallel()
	t.Run("kinds", func(t *testing.T) {
		for _, k := range kinds {
			for _, row := range odd.Rows(k.refusal) {
				if !row.Every && k.name != "webhook" {
					continue
				}
				for _, over := range row.Transports() {
					for _, size := range row.Bodies() {
						t.Run(fmt.Sprintf("%s/%s/%s/%d KiB", k.name, row.Name, over, size>>10), func(t *testing.T) {
							t.Parallel()
							if size > odd.Small {
								heavy <- struct{}{}
								defer func() { <-heavy }()
							}
							unhurt(t, func(t testing.TB) { newTrial(t, k, row, over).run(size) })
						})
					}
				}
			}
		}
	})
	if text := logged.take(); text != "" {
		t.Errorf("package log printed:\n%.3000s", text)
	}
}

// trial is one kind at one server.
type trial struct {
	testing.TB
	kind   kind
	row    odd.Row
	server *odd.Server
	dest   destination.Destination
	n      int // of deliveries
}

func newTrial(t testing.TB, k kind, row odd.Row, over odd.Transport) *trial {
	s := odd.Start(t, row, over, identity, k.service)
	d := k.open(t, s.URL)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &trial{t, k, row, s, d, 0}
}

func (t *trial) run(size int) {
	if t.row.Kept {
		if o := t.send(odd.Small, unhurried); o.err != nil {
			t.Errorf("while the server is sound: %v", o.err)
			return
		}
	}
	var last outcome
	for i := range max(t.row.Times, 1) {
		if i > 0 && t.row.Gap > 0 {
			<-time.After(t.row.Gap + time.Duration(i%7-3)*t.row.Gap/50) // now shortly before, now shortly after
		}
		last = t.send(size, t.row.Patience())
		t.judge(last)
		if t.Failed() {
			return
		}
	}
	t.server.Mend()
	if t.row.MaxTLS == 0 {
		t.judgeNext(last)
	}
}

// outcome is an attempt and the requests that it made.
type outcome struct {
	delivery destination.Delivery
	receipt  destination.Receipt
	err      error
	took     time.Duration
	requests []*odd.Request
}

// unhurried is the timeout of an attempt that only has to arrive.
const unhurried = time.Minute

func (t *trial) send(size int, timeout time.Duration) (o outcome) {
	t.n++
	o.delivery = t.kind.delivery(t, t.n, size)
	before := len(t.server.Requests())
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	start := time.Now()
	o.receipt, o.err = t.dest.Send(ctx, o.delivery)
	o.took = time.Since(start)
	if t.row.Gap == 0 && o.err != nil { // one that is repeated late is seen, too
		<-time.After(50 * time.Millisecond)
	}
	for _, r := range t.server.Requests()[before:] {
		if t.kind.service.Picks == nil || t.kind.service.Picks(r) {
			o.requests = append(o.requests, r)
		}
	}
	return o
}

// judge compares an attempt with what the row wants.
func (t *trial) judge(o outcome) {
	t.Helper()
	want := t.row.Want
	defer func() {
		if t.Failed() {
			t.Logf("the attempt took %v: %+v, %v", o.took.Round(time.Millisecond), o.receipt, o.err)
			for _, r := range o.requests {
				t.Logf("request %s", r)
			}
		}
	}()
	if (o.err == nil) != want.Delivered && !want.Either {
		t.Errorf("delivered: %v, want %v", o.err == nil, want.Delivered)
	}
	if o.receipt.Code != want.Status && want.Status != odd.Any && (t.kind.name == "webhook" || o.err != nil) {
		t.Errorf("the receipt says %d, want %d", o.receipt.Code, want.Status)
	}
	if o.err != nil {
		class, wait := destination.ClassOf(o.err)
		expect := t.kind.class(want.Status, want.Wait > 0)
		if want.Foreign && t.kind.name != "webhook" { // to a webhook nothing is misconfigured
			expect = destination.Misconfigured
		}
		if class != expect || wait != want.Wait {
			t.Errorf("it is %v and waits %v, want %v and %v", class, wait, expect, want.Wait)
		}
		if strings.ContainsFunc(o.err.Error(), unicode.IsControl) {
			t.Errorf("%q has control characters", o.err)
		}
		if !regexp.MustCompile(want.Text).MatchString(o.err.Error()) {
			t.Errorf("%q does not say %s", o.err, want.Text)
		}
	}
	if strings.Contains(fmt.Sprint(o.err)+o.receipt.Answer, token) {
		t.Errorf("a secret is shown: %v, %q", o.err, o.receipt.Answer)
	}
	if len(o.receipt.Answer) > 1<<10 || !regexp.MustCompile(want.Answer).MatchString(o.receipt.Answer) {
		t.Errorf("the answer is shown as %.1100q, want %s", o.receipt.Answer, want.Answer)
	}
	most := max(want.Requests, 1)
	if want.Again && len(o.requests) > 0 && o.requests[0].Kept {
		most++
	}
	if n, least := len(o.requests), 1; want.None && n > 0 || !want.None && (n < least || n > most) {
		t.Errorf("%d requests, want %d to %d, none: %v", n, least, most, want.None)
	}
	within := t.row.Patience() + 30*time.Second // a busy machine stands still for some
	if want.Within > 0 {
		within = want.Within
	}
	if o.took > within {
		t.Errorf("it took longer than %v", within)
	}
	if o.err == nil && !want.Torn {
		t.arrived(o)
	}
}

// arrived expects that whatever counts as delivered has arrived whole.
func (t *trial) arrived(o outcome) {
	t.Helper()
	whole := func() (n int) {
		for _, r := range o.requests {
			if r.Whole() && (t.kind.name != "webhook" || r.Is(o.delivery.Event.Body)) {
				n++
			}
		}
		return n
	}
	for deadline := time.Now().Add(time.Minute); whole() == 0; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("it counts as delivered and did not arrive whole: %v", o.requests)
			return
		}
	}
}

// judgeNext expects that the next delivery arrives.
func (t *trial) judgeNext(last outcome) {
	t.Helper()
	next := t.send(odd.Small, unhurried)
	if next.err != nil {
		t.Errorf("the next delivery fails at a sound server: %v", next.err)
		return
	}
	if len(next.requests) == 0 || len(next.requests) > 2 {
		t.Errorf("the next delivery is %d requests", len(next.requests))
		return
	}
	t.arrived(next)
	if n := len(last.requests); t.row.Want.Fresh && n > 0 && last.requests[n-1].Conn == next.requests[0].Conn {
		t.Error("the next delivery goes over the same connection")
	}
}
