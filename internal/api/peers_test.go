package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/peer"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// board is where daemons announce themselves.
type board struct {
	mu  sync.Mutex
	all []store.Daemon
}

func (b *board) of(id string) peer.Store { return side{b, id} }

type side struct {
	*board
	id string
}

func (s side) Announce(_ context.Context, d store.Daemon) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.ID, d.Alive = s.id, true
	for i := range s.all {
		if s.all[i].ID == s.id {
			s.all[i] = d
			return nil
		}
	}
	s.all = append(s.all, d)
	return nil
}

func (s side) Daemons(context.Context) ([]store.Daemon, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append([]store.Daemon{}, s.all...)
	for i := range all {
		all[i].Self = all[i].ID == s.id
	}
	return all, nil
}

func ring(t testing.TB, keys ...string) *keyring.Ring {
	t.Helper()
	var values []secret.Value
	for _, k := range keys {
		values = append(values, secret.New(strings.Repeat(k, keyring.MinKey)))
	}
	r, err := keyring.New(values)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// together makes daemons of rigs that share a board; each has the keys given for it.
func together(t testing.TB, rigs map[string]*rig, keys map[string]*keyring.Ring) map[string]*peer.Directory {
	t.Helper()
	b, all := &board{}, map[string]*peer.Directory{}
	for name, r := range rigs {
		all[name] = peer.New(peer.Options{
			Store: b.of("id-" + name), Keys: func() *keyring.Ring { return keys[name] }, Log: slog.New(slog.NewTextHandler(r.log, nil)),
			Say: func() store.Daemon {
				return store.Daemon{Name: name, API: r.server.URL, Version: "1", Key: name, Slots: []int{1}}
			},
		})
		r.api.Peers = all[name]
		r.api.mux = r.api.newMux()
	}
	for range 2 { // the second look sees who announced themselves after the first
		for _, d := range all {
			d.Look(t.Context())
		}
	}
	return all
}

func twoDaemons(t testing.TB) (a, b *rig) {
	t.Helper()
	a, b = newRig(t, setup{live: true}), newRig(t, setup{live: true})
	keys := ring(t, "k")
	together(t, map[string]*rig{"a": a, "b": b}, map[string]*keyring.Ring{"a": keys, "b": keys})
	return a, b
}

func TestWhatOneDaemonKnowsOfADestinationBothSay(t *testing.T) {
	a, b := twoDaemons(t)
	now := time.Now().UTC().Truncate(time.Second)
	for r, set := range map[*rig]func(*delivery.Status){
		a: func(d *delivery.Status) {
			d.InFlight, d.Last = 2, store.Last{Success: now.UnixNano(), Answer: store.Answer{At: 1, Class: "transient", Code: 500}, Failed: 3}
			d.OldestPending = now
		},
		b: func(d *delivery.Status) {
			d.InFlight, d.Breaker, d.Last = 3, "open", store.Last{Success: 5, Answer: store.Answer{At: now.UnixNano(), Class: "transient", Code: 502}, Failed: 7}
			d.Wait = delivery.Wait{For: delivery.WaitBreaker, Until: now.Add(time.Hour), Reason: "it fails"}
			d.OldestPending = now.Add(-time.Hour)
		},
	} {
		if err := r.sched.set(1, set); err != nil {
			t.Fatal(err)
		}
	}
	first, second := a.do("GET", "/v1/destinations?limit=1", ""), b.do("GET", "/v1/destinations?limit=1", "")
	if first.String() != second.String() {
		t.Errorf("they say different things:\n%s\n%s", first, second)
	}
	var list struct{ Items []destinationView }
	first.into(t, &list)
	d := list.Items[0]
	if d.InFlight != 5 || d.Breaker != "open" || d.WaitsFor != delivery.WaitBreaker || d.LastAnswer.Code != 502 || d.Failed != 7 ||
		!d.LastSuccess.Equal(now) || !d.OldestPending.Equal(now.Add(-time.Hour)) {
		t.Errorf("%s", first)
	}
	if h := first.header.Get(unanswered); h != "" {
		t.Errorf("%s: %s", unanswered, h)
	}
}

// A daemon that hangs costs a second, and the answer says whose part it lacks.
func TestADaemonThatHangsCostsASecondAndIsNamed(t *testing.T) {
	a := newRig(t, setup{})
	hangs := make(chan struct{})
	b := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs }))
	defer b.Close()
	defer close(hangs)
	keys := ring(t, "k")
	together(t, map[string]*rig{"a": a, "b": {log: a.log, server: b, api: &API{}}}, map[string]*keyring.Ring{"a": keys, "b": keys})
	a.post(sleep) // which erasing tells the other of, and then of the user
	for path, method := range map[string]string{"/v1/destinations": "GET", "/v1/series": "GET", "/v1/users/u1/data?developer=acme": "DELETE"} {
		began := time.Now()
		got := a.do(method, path, "")
		if took := time.Since(began); got.status != 200 || got.header.Get(unanswered) != "b" || took > 3*time.Second {
			t.Errorf("%s: %d, %s: %q, after %v", path, got.status, unanswered, got.header.Get(unanswered), took)
		}
	}
	if n := strings.Count(a.log.String(), "did not answer"); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
}

// Nobody but a daemon that has a key gets in, and what was seen on the way opens nothing else.
func TestOnlyDaemonsAskWhatDaemonsAsk(t *testing.T) {
	a, b := newRig(t, setup{tokens: []Token{token("all", "operate")}}), newRig(t, setup{})
	all := together(t, map[string]*rig{"a": a, "b": b}, map[string]*keyring.Ring{"a": ring(t, "k"), "b": ring(t, "z")})
	plain := a.server.Client()
	for _, headers := range []http.Header{{}, {"Authorization": {"Bearer secret-of-all"}}, {"Authorization": {"Fantail-Daemon 1 x"}}} {
		for path := range peerCalls {
			req, err := http.NewRequestWithContext(t.Context(), "POST", a.server.URL+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = headers
			res, err := plain.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			if res.Body.Close(); res.StatusCode != 401 {
				t.Errorf("%s with %v: %d", path, headers, res.StatusCode)
			}
		}
	}
	if answers := all["b"].Ask(t.Context(), peer.Question{Method: "POST", Path: "/peer/waits", Body: []byte("[]")}); len(answers) != 1 || answers[0].Err == nil || !strings.Contains(answers[0].Err.Error(), "401") {
		t.Errorf("with another key: %+v", answers)
	}
}

func TestWhatAPersonDoesReachesTheOtherDaemon(t *testing.T) {
	a, b := twoDaemons(t)
	a.post(sleep)
	if err := b.sched.set(1, func(d *delivery.Status) { d.WaitsUntil, d.Reason = time.Now().Add(time.Hour), "asked to wait" }); err != nil {
		t.Fatal(err)
	}
	if got := a.do("POST", "/v1/destinations/acme/app/resume", ""); got.status != 200 || b.sched.Status()[0].WaitsUntil != (time.Time{}) {
		t.Errorf("resume: %s; there it waits until %v", got, b.sched.Status()[0].WaitsUntil)
	}
	var rebound struct{ Rebound int }
	if a.do("POST", "/v1/destinations/acme/app/rebind", "").into(t, &rebound); rebound.Rebound != 2*41 {
		t.Errorf("rebound %d, at one daemon 41", rebound.Rebound)
	}
	if got := a.do("POST", "/v1/deliveries/cancel", `{"all":true}`); got.status != 200 || b.sched.moved != 2 {
		t.Errorf("cancel: %s; the other daemon was told of %d", got, b.sched.moved)
	}
	if err := b.sched.set(1, func(d *delivery.Status) { d.Last.Answer = store.Answer{At: 1, Text: "of somebody"} }); err != nil {
		t.Fatal(err)
	}
	a.post(sleep)
	before := b.sched.moved
	if got := a.do("DELETE", "/v1/users/u1/data?developer=acme", ""); got.status != 200 || b.sched.Status()[0].Last.Answer.Text != "" || b.sched.moved != before+2 {
		t.Errorf("erase: %s; the other daemon has %q, and was told of %d", got, b.sched.Status()[0].Last.Answer.Text, b.sched.moved-before)
	}
	b.daemon.reload = &Refused{Developers: []string{"acme"}, Lines: []string{"it has a fault"}}
	if got := a.do("POST", "/v1/reload", ""); got.status != 200 || !strings.Contains(got.String(), "daemon b has not taken its files over") || !b.daemon.asked.Follows {
		t.Errorf("reload: %s", got)
	}
}

func TestAttemptsOfAllDaemonsAreFollowed(t *testing.T) {
	a, b := twoDaemons(t)
	watched := make(chan struct{}, 1)
	b.sched.watched = func() { watched <- struct{}{} }
	f := a.follow("?developer=acme", "")
	<-watched
	b.sched.Tell(attemptAt("initech", "crm", 1))
	b.sched.Tell(attemptAt("acme", "app", 2))
	if got := f.attempt(t); !strings.Contains(got, `"tried":2`) || !strings.Contains(got, `"developer":"acme"`) {
		t.Errorf("of the other daemon: %s", got)
	}
	a.sched.Tell(attemptAt("acme", "app", 3))
	if got := f.attempt(t); !strings.Contains(got, `"tried":3`) {
		t.Errorf("of this one: %s", got)
	}
	f.body.Close()
}

func TestDaemonsAreListed(t *testing.T) {
	a, _ := twoDaemons(t)
	var list struct{ Items []daemonView }
	got := a.do("GET", "/v1/daemons", "")
	got.into(t, &list)
	if len(list.Items) != 2 || list.Items[0].Name != "a" || !list.Items[0].Self || !list.Items[0].SameKeys || list.Items[1].Self || list.Items[1].SameKeys || !list.Items[1].Same || !list.Items[1].Alive {
		t.Errorf("%s", got)
	}
	alone := newRig(t, setup{tokens: []Token{token("acme", "read", "acme"), token("all", "read")}})
	if got := alone.do("GET", "/v1/daemons", "", bearer("acme")); got.status != 403 {
		t.Errorf("for a token of one developer: %s", got)
	}
	if got := alone.do("GET", "/v1/daemons", "", bearer("all")); got.status != 200 || !strings.Contains(got.String(), `"items":[]`) {
		t.Errorf("with the embedded store: %s", got)
	}
}

// What retries are frozen to is counted at all daemons.
func TestFrozenSettingsOfAllDaemonsAreCounted(t *testing.T) {
	a, b := twoDaemons(t)
	for _, r := range []*rig{a, b} {
		r.post(sleep)
		page, err := r.store.Deliveries(t.Context(), store.DeliveryQuery{Dests: []uint32{1}, Limit: 10})
		if err != nil || len(page.Items) != 1 {
			t.Fatal(page, err)
		}
		due, _, err := r.store.Due(t.Context(), store.QueueID{Dest: 1}, store.Position{}, 1<<62, 10)
		if err != nil || len(due) != 1 {
			t.Fatal(due, err)
		}
		if err := r.store.PutSettings(t.Context(), map[uint64][]byte{7: {1}}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := r.store.Settle(t.Context(), time.Now(), []store.Outcome{{Item: due[0], State: store.Pending, Due: 1 << 61, Settings: 7, Attempts: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	var got struct{ Frozen []frozenView }
	answer := a.do("GET", "/v1/destinations/acme/app/settings", "")
	answer.into(t, &got)
	if len(got.Frozen) != 1 || got.Frozen[0].Pending != 2 {
		t.Errorf("%s", answer)
	}
}
