package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/document"
	"github.com/seed-51f8da91/fantail/internal/explain"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/session"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/internal/trail"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// rig is an API over a real store and a real listener. acme has the
// destinations app (everything) and night (sleep); initech has crm (sleep).
type rig struct {
	t      testing.TB
	store  *pebblestore.Store
	ingest *ingest.Ingest
	sched  *scheduler
	daemon *daemon
	checks *checks
	docs   *documents
	shown  *stocks
	api    *API
	server *httptest.Server
	client *http.Client
	log    *buffer

	payloads *payload.Operator
	closed   chan net.Conn // connections as the server closes them
}

// setup says how a rig differs from the usual.
type setup struct {
	ingest  Ingest // nil: over the store
	pace    *ingest.Pace
	tokens  []Token
	maxBody int64 // 0: 1 MiB
	memory  int64
	limits  ingest.Limits
	egress  Egress
	files   *payload.Dir // served, and kept in by the operator's store; nil: none
	trace   *tracing.Tracer
	free    func() (uint64, error)
	reserve int64
	live    bool // attempts can be followed; else whoever does is told at once that it is over
}

func newRig(t testing.TB, s setup) *rig {
	t.Helper()
	r := &rig{t: t, log: &buffer{}, closed: make(chan net.Conn, 1000)}
	logger := slog.New(slog.NewTextHandler(r.log, nil))
	var err error
	if r.store, err = pebblestore.Open("store", pebblestore.Options{FS: vfs.NewMem(), Log: logger, DiskFree: s.free, Reserve: s.reserve}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	keys := []store.DestinationKey{
		{Developer: "acme", Name: "app", Kind: "webhook"},
		{Developer: "acme", Name: "night", Kind: "webhook"},
		{Developer: "initech", Name: "crm", Kind: "webhook"},
	}
	ids, err := r.store.Register(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	registered, err := r.store.Destinations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.sched = &scheduler{store: r.store}
	for i, key := range keys {
		r.sched.all = append(r.sched.all, delivery.Status{ID: ids[i], Key: key, State: "active", Breaker: "closed"})
	}
	if s.maxBody == 0 {
		s.maxBody = 1 << 20
	}
	s.limits.Body = s.maxBody
	r.ingest = ingest.New(r.store, func(*event.Event, []store.Item) {}, s.limits)
	every := func(string) bool { return true }
	sleep := func(typ string) bool { return typ == "sleep" }
	r.ingest.SetRoutes(&ingest.Routes{Developers: map[string]*ingest.Developer{
		"acme":    {ID: "acme", Destinations: []ingest.Route{{ID: ids[0], Matches: every}, {ID: ids[1], Matches: sleep}}, All: ids[:2]},
		"initech": {ID: "initech", Destinations: []ingest.Route{{ID: ids[2], Matches: sleep}}, All: ids[2:]},
	}})
	if s.ingest == nil {
		s.ingest = r.ingest
	}
	r.daemon = &daemon{names: NewNames(registered), store: r.store}
	r.checks, r.shown = &checks{}, &stocks{}
	r.docs = &documents{root: "developer: acme\ndestinations: [{ name: app, kind: webhook }]\n", changed: DocumentChanged{Version: 4, Plan: []Step{{Do: StepAdd, Developer: "acme", Destination: "app"}}}}
	replays, err := newReplays(t, r.store, r.sched, ids)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	sessions, err := session.Open(t.Context(), r.store, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	options := Options{
		Ingest: s.ingest, Pace: s.pace, Scheduler: r.sched, Store: r.store, Usage: r.store, Series: series.New(), Eraser: r.store, Daemon: r.daemon, Documents: r.docs, Replays: replays, Checks: r.checks,
		Trail:    trail.New(r.store, logger),
		Sessions: sessions, Settings: r.shown, Queues: r.store,
		Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), Registerer: registry, Log: logger,
		Tokens: s.tokens, Listen: "127.0.0.1:0", Brand: "terra", Version: "1.2.3", Egress: s.egress,
		MaxBody: s.maxBody, Memory: s.memory, Catalogue: event.DefaultCatalogue(), Trace: s.trace,
	}
	if s.files != nil {
		r.payloads = payload.NewOperator(s.files, registry, logger)
		options.Payloads, options.Files = r.payloads, s.files
	}
	r.api, err = New(options)
	if err != nil {
		t.Fatal(err)
	}
	if !s.live {
		r.api.EndLive()
	}
	r.serve()
	return r
}

func (r *rig) serve() {
	r.server = httptest.NewUnstartedServer(r.api)
	r.server.Config.ReadHeaderTimeout = 10 * time.Second
	r.server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(r.log, nil), slog.LevelWarn)
	r.server.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			r.closed <- c
		}
	}
	r.server.Start()
	r.t.Cleanup(r.server.Close)
	desc, err := loadDescription()
	if err != nil {
		r.t.Fatal(err)
	}
	r.client = &http.Client{
		Transport:     &recorder{r.t, desc, r.server.Client().Transport, recordings.add},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code returns the error's code.
func (a answer) code() string {
	var p problem
	_ = json.Unmarshal(a.body, &p)
	return p.Error.Code
}

func (a answer) String() string { return fmt.Sprintf("%d %.300s", a.status, a.body) }

// into decodes the answer.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	if err := d.Decode(v); err != nil {
		t.Fatalf("decode %s: %v", a, err)
	}
}

// do makes a request; headers are "name: value".
func (r *rig) do(method, path, body string, headers ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header[http.CanonicalHeaderKey(name)] = append(req.Header[http.CanonicalHeaderKey(name)], value)
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("%s %s: read the answer: %v", method, path, err)
	}
	return answer{res.StatusCode, res.Header, b}
}

// post hands in an event of acme and returns its id.
func (r *rig) post(body string, headers ...string) string {
	r.t.Helper()
	a := r.do("POST", "/v1/events", body, append([]string{"dev-id: acme"}, headers...)...)
	var v struct{ ID string }
	if a.into(r.t, &v); a.status != 202 {
		r.t.Fatalf("post an event: %s", a)
	}
	return v.ID
}

// stored counts the events in the store.
func (r *rig) stored() (n int) {
	r.t.Helper()
	q := store.EventQuery{Limit: 1000}
	for {
		page, err := r.store.Events(r.t.Context(), q)
		if err != nil {
			r.t.Fatal(err)
		}
		n += len(page.Items)
		if q.Cursor = page.Next; q.Cursor == "" {
			return n
		}
	}
}

func token(name, may string, developers ...string) Token {
	return NewToken(name, secret.New("secret-of-"+name), strings.Fields(may), developers)
}

func bearer(name string) string { return "Authorization: Bearer secret-of-" + name }

// scheduler stands for the real one: it keeps states and passes moves on.
type scheduler struct {
	forgotten []string // users, by ForgetUser
	store     *pebblestore.Store
	mu        sync.Mutex
	all       []delivery.Status
	moved     int

	delivery.Watchers
	watched func() // is called when somebody has begun to watch
}

func (s *scheduler) Watch(wants func(store.DestinationKey) bool) *delivery.Watch {
	w := s.Watchers.Watch(wants)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watched != nil {
		s.watched()
	}
	return w
}

var _ Scheduler = (*scheduler)(nil)

func (s *scheduler) Status() []delivery.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]delivery.Status{}, s.all...)
}

func (s *scheduler) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	return s.store.Move(ctx, now, c, ids)
}

func (s *scheduler) Moved(ms []store.Moved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved += len(ms)
}

func (s *scheduler) MovedElsewhere(ms []store.Moved) { s.Moved(ms) }

func (s *scheduler) set(id uint32, change func(*delivery.Status)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		if s.all[i].ID == id {
			change(&s.all[i])
			return nil
		}
	}
	return store.ErrNotFound
}

func (s *scheduler) Pause(_ context.Context, dest uint32, reason string) error {
	return s.set(dest, func(d *delivery.Status) { d.State, d.Reason, d.Since = "paused", reason, time.Now() })
}

func (s *scheduler) Resume(_ context.Context, dest uint32) error {
	return s.set(dest, func(d *delivery.Status) { d.State, d.Reason, d.Since = "active", "", time.Time{} })
}

func (s *scheduler) TryNow(dest uint32) {
	_ = s.set(dest, func(d *delivery.Status) { d.WaitsUntil, d.Reason = time.Time{}, "" })
}

func (s *scheduler) Waits(qs []store.QueueID) []delivery.Wait {
	s.mu.Lock()
	defer s.mu.Unlock()
	waits := make([]delivery.Wait, len(qs))
	for i, q := range qs {
		for _, d := range s.all {
			if d.ID == q.Dest {
				waits[i] = d.Wait
			}
		}
	}
	return waits
}

func (s *scheduler) ForgetUser(_ context.Context, developer, user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten = append(s.forgotten, developer+" "+user)
	return nil
}

func (s *scheduler) ForgetAnswers(developer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		if d := &s.all[i]; d.Key.Developer == developer {
			d.Last.Answer.Text, d.Last.Answer.Fault = "", ""
		}
	}
}

func (s *scheduler) Rebind(_ context.Context, dest uint32) (int, error) { return int(dest) + 40, nil }

// daemon stands for the rest.
type daemon struct {
	names              *Names
	store              *pebblestore.Store
	reload             error
	waiting, notes     []string
	plan               []Step
	asked              ReloadOptions
	backup             error
	problems, warnings []string
}

var _ Daemon = (*daemon)(nil)

func (d *daemon) Limits() config.Limits {
	return config.Limits{Body: 1 << 20, BodyRate: 1 << 10, InFlight: 7, InFlightBytes: 4 << 20, Lag: 2 * time.Second, PerDeveloper: config.PerDeveloper{
		Rate: 0.5, Pending: 9, Bytes: 8, Destinations: 1000, Attempts: 50, ShortestWait: time.Second,
	}}
}
func (d *daemon) Names() *Names { return d.names }
func (d *daemon) ReloadWith(_ context.Context, o ReloadOptions) (Reloaded, error) {
	d.asked = o
	return Reloaded{Waiting: d.waiting, Plan: d.plan, Notes: d.notes}, d.reload
}
func (d *daemon) Backup(ctx context.Context, dir string) error {
	if d.backup != nil {
		return d.backup
	}
	return d.store.Backup(ctx, dir)
}
func (d *daemon) Health() (problems, warnings []string) { return d.problems, d.warnings }

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// noLog is a store.Log and an Eraser for tests that never ask.
type noLog struct {
	store.Log
	Eraser
	store.Trail
	store.Queue
}

// stocks stands for the settings.
type stocks struct {
	frozen map[uint64]error
	seen   *event.Event
}

func (s *stocks) Explain(_ context.Context, developer string, ev *event.Event) ([]explain.Result, error) {
	if s.seen = ev; developer != "acme" {
		return nil, store.ErrNotFound
	}
	return []explain.Result{
		{Developer: "acme", Destination: "app", Kind: "webhook", Decision: explain.Sends, Request: &destination.Explanation{Target: "https://acme.example", Body: string(ev.Body)}},
		{Developer: "acme", Destination: "night", Kind: "webhook", Decision: explain.Filtered, Reason: "events: [sleep] does not include x"},
	}, nil
}

func (s *stocks) ExplainDelivery(_ context.Context, key store.DestinationKey, hash uint64, id store.DeliveryID, ev *event.Event) (explain.Result, bool, error) {
	s.seen = ev
	return explain.Result{
		Developer: key.Developer, Destination: key.Name, Kind: key.Kind, Decision: explain.Sends,
		Request: &destination.Explanation{Target: "https://example.com/" + id.String(), Body: string(ev.Body)},
	}, hash != 0, nil
}

func (*stocks) Effective() map[string]any { return map[string]any{"brand": "terra"} }

func (*stocks) EffectiveOf(key store.DestinationKey) (map[string]any, error) {
	return map[string]any{"name": key.Name}, nil
}

func (s *stocks) FrozenSettings(_ context.Context, hash uint64) (map[string]any, error) {
	if err := s.frozen[hash]; err != nil {
		return nil, err
	}
	return map[string]any{"hash": hash}, nil
}

// noValues keeps none.
type noValues struct{}

func (noValues) Put(context.Context, string, []byte) error   { return nil }
func (noValues) Get(context.Context, string) ([]byte, error) { return nil, store.ErrNotFound }

func noSessions() *session.Desk {
	d, err := session.Open(context.Background(), noValues{}, time.Now())
	if err != nil {
		panic(err)
	}
	return d
}

func (noLog) Note(context.Context, time.Time, []store.Act) error { return nil }

// documents stands for those of the daemon: it answers as it is told to, and
// remembers what it was asked.
type documents struct {
	mu      sync.Mutex
	heads   []DocumentHead
	root    string
	err     error
	changed DocumentChanged
	asked   DocumentChange
	removal DeveloperRemoval
}

var _ Documents = (*documents)(nil)

func (d *documents) DocumentHeads() []DocumentHead { return d.heads }

func (d *documents) ReadDocument(_ context.Context, developer string, version uint64) (DocumentHead, *yaml.Node, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return DocumentHead{}, nil, d.err
	}
	return DocumentHead{Developer: developer, Version: max(version, 3)}, document.Read("x", []byte(d.root), false).Root, nil
}

func (d *documents) DocumentVersions(context.Context, string) ([]DocumentHead, error) {
	return d.heads, d.err
}

func (d *documents) ChangeDocument(_ context.Context, c DocumentChange) (DocumentChanged, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = c
	return d.changed, d.err
}

func (d *documents) RemoveDeveloper(_ context.Context, r DeveloperRemoval) (DeveloperRemoved, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removal = r
	return DeveloperRemoved{Plan: d.changed.Plan, Events: 3, Cancelled: 2, Payloads: 1, Left: "something"}, d.err
}
