package simulation

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/webhook"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// In a quarter of the seeds half of the destinations are real webhooks. They send through real exchanges to a
// far side at the other end of a pipe. All of them have one host, as the customers of one provider do. What the
// weather lets through goes over the wire, where the far side has habits of its own.

const (
	wireHost   = "far.example"
	wireSecret = "a-secret-of-the-simulation"
)

// wired tells whether any destination of the scenario is a webhook.
func wired(seed uint64) bool {
	roll := throw(seed, 98)
	return roll.chance(0.25)
}

// hook opens d as a webhook of a process; nil: it is none.
func (w *world) hook(p *process, d *Dest) destination.Destination {
	roll := throw(w.sc.Seed, 99, uint64(d.Index))
	if !wired(w.sc.Seed) || d.Batch > 0 || roll.chance(0.5) {
		return nil
	}
	open, err := webhook.Definition().Bind(func(into any) error {
		c := into.(*webhook.Config)
		c.URL, c.AllowHTTP, c.Secret = "http://"+wireHost+"/"+d.Name, true, secret.New(wireSecret)
		return nil
	})
	if err != nil {
		panic(err)
	}
	hook, err := open(destination.Deps{
		Log: slog.New(slog.DiscardHandler), Exchange: p.wire.pool.Client(w.sc.Developers[d.Developer], nil),
		Brand: "terra", UserAgent: "Fantail/simulation",
	})
	if err != nil {
		panic(err)
	}
	return hook
}

// wire carries what the webhooks of one process send.
type wire struct {
	process *process
	pool    *exchange.Pool

	mu    sync.Mutex
	dials uint64
	far   map[net.Conn]bool
	posts map[string]*post // by delivery
	ends  sync.WaitGroup
}

// meter counts what goes through one end of a pipe.
type meter struct {
	net.Conn
	read, written atomic.Int64
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.read.Add(int64(n))
	return n, err
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.written.Add(int64(n))
	return n, err
}

// post is one attempt as the wire sees it.
type post struct {
	try      *try
	body     string
	requests int
	// kept and unanswered describe the first request: whether its connection had carried one before, and whether it
	// ended without an answer.
	kept, unanswered bool
	began            time.Time // of Send
	came, ended      time.Time
	word             bool // the far side closed the connection after an answer of success

	written *atomic.Int64 // bytes that were written to the latest connection
	end     int64         // how many they are once the body is
}

func newWire(p *process) *wire {
	w := &wire{process: p, far: map[net.Conn]bool{}, posts: map[string]*post{}}
	w.pool = exchange.NewPool(w.dial, exchange.Limits{All: 64, Owner: 16})
	return w
}

// close ends every connection. No Send is running.
func (w *wire) close() {
	w.pool.Close()
	w.mu.Lock()
	for c := range w.far {
		c.Close()
	}
	w.mu.Unlock()
	w.ends.Wait()
}

func (w *wire) dial(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	mine, far := &meter{Conn: a}, &meter{Conn: b}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials++
	no := w.dials
	w.far[far] = true
	w.ends.Go(func() {
		defer func() {
			far.Close()
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.far, far)
		}()
		w.serve(far, &mine.written, no)
	})
	return mine, nil
}

// serve is the far side of one connection. Its reader takes at once what an exchange writes at once, as the
// buffers of a socket would.
func (w *wire) serve(far *meter, written *atomic.Int64, no uint64) {
	in := bufio.NewReaderSize(far, 64<<10)
	owner := ""
	for n := uint64(1); ; n++ {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		m := w.process.engine.model
		if owner == "" {
			owner = req.URL.Path
		} else if owner != req.URL.Path {
			m.fault(nil, "a connection carries requests to %s and to %s", owner, req.URL.Path)
		}
		w.mu.Lock()
		x := w.posts[req.Header.Get("x-terra-trace-id")]
		w.mu.Unlock()
		if x == nil {
			return // the attempt is over, and its connection with it
		}
		w.mu.Lock()
		x.written, x.end = written, far.read.Load()-int64(in.Buffered())+req.ContentLength
		w.mu.Unlock()
		w.arrived(x, req, n > 1)
		roll := throw(w.process.engine.sc.Seed, 97, no, n)
		if !w.behave(x, far, in, req, &roll, n > 1) {
			return
		}
	}
}

// arrived checks a request against the contract: one request, and at most one more when the first came over a
// kept connection that ended within a second without an answer.
func (w *wire) arrived(x *post, req *http.Request, kept bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.process.engine.model
	x.requests++
	switch {
	case x.requests == 1:
		x.kept, x.came = kept, time.Now()
	case x.requests > 2:
		m.fault(x.try.d, "request %d of one attempt", x.requests)
	case !x.kept:
		m.fault(x.try.d, "a second request although the first went over a fresh connection")
	case kept:
		m.fault(x.try.d, "a second request over a kept connection")
	case !x.unanswered:
		m.fault(x.try.d, "a second request although the first was answered, or may still be")
	case x.ended.Sub(x.came) > time.Second:
		m.fault(x.try.d, "a second request %v after the first", x.ended.Sub(x.came))
	}
	signed := req.Header.Get("terra-signature")
	if err := signature.Verify(wireSecret, signed, []byte(x.body), time.Now(), time.Hour); err != nil {
		m.fault(x.try.d, "request %d is not signed: %v", x.requests, err)
	}
	earliest := x.began
	if x.requests > 1 {
		earliest = x.ended
	}
	var at int64
	if _, err := fmt.Sscanf(signed, "t=%d,", &at); err != nil || at < earliest.Unix() {
		m.fault(x.try.d, "request %d is signed with %.20s, want %d or later", x.requests, signed, earliest.Unix())
	}
}

// behave answers one request, or fails to. It returns false when the connection is over.
func (w *wire) behave(x *post, far net.Conn, in io.Reader, req *http.Request, roll *dice, kept bool) bool {
	hangUp := func(after time.Duration) bool {
		time.Sleep(after)
		w.mu.Lock()
		x.unanswered, x.ended = true, time.Now()
		w.mu.Unlock()
		far.Close()
		return false
	}
	answer := func(text string) bool {
		_, err := io.WriteString(far, text)
		return err == nil
	}
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	switch way := roll.next() % 20; {
	case way < 2 && kept:
		return hangUp(roll.upTo(time.Second))
	case way < 3 && kept:
		return hangUp(time.Second + 1 + roll.upTo(time.Second))
	case way < 3:
		return hangUp(roll.upTo(time.Second))
	case way == 3: // an interim answer is an answer
		return answer("HTTP/1.1 103 Early Hints\r\n\r\n") && hangUpHeard(far)
	case way < 7: // answers first and reads after
		return answer(ok) && w.read(x, in, req, 1+roll.upTo(time.Minute))
	case way == 7: // answers, reads a part and closes
		if !answer(ok) {
			return false
		}
		_, _ = io.CopyN(io.Discard, req.Body, req.ContentLength/2)
		w.mu.Lock()
		x.word = true
		w.mu.Unlock()
		return false
	case way == 8: // answers and never reads
		if answer(ok) {
			w.idle(10 * time.Minute)
		}
		return false
	case way < 11: // drops the connection after the answer
		return w.read(x, in, req, 0) && answer(ok) && false
	}
	return w.read(x, in, req, 0) && answer(ok)
}

// hangUpHeard closes the connection after an answer was sent.
func hangUpHeard(far net.Conn) bool {
	far.Close()
	return false
}

// read takes that long to read the body of a request.
func (w *wire) read(x *post, in io.Reader, req *http.Request, long time.Duration) bool {
	var got strings.Builder
	for part := int64(1); part <= 4; part++ {
		if !w.idle(long / 4) {
			return false
		}
		if _, err := io.CopyN(&got, req.Body, req.ContentLength*part/4-int64(got.Len())); err != nil {
			return false
		}
	}
	if got.String() != x.body {
		w.process.engine.model.fault(x.try.d, "another body arrived")
	}
	return true
}

// idle waits; false when the process died first.
func (w *wire) idle(long time.Duration) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.process.died:
		return false
	}
}

// post sends a delivery through the webhook and tells the model what came of it.
func (p *place) post(ctx context.Context, t *try, d destination.Delivery) destination.Result {
	m, w := p.world.model, p.process.wire
	x := &post{try: t, body: string(d.Event.Body), began: time.Now()}
	w.mu.Lock()
	w.posts[d.ID] = x
	w.mu.Unlock()
	r, err := p.hook.Send(ctx, d)
	w.mu.Lock()
	delete(w.posts, d.ID)
	requests, delivered := x.requests, x.word || x.written != nil && x.written.Load() >= x.end
	w.mu.Unlock()
	if r.Requests < requests {
		m.fault(t.d, "%d requests came, the attempt tells of %d", requests, r.Requests)
	}
	switch {
	case err == nil:
		if !delivered && p.process.alive() {
			m.fault(t.d, "an answer of success counts although the body was not taken")
		}
		m.took(t)
		m.ended(t, taken, 0)
	case ctx.Err() != nil:
		return p.interrupted(ctx, t)
	default:
		m.ended(t, failed, 0)
	}
	return destination.Result{Receipt: r, Err: err}
}
