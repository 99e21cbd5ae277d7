package destinationtest

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
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const password = "hunter2-and-more"

// memoryKind is a far side in memory behind HTTP, and a destination for it.
// Flaw names what is wrong with it; "" is nothing.
func memoryKind(flaw string) Kind {
	return Kind{
		Start: func(tb testing.TB) FarSide {
			m := &memory{flaw: flaw, got: map[string][]byte{}}
			s := httptest.NewServer(m)
			tb.Cleanup(s.Close)
			m.url = s.URL
			return m
		},
		Secrets: []string{password},
		Failures: []Failure{
			{Name: "down", Class: destination.Transient},
			{Name: "busy", Class: destination.Throttled, Wait: 7 * time.Second},
			{Name: "forbidden", Class: destination.Misconfigured},
			{Name: "engine", Class: destination.Transient, Engine: true},
			{Name: "echo", Class: destination.Transient},
			{Name: "chatty", Class: destination.Transient},
		},
		Repeat: func(_ testing.TB, far FarSide, as func(...string) string) {
			m := far.(*memory)
			m.set("repeat")
			m.repeat = as
		},
		Poison: func(tb testing.TB) (destination.Delivery, destination.Class) {
			return Delivery(tb, 1000, []byte(`{"type":"poison"}`)), destination.Rejected
		},
		Requests:    func(_ testing.TB, far FarSide) int { return far.(*memory).requested() },
		Connections: 1,
		Batches:     true, Checks: true, Explains: true, Links: true,
	}
}

type memory struct {
	flaw, url string
	shared    *http.Client // of all destinations, when that is the flaw

	mu       sync.Mutex
	broken   string
	repeat   func(credentials ...string) string
	got      map[string][]byte
	extra    [][]byte
	requests int
}

func (m *memory) requested() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests
}

func (m *memory) Stored(testing.TB) (all [][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.got {
		all = append(all, b)
	}
	return append(all, m.extra...)
}

func (m *memory) set(broken string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = broken
}

func (m *memory) Break(_ testing.TB, f Failure) { m.set(f.Name) }
func (m *memory) Mend(testing.TB)               { m.set("") }

func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var items []item
	err := json.NewDecoder(r.Body).Decode(&items)
	io.Copy(io.Discard, r.Body)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests++
	switch {
	case err != nil:
		w.WriteHeader(http.StatusTeapot)
	case m.broken == "busy":
		w.WriteHeader(http.StatusTooManyRequests)
	case m.broken == "forbidden":
		w.WriteHeader(http.StatusForbidden)
	case m.broken == "engine":
		w.WriteHeader(http.StatusNotImplemented)
	case m.broken == "echo":
		w.WriteHeader(http.StatusInternalServerError)
		r.Header.Write(w)
	case m.broken == "repeat":
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, m.repeat(r.Header.Get("Authorization")))
	case m.broken == "chatty":
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, strings.Repeat("x", 5000))
	case m.broken != "":
		w.WriteHeader(http.StatusInternalServerError)
	default:
		var refused []int
		for i, it := range items {
			if strings.Contains(string(it.Body), "poison") {
				refused = append(refused, i)
			} else if _, twice := m.got[it.ID]; twice && m.flaw == "stores repeats" {
				m.extra = append(m.extra, it.Body)
			} else {
				m.got[it.ID] = it.Body
			}
		}
		json.NewEncoder(w).Encode(refused)
	}
}

type item struct {
	ID   string
	Body []byte
}

// place is the memory's destination: good, or with the memory's flaw.
type place struct {
	*memory
	deps   destination.Deps
	client *http.Client
	stop   chan struct{}
	stuck  *error // what "stays broken" fails with for ever
	secret *string
	shown  string // the password in the clear, when that is the flaw
	turn   sync.Mutex
}

func (m *memory) Open(tb testing.TB, deps destination.Deps) destination.Destination {
	secret := password
	Lend(&deps, nowhere{})
	p := &place{memory: m, deps: deps, client: deps.HTTP, stop: make(chan struct{}), stuck: new(error), secret: &secret}
	switch m.flaw {
	case "dials on open":
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/10)
		defer cancel()
		if c, err := deps.Dial(ctx, "tcp", strings.TrimPrefix(m.url, "http://")); err == nil {
			c.Close()
		}
	case "own connections":
		p.client = &http.Client{Transport: &http.Transport{DialContext: deps.Dial}}
	case "closes others' connections":
		if m.shared == nil {
			m.shared = &http.Client{Transport: &http.Transport{DialContext: deps.Dial}}
		}
		p.client = m.shared
	case "own network":
		p.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	case "a connection each":
		p.client = &http.Client{Transport: &http.Transport{DialContext: deps.Dial, DisableKeepAlives: true}}
	case "leaks a goroutine":
		tb.Cleanup(func() { close(p.stop) })
		go func() { <-p.stop }()
	case "secret in a dump":
		p.shown = password
	}
	if m.flaw == "does not batch" {
		return struct {
			destination.Destination
			destination.Checker
			destination.Explainer
		}{p, p, p}
	}
	return p
}

func (p *place) Close() error {
	switch p.flaw {
	case "closes others' connections":
		p.client.CloseIdleConnections()
	case "fails to close":
		return errors.New("no")
	}
	return nil
}

// post sends items and returns those the far side refused.
func (p *place) post(ctx context.Context, items []item) (destination.Receipt, []int, error) {
	if p.flaw == "ignores the context" {
		ctx = context.WithoutCancel(ctx)
	}
	body, err := json.Marshal(items)
	if err != nil {
		return destination.Receipt{}, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return destination.Receipt{}, nil, err
	}
	req.Header.Set("Authorization", *p.secret)
	resp, err := p.client.Do(req)
	if err != nil {
		err = p.unreachable(err)
		return destination.Receipt{}, nil, err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	var refused []int
	json.Unmarshal(answer, &refused)
	text := string(answer)
	switch p.flaw {
	case "secret in the receipt":
	case "knows its secret as it is":
		text = strings.ReplaceAll(text, password, secret.Redacted)
	case "says nothing of answers":
		text = ""
	default:
		text = secret.NewScrubber(password).Excerpt(text, len(text))
	}
	if p.flaw != "answers without end" {
		text = text[:min(len(text), 1<<10)]
	}
	r := destination.Receipt{Code: resp.StatusCode, Answer: text, Address: "127.0.0.1:80"}
	if p.flaw == "strange address" {
		r.Address = "far away"
	}
	return r, refused, p.classify(resp.StatusCode)
}

func (p *place) unreachable(err error) error {
	switch p.flaw {
	case "unreachable is misconfigured":
		return destination.Misconfigure(err)
	case "secret in network errors":
		return fmt.Errorf("connect as %s: %w", password, err)
	}
	return err
}

func (p *place) classify(code int) error {
	if code == http.StatusOK {
		return nil
	}
	err := fmt.Errorf("answered %d", code)
	switch {
	case p.flaw == "secret in errors":
		err = fmt.Errorf("answered %d to %s", code, password)
	case p.flaw == "secret in a cause":
		err = &quiet{fmt.Errorf("answered %d to %s", code, password)}
	case p.flaw == "everything is transient":
		return err
	case p.flaw == "silent errors":
		return errors.New("")
	}
	switch code {
	case http.StatusTooManyRequests:
		if p.flaw == "forgets the wait" {
			return destination.Throttle(err, 0)
		}
		return destination.Throttle(err, 7*time.Second)
	case http.StatusForbidden:
		return destination.Misconfigure(err)
	case http.StatusNotImplemented:
		if p.flaw == "blames the far side" {
			return err
		}
		return fmt.Errorf("%w: %w", err, destination.ErrEngine)
	}
	return err
}

type quiet struct{ error }

func (q *quiet) Error() string { return "it failed" }
func (q *quiet) Unwrap() error { return q.error }

func (p *place) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	body := d.Event.Body
	switch p.flaw {
	case "re-encodes":
		var v any
		if json.Unmarshal(body, &v) == nil {
			body, _ = json.Marshal(v)
		}
	case "writes to the body":
		body[0] = ' '
	case "writes to the event":
		d.Event.Reference = "mine"
	case "drops what is sent at once":
		if !p.turn.TryLock() {
			return destination.Receipt{}, nil
		}
		defer p.turn.Unlock()
	case "a new id each time":
		d.ID = fmt.Sprint(d.ID, d.Attempt)
	case "stays broken":
		p.turn.Lock()
		defer p.turn.Unlock()
		if *p.stuck != nil {
			return destination.Receipt{}, *p.stuck
		}
	case "succeeds when cancelled":
		if ctx.Err() != nil {
			return destination.Receipt{}, nil
		}
	}
	if err := p.put(ctx, d); err != nil {
		return destination.Receipt{}, err
	}
	if p.flaw == "keeps its turn when it panics" {
		p.turn.Lock()
	}
	r, refused, err := p.post(ctx, []item{{d.ID, body}})
	if p.flaw == "keeps its turn when it panics" {
		p.turn.Unlock()
	}
	if err != nil && p.flaw == "retries" {
		r, refused, err = p.post(ctx, []item{{d.ID, body}})
	}
	if err == nil && len(refused) > 0 {
		err = p.reject()
	}
	if err != nil && p.flaw == "stays broken" {
		*p.stuck = err
	}
	return r, err
}

func (p *place) put(ctx context.Context, d destination.Delivery) error {
	return p.deps.Payloads.Put(ctx, d.Event.Developer, event.Payload{ID: d.ID, Body: d.Event.Body})
}

func (p *place) reject() error {
	if p.flaw == "poison is transient" {
		return errors.New("refused")
	}
	return destination.Reject(errors.New("refused"))
}

func (p *place) MaxBatch() int {
	if p.flaw == "no room in a batch" {
		return 0
	}
	return 50
}

func (p *place) SendBatch(ctx context.Context, ds []destination.Delivery) []destination.Result {
	var items []item
	var at []int // by item: its delivery
	rs := make([]destination.Result, len(ds))
	for i, d := range ds {
		put := func() error { return p.put(ctx, d) }
		if p.flaw == "panics as a whole batch" {
			rs[i].Err = put()
		} else {
			rs[i].Err = destination.Guard(put)
		}
		if rs[i].Err != nil {
			continue
		}
		id := d.ID
		if p.flaw == "other ids in a batch" {
			id += "b"
		}
		items, at = append(items, item{id, d.Event.Body}), append(at, i)
	}
	if p.flaw == "loses the end of a batch" {
		items = items[:max(1, len(items)-1)]
	}
	r, refused, err := p.post(ctx, items)
	for _, i := range at {
		rs[i] = destination.Result{Receipt: r, Err: err}
	}
	for _, n := range refused {
		i := at[n]
		rs[i].Err = p.reject()
		if p.flaw == "blames the neighbour" {
			rs[i], rs[i-1] = rs[i-1], rs[i]
		}
	}
	switch {
	case p.flaw == "one result for a batch":
		return rs[:1]
	case p.flaw == "batch hides failures" && len(refused) == 0:
		return make([]destination.Result, len(ds))
	}
	return rs
}

func (p *place) Check(ctx context.Context) error {
	switch p.flaw {
	case "check asks nobody":
		return nil
	case "check leaves something":
		_, _, err := p.post(ctx, []item{{"check", []byte("check")}})
		return err
	case "check finds nothing":
		_, _, _ = p.post(ctx, []item{})
		return nil
	case "check fails":
		return errors.New("no")
	}
	_, _, err := p.post(ctx, []item{})
	return err
}

func (p *place) Explain(d destination.Delivery) (destination.Explanation, error) {
	e := destination.Explanation{Target: p.url, Body: string(d.Event.Body)}
	switch p.flaw {
	case "explain sends":
		_, err := p.Send(context.Background(), d)
		return e, err
	case "explain shows the secret":
		e.Headers = http.Header{"Authorization": {password}}
	case "explains nothing":
		return destination.Explanation{}, nil
	case "explain connects":
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/10)
		defer cancel()
		_, _ = p.deps.Dial(ctx, "tcp", strings.TrimPrefix(p.url, "http://"))
	}
	return e, nil
}
