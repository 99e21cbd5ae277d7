package pgstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

var ctx = context.Background()

func entryTo(body string, to ...uint32) *store.Entry {
	return &store.Entry{To: to, Event: &event.Event{Developer: "acme", Reference: "ref", Envelope: event.Envelope{Type: "activity"}, Body: []byte(body)}}
}

func register(t testing.TB, s *Store) uint32 {
	t.Helper()
	ids, err := s.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "app", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

func appendOne(t testing.TB, s *Store, e *store.Entry) store.Appended {
	t.Helper()
	out, err := s.Append(ctx, time.Now(), []*store.Entry{e})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// far is a server behind a faulty network.
type far struct {
	server *servers.Private
	proxy  *faults.Proxy
	direct string
	url    string
}

func newFar(t testing.TB) *far {
	t.Helper()
	f := &far{server: servers.PrivatePostgres(t)}
	f.direct = freshOn(t, f.server.DSN)
	u, err := url.Parse(f.direct)
	if err != nil {
		t.Fatal(err)
	}
	f.proxy = faults.New(t, u.Host)
	u.Host = f.proxy.Addr
	f.url = u.String()
	return f
}

// TestNothingAcceptedIsLostUnderFaults has producers at work while the database fails in every
// way and recovers. Every accepted event is stored once, every delivery is offered, and
// refusals come in time.
func TestNothingAcceptedIsLostUnderFaults(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	filler := make([]byte, 40<<10)
	rand.NewChaCha8([32]byte{}).Read(filler)
	for name, fault := range map[string]struct {
		begin, end func()
		filler     []byte // in each body
	}{
		"killed":       {begin: f.server.Kill, end: f.server.Start},
		"stopped":      {begin: f.server.Freeze, end: f.server.Thaw},
		"cut off":      {begin: f.proxy.Down, end: f.proxy.Up},
		"lost answers": {begin: f.proxy.LoseAnswers, end: f.proxy.Heal},
		"reset":        {begin: f.proxy.Reset, end: f.proxy.Heal},
		"hangs":        {begin: f.proxy.Hang, end: func() { f.proxy.Heal(); f.proxy.Down(); f.proxy.Up() }},
		"slow":         {begin: func() { f.proxy.Latency(700 * time.Millisecond) }, end: f.proxy.Heal},
		"read-only": {begin: func() {
			exec(t, f.direct, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
		},
			end: func() {
				exec(t, f.direct+"&options=-c%20default_transaction_read_only%3Doff", "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
			}},
		"full": {begin: func() { f.server.Full(1<<20 + 8<<10) }, end: f.server.Roomy, filler: filler},
	} {
		t.Run(name, func(t *testing.T) { survives(t, f, fault.begin, fault.end, fault.filler) })
	}
}

func survives(t *testing.T, f *far, begin, end func(), filler []byte) {
	var mu sync.Mutex
	known := map[event.ID]bool{} // deliveries that the engine would know of
	s := openAt(t, f.url, func(o *Options) {
		o.Adopted = func(ms []store.Moved) {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range ms {
				known[m.ID.Event] = true
			}
		}
	})
	dest := register(t, s)
	before := s.Counts(dest)
	accepted := map[event.ID]bool{}
	var refused int
	var slowest time.Duration
	first := time.Now()
	stop, outcomes := make(chan struct{}), make(chan store.Item, 1<<16)
	var wg, settling sync.WaitGroup
	settling.Go(func() { // as the engine does: until the store takes it
		for it := range outcomes {
			o := store.Outcome{Item: it, State: store.Delivered, Attempts: 1}
			eventually(t, "an outcome is taken", func() bool {
				_, err := s.Settle(ctx, time.Now(), []store.Outcome{o})
				return err == nil
			})
		}
	})
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				out, err := s.Append(ctx, began, []*store.Entry{entryTo(fmt.Sprintf(`{"w":%d,"n":%d}%s`, w, n, filler), dest)})
				mu.Lock()
				var u *store.Unavailable
				switch {
				case err == nil:
					accepted[out[0].ID], known[out[0].ID] = true, true
				case errors.As(err, &u):
					refused++
				default:
					t.Errorf("append: %v", err)
				}
				slowest = max(slowest, time.Since(began))
				mu.Unlock()
				if err != nil {
					time.Sleep(20 * time.Millisecond)
				} else {
					outcomes <- out[0].Items[0]
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(accepted) }
	eventually(t, "events are accepted", func() bool { return count() > 20 })
	mu.Lock()
	unhurt, began := refused, time.Now()
	mu.Unlock()
	begin()
	eventually(t, "the fault is noticed, for longer than a commit may take", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return time.Since(began) > stallAfter && (refused > unhurt || slowest > 500*time.Millisecond)
	})
	end()
	healed := count()
	eventually(t, "events are accepted again", func() bool { return count() > healed+20 })
	close(stop)
	wg.Wait()
	close(outcomes)
	settling.Wait()
	if refused == 0 && slowest < 500*time.Millisecond {
		t.Error("the fault did nothing")
	}
	if limit := answerWithin + 15*time.Second; slowest > limit { // the machine may be busy
		t.Errorf("somebody waited for %v", slowest)
	}
	stored := map[event.ID]bool{}
	for cursor := ""; ; {
		page, err := s.Events(ctx, store.EventQuery{Limit: 1000, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Items {
			stored[e.Event.ID] = true
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for id := range accepted {
		if !stored[id] {
			t.Errorf("%v was accepted and is lost", id)
		}
	}
	// An event that was stored though no caller was told is pending, and the engine knows it.
	items, _, err := s.Due(ctx, store.QueueID{Dest: dest}, store.Position{}, 1<<62, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if !known[it.ID.Event] && it.ID.Event.Time().After(first) {
			t.Errorf("%v is pending and nobody knows it", it.ID)
		}
	}
	rows, err := s.Audit(ctx, true, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Counts != *r.Recounted {
			t.Errorf("counters %+v, recounted %+v", r.Counts, *r.Recounted)
		}
		eventually(t, "memory follows what a crash has lost", func() bool { return r.Counts == s.Counts(r.Dest) })
	}
	if after := s.Counts(dest); after.Accepted-before.Accepted < int64(len(accepted)) {
		t.Errorf("%d were accepted, counted %d", len(accepted), after.Accepted-before.Accepted)
	}
	t.Logf("%d accepted, %d refused, nobody waited longer than %v", len(accepted), refused, slowest)
}

// TestAnAnswerThatIsLostAfterCommit (T20): the commit is done, but its answer is lost. Another
// connection finds that out, and the caller is told that the event is stored.
func TestAnAnswerThatIsLostAfterCommit(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	s := openAt(t, f.url)
	dest := register(t, s)
	appendOne(t, s, entryTo(`{"n":1}`, dest))
	f.proxy.LoseAnswers()
	done := make(chan error, 1)
	go func() {
		_, err := s.Append(ctx, time.Now(), []*store.Entry{entryTo(`{"n":2}`, dest)})
		done <- err
	}()
	eventually(t, "the answer is lost", func() bool { return s.health.lost.Load() > 0 })
	if s.Ready() == nil {
		t.Error("ready while nobody knows what became of a commit")
	}
	f.proxy.Heal()
	err := <-done
	n := 0
	page, listErr := s.Events(ctx, store.EventQuery{Limit: 10})
	if listErr != nil {
		t.Fatal(listErr)
	}
	if n = len(page.Items); (n == 2) != (err == nil) {
		t.Errorf("append said %v, and %d events are stored", err, n)
	}
}

// TestCloseWaitsForNobodyWhoDoesNotAnswer: Close tells callers that wait that nobody knows
// whether their events are stored.
func TestCloseWaitsForNobodyWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	s, err := Open(ctx, optionsOf(f.url))
	if err != nil {
		t.Fatal(err)
	}
	dest := register(t, s)
	it := appendOne(t, s, entryTo(`{"n":1}`, dest)).Items[0]
	f.server.Freeze()
	defer f.server.Thaw()
	done := make(chan error, 2)
	go func() {
		_, err := s.Append(ctx, time.Now(), []*store.Entry{entryTo(`{"n":2}`, dest)})
		done <- err
	}()
	go func() {
		_, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered}})
		done <- err
	}()
	eventually(t, "commits wait", func() bool { return s.health.slow.Load() >= 2 })
	began := time.Now()
	s.Close()
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	for range 2 {
		var u *store.Unavailable
		if err := <-done; !errors.As(err, &u) {
			t.Errorf("who waited was told %v", err)
		}
	}
}
