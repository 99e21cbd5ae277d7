package api

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fill takes all that a token may hold and returns what gives it back.
func (r *rig) fill(name string) (empty func()) {
	r.t.Helper()
	for _, p := range *r.api.tokens.Load() {
		if p.name == name {
			for _, b := range []*budget{&p.share.small, &p.share.large} {
				if err := b.take(r.t.Context(), b.size, time.Second); err != nil {
					r.t.Fatal(err)
				}
			}
			return func() { p.share.small.give(p.share.small.size); p.share.large.give(p.share.large.size) }
		}
	}
	r.t.Fatalf("no token %s with a share", name)
	return nil
}

func TestATokenHasAShare(t *testing.T) {
	r, _ := filed(t, setup{tokens: []Token{token("noisy", "ingest operate"), token("other", "ingest operate")}})
	r.api.memory.wait = time.Millisecond
	id := r.post(sleep, bearer("other"))
	empty := r.fill("noisy")
	calls := [][3]string{
		{"POST", "/v1/events", sleep},
		{"POST", "/v1/events/batch", line(sleep)},
		{"GET", "/v1/events/" + id + "/body", ""},
		{"POST", "/v1/destinations/acme/app/test", sleep},
		{"POST", "/v1/payloads/" + id + "/link", ""},
	}
	for _, c := range calls {
		headers := []string{bearer("noisy")}
		if c[1] == "/v1/events" {
			headers = append(headers, "dev-id: acme")
		}
		if got := r.do(c[0], c[1], c[2], headers...); got.status != 429 || got.code() != "busy_token" || got.header.Get("Retry-After") != "1" {
			t.Errorf("%s: %s", c[1], got)
		}
		headers[0] = bearer("other")
		if got := r.do(c[0], c[1], c[2], headers...); got.status >= 300 {
			t.Errorf("%s of another token: %s", c[1], got)
		}
	}
	empty()
	r.post(sleep, bearer("noisy"))
	metrics := string(r.do("GET", "/metrics", "", bearer("other")).body)
	if want := fmt.Sprintf("fantail_intake_refused_total{bound=\"token\"} %d\n", len(calls)); !strings.Contains(metrics, want) {
		t.Errorf("no %q in %s", want, metrics)
	}
}

// A hold that ends leaves nothing behind, whatever it went through.
func TestHoldsGiveEverythingBack(t *testing.T) {
	var m memory
	m.setup(1<<20, 0)
	m.wait = time.Millisecond
	share := m.share()
	who := &principal{share: &share}
	whole := func() [4]int64 {
		return [4]int64{m.whole.small.free, m.whole.large.free, share.small.free, share.large.free}
	}
	before := whole()
	for _, sizes := range [][]int64{{100}, {first}, {100, small, small + 1, m.batch}, {m.batch}} {
		h := m.hold(who, "acme")
		for _, n := range sizes {
			if err := h.grow(t.Context(), n, m.batch); err != nil {
				t.Errorf("%v: %v", sizes, err)
			}
		}
		var others []hold
		for err := error(nil); err == nil; { // until a bound is met
			others = append(others, m.hold(who, "acme"))
			err = others[len(others)-1].grow(t.Context(), small, m.batch)
		}
		for i := range others {
			others[i].release()
		}
		h.release()
		if after := whole(); after != before || len(m.developers) != 0 {
			t.Errorf("%v: %v, was %v; %d developers", sizes, after, before, len(m.developers))
		}
	}
}

// X8: 200 uploads of one token, a byte a second, kept everybody else out.
func TestSlowUploadsOfOneTokenAreNobodyElsesAffair(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("noisy", "ingest", "initech"), token("other", "ingest", "acme")}, maxBody: 32 << 20, memory: 256 << 20})
	const uploads = 300
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range uploads {
		conn := r.dial()
		path, framing := "/v1/events", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
		switch i % 6 {
		case 0:
			framing = "Content-Length: 33554432\r\n\r\n{"
		case 1:
			path = "/v1/events/batch"
		}
		send(conn, "POST "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: initech\r\n"+bearer("noisy")+"\r\n"+framing)
		all.Go(func() { <-stop; conn.Close() })
	}
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if used := r.api.memory.whole.small.size - r.api.memory.whole.small.left(); used >= uploads*least {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("the uploads did not begin")
		}
	}
	for range 50 {
		r.post(sleep, bearer("other"))
	}
	if got := r.do("POST", "/v1/events", sleep, bearer("noisy"), "dev-id: initech"); got.status != 202 {
		t.Errorf("another event of the slow one: %s", got)
	}
	if free := r.api.memory.whole.small.left(); free < r.api.memory.whole.small.size-uploads*first {
		t.Errorf("%d uploads of a byte hold %d bytes", uploads, r.api.memory.whole.small.size-free)
	}
	if b := &r.api.memory.whole.large; b.left() != b.size {
		t.Errorf("of the large ones' too: %d", b.size-b.left())
	}
	close(stop)
	all.Wait()
}

// left returns what is free, while others use it.
func (b *budget) left() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}

// A request that only says that it is large costs no more than one that is small.
func TestNothingIsHeldForWhatHasNotCome(t *testing.T) {
	r := newRig(t, setup{maxBody: 32 << 20, memory: 256 << 20})
	before := heapBytes()
	for range 100 {
		send(r.dial(), "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nDev-Id: acme\r\nContent-Length: 33554432\r\n\r\n{")
	}
	in, out := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, _ := http.NewRequestWithContext(t.Context(), "POST", r.server.URL+"/v1/events", in)
		req.Header.Set("Dev-Id", "acme")
		res, err := r.server.Client().Do(req)
		if err != nil || res.StatusCode != 202 {
			t.Errorf("a large one: %v, %v", res, err)
			return
		}
		res.Body.Close()
	}()
	send(out, `{"type":"a","d":"`+strings.Repeat("x", 8<<20)+`"}`)
	out.Close()
	<-done
	if grown := int64(heapBytes()) - int64(before); grown > 100<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}
