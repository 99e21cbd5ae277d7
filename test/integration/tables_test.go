package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// tablesFar is a database of the customer's.
type tablesFar struct {
	server   *servers.Private
	proxy    *faults.Proxy // between the daemon and the far side
	settings string        // of the destination
	revoke   func()
	grant    string // what the reason of a hold must tell to run
	run      func(sql string)
	takeAway func() tablesRows // drops the tables and returns what was in them
	rows     func() tablesRows
	written  func(string) string // a time of an event
}

// tablesRows are all rows, payloads with what their links lead to.
type tablesRows struct {
	payloads map[string]payloadRow // by payload_id
	users    map[string]userText
}

// userText is a user as the tables have them.
type userText struct{ reference, scopes, provider, state, created, updated string }

// Whatever happens to the database under load, in the end the rows are exactly the accepted events,
// once each, and every link gives its bytes.
func TestTablesHoldWhatWasAcceptedWhateverHappens(t *testing.T) {
	for kind, far := range map[string]func(*testing.T) *tablesFar{"postgres": postgresFar, "mysql": mysqlFar, "supabase": supabaseFar} {
		t.Run(kind, func(t *testing.T) { tablesScenario(t, kind, far(t)) })
	}
}

func tablesScenario(t *testing.T, kind string, far *tablesFar) {
	h := newHome(t)
	payloads, _, _ := newS3(t)
	h.write("fantail.yaml", plain+payloads)
	h.write("developers/acme.yaml", fmt.Sprintf(`developer: acme
destinations:
  - { name: tables, kind: %s, timeout: 10s, retry: { waits: [50ms%s] }, settings: { %s } }
`, kind, strings.Repeat(", 200ms", 99), far.settings))
	d := h.start()
	l := newTablesLoad(t, d)
	l.delivered("there are no tables yet")
	l.more(tablesEach)
	lost := far.takeAway()
	l.delivered("the tables are dropped")
	for _, fault := range []struct {
		name         string
		breaks, mend func()
	}{
		{"killed", far.server.Kill, far.server.Start},
		{"stopped", far.server.Stop, far.server.Start},
		{"resets", far.proxy.Reset, far.proxy.Heal},
		{"answers lost", far.proxy.LoseAnswers, far.proxy.Heal},
		{"down", far.proxy.Down, far.proxy.Up},
	} {
		fault.breaks()
		l.failing(fault.name)
		l.more(tablesEach)
		fault.mend()
		l.delivered(fault.name)
	}
	far.proxy.Latency(30 * time.Millisecond)
	l.more(tablesEach)
	l.delivered("latency")
	far.proxy.Heal()

	far.revoke()
	l.more(tablesEach)
	if reason := l.held(); !strings.Contains(reason, far.grant) {
		t.Errorf("held for %q, without %q", reason, far.grant)
	}
	far.run(far.grant)
	if err := d.Resume(t.Context(), "acme", "tables"); err != nil {
		t.Fatal(err)
	}
	l.delivered("rights are revoked")

	events := l.end()
	t.Logf("%d events", len(events))
	d.traces(t, "tables", events)
	wantPayloads, wantUsers := map[string]payloadRow{}, map[string]userRow{}
	for _, e := range events {
		e.payloadRows(t, far.written, wantPayloads)
		e.tellUsers(t, wantUsers)
	}
	there := far.rows()
	if len(lost.payloads) == 0 || len(there.payloads) == 0 {
		t.Errorf("%d rows were dropped, %d are there", len(lost.payloads), len(there.payloads))
	}
	for id, row := range lost.payloads {
		if _, twice := there.payloads[id]; twice {
			t.Errorf("the row %s was dropped and is there", id)
		}
		there.payloads[id] = row
	}
	samePayloads(t, there.payloads, wantPayloads)

	// A replay of everything brings back what was dropped, and doubles nothing.
	r, err := d.Replay(t.Context(), client.ReplayRequest{Developer: "acme", Destination: "tables", States: []string{"delivered"}, Rate: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the replay ends", func() bool {
		if r, err = d.GetReplay(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
		return r.State == "finished"
	})
	if int(r.Made) != len(events) {
		t.Errorf("the replay made %d deliveries of %d events", r.Made, len(events))
	}
	for _, row := range d.balanced(t) {
		if row.Dead > 0 || row.Cancelled > 0 {
			t.Errorf("%+v", row)
		}
	}
	there = far.rows()
	samePayloads(t, there.payloads, wantPayloads)
	sameUsers(t, there.users, wantUsers)
	if err := d.stop(); err != nil {
		t.Errorf("the daemon stopped with %v", err)
	}
	for _, secret := range []string{"secret-of-", "X-Amz-Signature", "service-role"} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log shows %s...", secret)
		}
	}
}

func samePayloads(t *testing.T, got, want map[string]payloadRow) {
	t.Helper()
	for id, w := range want {
		g, ok := got[id]
		body := string(g.body)
		g.body, w.body = nil, slices.Clone(w.body)
		text := string(w.body)
		w.body = nil
		switch {
		case !ok:
			t.Errorf("the row %s of a %s is missing", id, w.kind)
		case fmt.Sprint(g) != fmt.Sprint(w):
			t.Errorf("the row %s is %v, want %v", id, g, w)
		case body != text:
			t.Errorf("the row %s leads to %.300q, want %.300q", id, body, text)
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			t.Errorf("the row %s is nobody's", id)
		}
	}
}

func sameUsers(t *testing.T, got map[string]userText, want map[string]userRow) {
	t.Helper()
	for id, w := range want {
		text := userText{w.reference.value, w.scopes.value, w.provider.value, w.status.value, moment(w.created), moment(w.updated)}
		if got[id] != text {
			t.Errorf("the user %s is %+v, want %+v", id, got[id], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d users, want %d", len(got), len(want))
	}
}

// tablesLoad is producers that hand events in, by the clock, until it ends.
type tablesLoad struct {
	t *testing.T
	d *daemon

	mu     sync.Mutex
	base   time.Time
	n      int
	events []*sent

	stop chan struct{}
	all  sync.WaitGroup
}

const (
	tablesProducers = 4
	tablesPace      = 20 * time.Millisecond // between two events of one producer
	tablesEach      = 20                    // events that each fault meets at least
	tablesBacklog   = 100                   // pending: then producers wait, so that slow machines come to an end
)

func newTablesLoad(t *testing.T, d *daemon) *tablesLoad {
	l := &tablesLoad{t: t, d: d, base: time.Now().Add(-time.Hour).Truncate(time.Second), stop: make(chan struct{})}
	for range tablesProducers {
		l.all.Go(func() {
			tick := time.NewTicker(tablesPace)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if l.destination().Pending < tablesBacklog {
						l.one()
					}
				case <-l.stop:
					return
				}
			}
		})
	}
	t.Cleanup(l.quit)
	return l
}

func (l *tablesLoad) quit() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.all.Wait()
}

// one hands in the next event and returns its id, "" if the daemon did not accept it.
func (l *tablesLoad) one() string {
	l.mu.Lock()
	n := l.n
	l.n++
	l.mu.Unlock()
	// The ordering times of neighbours are swapped, so that newer events often come first.
	e := &sent{name: fmt.Sprint("event ", n), body: tablesBody(n), ordering: l.base.Add(time.Duration(n^1) * time.Millisecond), reference: fmt.Sprint("reference-", n)}
	a, err := l.d.Send(l.t.Context(), client.SendRequest{Developer: "acme", Body: e.body, Reference: e.reference, Ordering: e.ordering})
	if err != nil {
		if l.t.Context().Err() == nil { // else the test is over
			l.t.Errorf("send %s: %v", e.name, err)
		}
		return ""
	}
	e.id = a.ID
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	return a.ID
}

// more hands in n events beside the producers'.
func (l *tablesLoad) more(n int) {
	for range n {
		l.one()
	}
}

// fate waits until an event handed in now comes to what done asks for.
func (l *tablesLoad) fate(what string, done func(client.Delivery) bool) {
	l.t.Helper()
	id := l.one()
	if id == "" {
		l.t.FailNow()
	}
	accepted, err := l.d.Event(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	began := time.Now()
	until(l.t, what, func() bool {
		delivery, err := l.d.Delivery(l.t.Context(), accepted.Deliveries[0])
		if err != nil {
			l.t.Fatal(err)
		}
		return done(delivery)
	})
	l.t.Logf("%s: after %v", what, time.Since(began).Round(time.Millisecond))
}

func (l *tablesLoad) failing(why string) {
	l.t.Helper()
	l.fate(why+": an attempt fails", func(d client.Delivery) bool { return d.Tried > 0 && d.State == "pending" })
}

func (l *tablesLoad) delivered(though string) {
	l.t.Helper()
	l.fate(though+": a new event arrives", func(d client.Delivery) bool { return d.State == "delivered" })
}

func (l *tablesLoad) destination() client.Destination {
	for d, err := range l.d.Destinations(l.t.Context(), "acme", "") {
		if err != nil && l.t.Context().Err() == nil {
			l.t.Errorf("list destinations: %v", err)
		}
		return d
	}
	return client.Destination{}
}

// held waits until the destination is held and no attempt from before the hold is running, and returns
// the reason.
func (l *tablesLoad) held() (reason string) {
	l.t.Helper()
	until(l.t, "the destination is held", func() bool {
		d := l.destination()
		reason = d.Reason
		return d.State == "held" && d.InFlight == 0
	})
	return reason
}

// end ends the load, waits until nothing is pending, and returns what was accepted.
func (l *tablesLoad) end() []*sent {
	l.t.Helper()
	l.quit()
	for _, row := range l.d.balanced(l.t) {
		if n := int64(len(l.events)); row.Accepted != n || row.Delivered != n {
			l.t.Errorf("%s: %d accepted, %d delivered, want %d of both", row.Destination, row.Accepted, row.Delivered, n)
		}
	}
	return l.events
}
