package supabase

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/sqltables/sqltablestest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// load delivers events over and over again, each until it succeeds.
type load struct {
	d       *supabase
	mu      sync.Mutex
	wake    *sync.Cond
	n, done int
	classes map[destination.Class]int
}

func (l *load) run(ctx context.Context, events []*event.Event, workers int) {
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				for i := w; i < len(events) && ctx.Err() == nil; i += workers {
					l.one(ctx, events[i])
				}
			}
		})
	}
	all.Wait()
}

func (l *load) one(ctx context.Context, e *event.Event) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		_, err := l.d.Send(ctx, destination.Delivery{ID: e.ID.String() + "_1", Attempt: attempt, Event: e})
		class, _ := destination.ClassOf(err)
		l.mu.Lock()
		l.n++
		if err == nil {
			l.done++
		} else {
			l.classes[class]++
		}
		l.wake.Broadcast()
		l.mu.Unlock()
		if err == nil {
			return
		}
	}
}

// until waits for more attempts, or more successes, than there are now.
func (l *load) until(count func() int, more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for want := count() + more; count() < want; {
		l.wake.Wait()
	}
}

// TestFaultsUnderLoad: whatever is done to a project meanwhile, in the end rows
// and objects are exactly the events, once each.
func TestFaultsUnderLoad(t *testing.T) {
	server := servers.PrivatePostgres(t)
	p := project.On(t, server.DSN)
	d := opened(t, p, func(c *Config) { c.Complete.DSN = secret.New(server.DSN) })
	var events []*event.Event
	for n := range 120 {
		body := fmt.Sprintf(`{"type":"auth","status":"success","user":{"user_id":"u%d","reference_id":"r%d"}}`, n%7, n)
		if n/4%2 == 0 { // each of the four workers has both
			body = fmt.Sprintf(`{"type":"daily","user":{"user_id":"u%d"},"data":[{"n":%d},{"n":%[2]d}]}`, n%7, n)
		}
		events = append(events, happened(t, n, body))
	}
	l := &load{d: d, classes: map[destination.Class]int{}}
	l.wake = sync.NewCond(&l.mu)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	loading := make(chan struct{})
	go func() { defer close(loading); l.run(ctx, events, 4) }()
	attempts, successes := func() int { return l.n }, func() int { return l.done }

	l.until(successes, 20) // there were no tables at all
	for _, fault := range []struct {
		name         string
		breaks, mend func()
	}{
		{"rights revoked", func() { p.Exec(t, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM service_role") },
			func() { p.Exec(t, "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO service_role") }},
		{"bucket missing", func() { p.RenameBucket("terra-payloads", "gone") }, func() { p.RenameBucket("gone", "terra-payloads") }},
		{"gateway", func() { p.Fault(project.BadGateway) }, func() { p.Fault(nil) }},
		{"a crash of the database", server.Kill, server.Start},
		{"columns dropped", func() { p.Exec(t, "ALTER TABLE terra_users DROP COLUMN provider_at, DROP COLUMN state_at") }, func() {}},
		{"tables dropped, the cache stale", func() {
			p.Deaf(true)
			p.Exec(t, "DROP TABLE terra_data_payloads")
			p.Reload(t)
		}, func() { p.Deaf(false); l.until(attempts, 20); p.Reload(t) }},
	} {
		fault.breaks()
		l.until(attempts, 20)
		fault.mend()
		l.until(successes, 30)
		l.mu.Lock()
		t.Logf("%s: %d attempts, %d of them well, %v", fault.name, l.n, l.done, l.classes)
		l.mu.Unlock()
	}
	cancel()
	<-loading
	send(t, opened(t, p), events...) // a replay after a restart

	var got, want []string
	for _, body := range bodies(t, p) {
		got = append(got, string(body))
	}
	for _, e := range events {
		for _, body := range sqltablestest.BodiesOf(e) {
			want = append(want, string(body))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d payloads, want %d, once each", len(got), len(want))
	}
	for _, u := range p.Rows(t, "terra_users", "user_id") {
		if u["state"] != "active" || u["reference_id"] == "" {
			t.Errorf("%v", u)
		}
	}
	for _, class := range []destination.Class{misconfigured, transient} {
		if l.classes[class] == 0 {
			t.Errorf("no attempt was %v: %v", class, l.classes)
		}
	}
}
