package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// moreAt names databases as further primaries: b, c and so on.
func moreAt(urls ...string) (more []More) {
	for i, u := range urls {
		more = append(more, More{Name: string(rune('b' + i)), URLs: []secret.Value{secret.New(u)}})
	}
	return more
}

// patient has a store of several databases wait for a busy machine.
func patient(o *Options) { o.patience = time.Minute }

// openParts opens a store of several databases, the first of which is the home database.
func openParts(t testing.TB, urls []string, change ...func(*Options)) *Primaries {
	t.Helper()
	p, err := OpenPrimaries(ctx, optionsWith(urls[0], change...), moreAt(urls[1:]...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

// active waits until events go to all databases.
func (p *Primaries) isActive(t testing.TB) *Primaries {
	t.Helper()
	eventually(t, "events go to every database", func() bool {
		return !slices.ContainsFunc(p.more, func(m *primary) bool { return !m.active.Load() || m.misses() })
	})
	return p
}

// placedParts is a store of two databases that knows where they are.
type placedParts struct {
	*Primaries
	urls []string
}

// TestConformanceOfSeveralPrimaries: a store of two databases is a store.
func TestConformanceOfSeveralPrimaries(t *testing.T) {
	only := []string{"append", "idempotency", "idempotency by id", "settle", "usage", "search", "settings", "retain", "random"}
	if long() {
		only = nil
	}
	conforms(t, 2, only, func(_ testing.TB, server *servers.Private) storetest.Harness {
		return storetest.Harness{
			Seeds: []uint64{5},
			Open: func(t testing.TB) store.Store {
				p := &placedParts{urls: []string{freshOn(t, server.DSN), freshOn(t, server.DSN)}}
				p.Primaries = openParts(t, p.urls, patient).isActive(t)
				return p
			},
			Reopen: func(t testing.TB, s store.Store) store.Store {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				again := *s.(*placedParts)
				again.Primaries = openParts(t, again.urls, patient).isActive(t)
				return &again
			},
			Stall: func(t testing.TB, s store.Store) func() { return stall(t, s.(*placedParts).urls[0]) },
		}
	})
}

// partsCluster is a store of two databases and the daemons on it, each behind a network of its own.
type partsCluster struct {
	direct []string
	lease  time.Duration

	mu      sync.Mutex
	stores  map[int]*Primaries
	proxies map[int][]*faults.Proxy
	fatal   map[int]error
}

// TestConformanceOfSeveralDaemonsOnSeveralPrimaries.
func TestConformanceOfSeveralDaemonsOnSeveralPrimaries(t *testing.T) {
	t.Parallel()
	server := servers.PrivatePostgres(t)
	storetest.RunShared(t, storetest.SharedHarness{New: func(t testing.TB, lease time.Duration) (storetest.Cluster, time.Duration) {
		c := &partsCluster{direct: []string{freshOn(t, server.DSN), freshOn(t, server.DSN)}, stores: map[int]*Primaries{}, proxies: map[int][]*faults.Proxy{}, fatal: map[int]error{}}
		c.lease = lasting(t, c.direct[0], lease)
		return c, c.lease
	}})
}

func (c *partsCluster) Open(t testing.TB, i int, serial func(uint32) bool) store.Shared {
	var urls []string
	c.mu.Lock()
	for _, u := range c.direct {
		proxy, url := proxied(t, u)
		c.proxies[i], urls = append(c.proxies[i], proxy), append(urls, url)
	}
	c.mu.Unlock()
	p, err := OpenPrimaries(ctx, optionsWith(urls[0], patient, func(o *Options) {
		o.Lease, o.Serial = c.lease, serial
		o.Fatal = func(err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.fatal[i] = err
		}
	}), moreAt(urls[1:]...))
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stores[i] = p
	t.Cleanup(func() { _ = p.Close() }) // of one that was killed it fails
	return p.isActive(t)
}

func (c *partsCluster) Kill(_ testing.TB, i int) { c.Cut(nil, i) }

func (c *partsCluster) Cut(_ testing.TB, i int) (mend func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	proxies, p := c.proxies[i], c.stores[i]
	for _, proxy := range proxies {
		proxy.Down()
	}
	return func() {
		for _, proxy := range proxies {
			proxy.Up()
		}
		away := func(m *primary) bool { return !m.store.Load().health.reachable() || m.misses() }
		for end := time.Now().Add(30 * time.Second); (!p.home.health.reachable() || slices.ContainsFunc(p.more, away)) && c.Fatal(i) == nil && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func (c *partsCluster) Fatal(i int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fatal[i]
}

// spread appends entries one by one until at least n lie in the further primary, and n at home.
func (p *Primaries) spread(t testing.TB, dest uint32, n int) (there, home []store.Item) {
	t.Helper()
	eventually(t, "events go to every database", func() bool {
		far, near := p.split(p.put(t, dest, 1))
		there, home = append(there, far...), append(home, near...)
		return len(there) >= n && len(home) >= n
	})
	return there, home
}

// put appends n entries one by one.
func (p *Primaries) put(t testing.TB, dest uint32, n int) (items []store.Item) {
	t.Helper()
	for range n {
		items = append(items, p.putOne(t, entryTo(`{}`, dest)).Items...)
	}
	return items
}

func (p *Primaries) putOne(t testing.TB, e *store.Entry) (out store.Appended) {
	t.Helper()
	eventually(t, "an event is accepted", func() bool {
		got, err := p.Append(ctx, time.Now(), []*store.Entry{e})
		if _, busy := errors.AsType[*store.Unavailable](err); busy {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		out = got[0]
		return true
	})
	return out
}

func (p *Primaries) dest(t testing.TB) uint32 {
	t.Helper()
	ids, err := p.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "x", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

func delivered(items ...store.Item) (all []store.Outcome) {
	for _, it := range items {
		all = append(all, store.Outcome{Item: it, State: store.Delivered, Attempts: 1, Attempt: &store.Attempt{At: time.Now().UnixNano(), Class: "delivered", Counted: true}})
	}
	return all
}

// balances audits over all databases. What a busy machine said is not known may have been accepted, too.
func (p *Primaries) balances(t testing.TB, dest uint32, want store.Counts) {
	t.Helper()
	audit, err := p.Audit(ctx, true, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range audit {
		if row.Counts != *row.Recounted {
			t.Errorf("counted %+v, and again %+v", row.Counts, *row.Recounted)
		}
		if c := row.Counts; row.Dest == dest && (c.Accepted < want.Accepted || c.Delivered != want.Delivered || c.Cancelled != want.Cancelled || c.Dead > 0 ||
			c.Pending != c.Accepted-c.Delivered-c.Cancelled) {
			t.Errorf("counted %+v, want %+v", row.Counts, want)
		}
	}
}

// split tells how many of some items lie in the further primary.
func (p *Primaries) split(items []store.Item) (there, home []store.Item) {
	for _, it := range items {
		if p.of(it.ID.Event) != nil {
			there = append(there, it)
		} else {
			home = append(home, it)
		}
	}
	return there, home
}

// TestAPrimaryThatIsDown: what lies there stands still, everything else goes on, and nothing is lost.
func TestAPrimaryThatIsDown(t *testing.T) {
	t.Parallel()
	b := freshDatabase(t)
	proxy, through := proxied(t, b)
	p := openParts(t, []string{freshDatabase(t), through}, func(o *Options) { o.Lease, o.patience = 5*time.Second, 2*time.Second }).isActive(t)
	heard := &listener{}
	p.Follow(heard)
	dest := p.dest(t)
	there, home := p.spread(t, dest, 3)
	n := len(there) + len(home)
	keyed := entryTo(`{"k":1}`, dest)
	keyed.IdempotencyKey = "k"
	var first store.Appended
	for p.of(first.ID) == nil { // until one lies there
		keyed.IdempotencyKey += "k"
		first = p.putOne(t, keyed)
		n++
	}

	proxy.Down()
	eventually(t, "it is known to be away", func() bool { _, err := p.more[0].up(); return err != nil })
	for _, it := range p.put(t, dest, 4) {
		if p.of(it.ID.Event) != nil {
			t.Errorf("an event went to a primary that is down")
		}
	}
	n += 4
	if _, err := p.Append(ctx, time.Now(), []*store.Entry{keyed}); err == nil {
		t.Errorf("a key whose event lies where nobody can look is answered")
	}
	eventually(t, "what lies at home alone is due", func() bool {
		items, _, err := p.Due(ctx, store.QueueID{Dest: dest}, store.Position{}, 1<<62, 100)
		if err != nil {
			t.Fatal(err)
		}
		far, _ := p.split(items)
		return len(far) == 0 && len(items) > 0
	})
	out, err := p.Settle(ctx, time.Now(), delivered(home[0], there[0]))
	if err != nil || out[0].State != store.Delivered || out[1].State != store.Pending || out[1].Item != (store.Item{}) {
		t.Errorf("outcomes while a primary is down: %+v, %v; want that of home recorded, and the other with somebody else", out, err)
	}
	eventually(t, "nothing of what lies there is begun", func() bool { return !p.Holds(there[1].ID.Event) })
	if !p.Owned() || !p.Holds(home[1].ID.Event) {
		t.Errorf("what lies at home may not begin, either")
	}
	if err := p.Ready(); err != nil {
		t.Errorf("nothing is accepted while a further primary is down: %v", err)
	}
	if w := strings.Join(p.Warnings(), "; "); !strings.Contains(w, "primary b") {
		t.Errorf("warnings do not name the primary that is down: %q", w)
	}
	if _, err := p.EventRecord(ctx, home[0].ID.Event); err != nil {
		t.Errorf("an event at home cannot be read: %v", err)
	}

	proxy.Up()
	eventually(t, "somebody is told of what lies there", func() bool { _, ok := heard.told(dest); return ok })
	eventually(t, "the outcome of before is recorded", func() bool {
		d, _, err := p.Delivery(ctx, there[0].ID)
		return err == nil && d.State == store.Delivered
	})
	eventually(t, "it may begin again", func() bool { return p.Holds(there[1].ID.Event) })
	items, _, err := p.Due(ctx, store.QueueID{Dest: dest}, store.Position{}, 1<<62, 100)
	if err != nil || len(items) < n-2 || !slices.IsSortedFunc(items, func(a, b store.Item) int { return comparePositions(a.Position(), b.Position()) }) {
		t.Errorf("%d deliveries are due in order, %v; want %d", len(items), err, n-2)
	}
	if again := p.putOne(t, keyed); !again.Duplicate || again.ID != first.ID {
		t.Errorf("the key is answered with %+v, want the event %v", again, first.ID)
	}
	p.balances(t, dest, store.Counts{Accepted: int64(n), Delivered: 2})
}

// TestAPrimaryIsAddedWhileDaemonsRun: no event goes there before every daemon knows it, and from then on no
// daemon starts that does not.
func TestAPrimaryIsAddedWhileDaemonsRun(t *testing.T) {
	t.Parallel()
	urls := []string{freshDatabase(t), freshDatabase(t)}
	old := openAt(t, urls[0])
	dest, err := old.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "x", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	keyed := entryTo(`{"k":1}`, dest...)
	keyed.IdempotencyKey = "before"
	first, err := old.Append(ctx, time.Now(), []*store.Entry{keyed})
	if err != nil {
		t.Fatal(err)
	}
	p := openParts(t, urls)
	for range 3 {
		p.more[0].look(ctx)
	}
	if there, _ := p.split(p.put(t, dest[0], 4)); len(there) > 0 {
		t.Fatalf("%d events went to a primary that a daemon does not know", len(there))
	}
	if w := strings.Join(p.Warnings(), "; "); !strings.Contains(w, "does not know it") {
		t.Errorf("nothing says why no event goes to the new primary: %q", w)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	q := openParts(t, urls)
	p.isActive(t)
	q.isActive(t)
	n := 5
	for _, one := range []*Primaries{p, q} {
		there, home := one.spread(t, dest[0], 2)
		n += len(there) + len(home)
		for range 2 { // whatever the turn is
			if again := one.putOne(t, keyed); !again.Duplicate || again.ID != first[0].ID {
				t.Errorf("a key of before is answered with %+v", again)
			}
		}
		// What one accepted there the other reads.
		other := p
		if one == p {
			other = q
		}
		for _, it := range there {
			if _, err := other.Event(ctx, it.ID.Day, it.ID.Event); err != nil {
				t.Errorf("another daemon reads it: %v", err)
			}
		}
	}
	if s, err := Open(ctx, optionsOf(urls[0])); err == nil || !strings.Contains(err.Error(), `"b"`) {
		if s != nil {
			s.Close()
		}
		t.Errorf("a daemon that does not know the primary starts: %v", err)
	}
	p.balances(t, dest[0], store.Counts{Accepted: int64(n)})
}

// TestAKeyIsOneOverAllPrimaries, whichever daemon gets it, and whatever became of the first try.
func TestAKeyIsOneOverAllPrimaries(t *testing.T) {
	t.Parallel()
	urls := []string{freshDatabase(t), freshDatabase(t)}
	p, q := openParts(t, urls, patient), openParts(t, urls, patient)
	p.isActive(t)
	q.isActive(t)
	dest := p.dest(t)
	var mu sync.Mutex
	stored, ids := map[string]int{}, map[string]event.ID{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			one := []*Primaries{p, q}[w%2]
			for k := range 10 {
				e := entryTo(`{}`, dest)
				e.IdempotencyKey = fmt.Sprint("key-", k)
				out := one.putOne(t, e)
				mu.Lock()
				if !out.Duplicate {
					stored[e.IdempotencyKey]++
				}
				if was, ok := ids[e.IdempotencyKey]; ok && was != out.ID {
					t.Errorf("%s names %v and %v", e.IdempotencyKey, was, out.ID)
				}
				ids[e.IdempotencyKey] = out.ID
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for k, n := range stored {
		if n > 1 { // 0: the answer was lost to a busy machine
			t.Errorf("%s was stored %d times", k, n)
		}
	}
	there := 0
	for _, id := range ids {
		if p.of(id) != nil {
			there++
		}
	}
	t.Logf("of %d keyed events %d lie in the further primary", len(ids), there)

	// A daemon that dies between the claim and the event leaves the claim alone.
	e := entryTo(`{"lost":1}`, dest)
	e.IdempotencyKey = "lost"
	as := p.names(time.Now(), []*primary{p.more[0]})
	if _, err := p.home.appendAs(ctx, time.Now(), []*store.Entry{e}, as, true); err != nil {
		t.Fatal(err)
	}
	for i, one := range []*Primaries{q, p, q} {
		out := one.putOne(t, e)
		if out.Err != nil || out.ID != as[0].id || out.Duplicate != (i > 0) || out.Fanout != 1 || out.Reference != "ref" {
			t.Errorf("try %d after a claim that nothing came of: %+v, want the event %v", i, out, as[0].id)
		}
	}
	if out := q.putOne(t, &store.Entry{IdempotencyKey: "lost", To: e.To, Event: entryTo(`{"other":1}`, dest).Event}); !errors.Is(out.Err, store.ErrIdempotencyMismatch) {
		t.Errorf("the key with another body: %+v", out)
	}
	p.balances(t, dest, store.Counts{Accepted: 11})
}

// TestPrimariesAreDatabasesOfTheirOwn: no two are one, none is another store's, and one stays what it is.
func TestPrimariesAreDatabasesOfTheirOwn(t *testing.T) {
	t.Parallel()
	home, b, c, d, e, empty := freshDatabase(t), freshDatabase(t), freshDatabase(t), freshDatabase(t), freshDatabase(t), servers.StartPostgres(t).DSN
	refused := func(what, says string, home string, more ...string) {
		t.Helper()
		p, err := OpenPrimaries(ctx, optionsOf(home), moreAt(more...))
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", what, err, says)
		}
	}
	refused("the home database as a further primary", "home database", home, home)
	refused("a database without a schema", "fantail store migrate", home, empty)
	if err := openParts(t, []string{home, b}).isActive(t).Close(); err != nil {
		t.Fatal(err)
	}
	refused("one database as two", "another name", home, b, b)
	refused("the primary of another store", "another store", c, b)
	refused("a further primary as the home database", "further primary", b, c)
	other := openAt(t, d)
	if _, err := other.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "x", Kind: "webhook"}}); err != nil {
		t.Fatal(err)
	}
	refused("the database of another store", "empty database", home, b, d)

	// Where events lie already, a database that cannot be opened is tried again.
	p := openParts(t, []string{home, e})
	if _, err := p.more[0].reached(); err == nil {
		t.Errorf("an empty database is taken for that in which events lie")
	}
	if w := strings.Join(p.Warnings(), "; "); !strings.Contains(w, "primary b") {
		t.Errorf("warnings do not name the primary that cannot be reached: %q", w)
	}
}

// TestIDsOfBeforeNameNoDatabase: their last byte is random, and what it names does not have them.
func TestIDsOfBeforeNameNoDatabase(t *testing.T) {
	t.Parallel()
	urls := []string{freshDatabase(t), freshDatabase(t)}
	old := openAt(t, urls[0], func(o *Options) { o.Rand = func() uint64 { return 0x1234567800000001 } })
	dest, err := old.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "x", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	var items []store.Item
	for range 3 {
		out, err := old.Append(ctx, time.Now(), []*store.Entry{entryTo(`{}`, dest...)})
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, out[0].Items...)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	p := openParts(t, urls, patient).isActive(t)
	id := items[0].ID
	if p.of(id.Event) == nil {
		t.Fatalf("%v does not seem to lie in the further primary", id)
	}
	if _, err := p.Event(ctx, id.Day, id.Event); err != nil {
		t.Error(err)
	}
	if out, err := p.Settle(ctx, time.Now(), delivered(items[0])); err != nil || out[0].State != store.Delivered {
		t.Errorf("settled: %+v, %v", out, err)
	}
	if out, err := p.Move(ctx, time.Now(), store.Cancel, []store.DeliveryID{items[1].ID, items[2].ID}); err != nil || out[0].To != store.Cancelled || out[1].To != store.Cancelled {
		t.Errorf("cancelled: %+v, %v", out, err)
	}
	if out, err := p.Replay(ctx, time.Now(), 9, []store.Want{{Event: id.Event, Day: id.Day, Dest: dest[0]}}); err != nil || out[0].Err != nil {
		t.Errorf("replayed: %+v, %v", out, err)
	}
	e := entryTo(`{}`, dest...)
	e.IdempotencyKey = items[2].ID.Event.String()
	if out := p.putOne(t, e); !out.Duplicate || out.ID != items[2].ID.Event {
		t.Errorf("its id as a key: %+v", out)
	}
	p.balances(t, dest[0], store.Counts{Accepted: 4, Delivered: 1, Cancelled: 2})
}

// TestSerialSlotsGoTogether: one process delivers to a serial destination, so that whoever has its slot at
// home has it in every database.
func TestSerialSlotsGoTogether(t *testing.T) {
	t.Parallel()
	urls := []string{freshDatabase(t), freshDatabase(t)}
	p := openParts(t, urls)
	q, r := openParts(t, urls), openParts(t, urls)
	owners := func(url string) string {
		return ask[string](t, url, `SELECT string_agg(owner::text, ' ' ORDER BY id) FROM fantail.slot WHERE id >= $1`, firstSerial)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both that are left have serial slots, the same ones everywhere", func() bool {
		home := owners(urls[0])
		return !strings.Contains(home, nobody) && home == owners(urls[1]) && strings.Contains(home, uuid(q.home.owner)) && strings.Contains(home, uuid(r.home.owner))
	})
}

// TestWhoLosesHomeLosesAll: a daemon that does not reach the home database lets go of what it has in others, and
// begins nothing of it.
func TestWhoLosesHomeLosesAll(t *testing.T) {
	t.Parallel()
	home, b := freshDatabase(t), freshDatabase(t)
	proxy, through := proxied(t, home)
	lease := lapsing(t, home)
	var ended atomic.Bool
	p, err := OpenPrimaries(ctx, optionsWith(through, lease, func(o *Options) { o.Fatal = func(error) { ended.Store(true) } }), moreAt(b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // it was replaced
	p.isActive(t)
	q := openParts(t, []string{home, b}, lease, patient).isActive(t)
	dest := p.dest(t)
	there, _ := p.spread(t, dest, 1)
	proxy.Down()
	eventually(t, "nothing begins without the lease at home", func() bool { return !p.Holds(there[0].ID.Event) })
	eventually(t, "another daemon has what lay in the further primary", func() bool {
		items, _, err := q.Due(ctx, store.QueueID{Dest: dest}, store.Position{}, 1<<62, 100)
		return err == nil && slices.ContainsFunc(items, func(it store.Item) bool { return it.ID == there[0].ID })
	})
	eventually(t, "it ends", ended.Load)
	if _, err := p.Settle(ctx, time.Now(), delivered(there[0])); err == nil {
		t.Errorf("a daemon that was replaced settles")
	}
}

// TestPagesAreMerged: in order, no further than the first that ended early, and cut where a page is full.
func TestPagesAreMerged(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	ids := make([]event.ID, 10) // the newest first
	for i := range ids {
		ids[i] = event.NewID(now.Add(-time.Duration(i)*time.Second), 0, 0)
	}
	at := func(id *event.ID) place { return place{day: id.Day(), event: *id} }
	page := func(next int, items ...int) (p store.Page[event.ID]) {
		for _, i := range items {
			p.Items = append(p.Items, ids[i])
		}
		if next >= 0 {
			p.Next, p.Back = appendCursor(7, at(&ids[next])), ids[next].Time()
		}
		return p
	}
	for _, c := range []struct {
		what       string
		limit      int
		pages      []store.Page[event.ID]
		want, next int // how many of the first, and behind which it goes on; -1: it does not
	}{
		{"both whole", 9, []store.Page[event.ID]{page(-1, 1, 2, 5), page(-1, 0, 3, 4)}, 6, -1},
		{"one ended early", 9, []store.Page[event.ID]{page(2, 1, 2), page(-1, 0, 3, 4)}, 3, 2},
		{"both did", 9, []store.Page[event.ID]{page(3, 1, 2), page(2, 0)}, 3, 2},
		{"more than a page", 4, []store.Page[event.ID]{page(-1, 1, 2, 5), page(-1, 0, 3, 4)}, 4, 3},
		{"one full", 3, []store.Page[event.ID]{page(3, 1, 2, 3), page(-1, 0)}, 3, 2},
		{"nothing found yet", 3, []store.Page[event.ID]{page(5), page(-1, 7)}, 0, 5},
	} {
		got, err := mergePages(c.pages, c.limit, 7, at)
		want := page(c.next)
		if err != nil || !slices.Equal(got.Items, ids[:c.want]) || got.Next != want.Next || !got.Back.Equal(want.Back) {
			t.Errorf("%s: %d items, %+v, %v", c.what, len(got.Items), got, err)
		}
	}
	if _, err := mergePages([]store.Page[event.ID]{page(5)}, 3, 8, at); !errors.Is(err, store.ErrCursor) {
		t.Errorf("a cursor of another list: %v", err)
	}
}

// statements counts statements by their text.
type statements struct {
	mu sync.Mutex
	n  map[string]int
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n[data.SQL]++
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) of(sql string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[sql]
}

// TestOneDatabaseCostsNothingMore: an event is one statement, and a key one more.
func TestOneDatabaseCostsNothingMore(t *testing.T) {
	t.Parallel()
	seen := &statements{n: map[string]int{}}
	s := openAt(t, freshDatabase(t), func(o *Options) { o.tracer = seen })
	dest, err := s.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "x", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	appends, lookups, values := seen.of(sqlAppend), seen.of(sqlKeys), seen.of(sqlValue)
	for i := range 10 {
		e := entryTo(`{}`, dest...)
		if i >= 5 {
			e.IdempotencyKey = fmt.Sprint(i)
		}
		out, err := s.Append(ctx, time.Now(), []*store.Entry{e})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Settle(ctx, time.Now(), delivered(out[0].Items...)); err != nil {
			t.Fatal(err)
		}
	}
	if a, l, v := seen.of(sqlAppend)-appends, seen.of(sqlKeys)-lookups, seen.of(sqlValue)-values; a < 10 || a > 25 || l != 5 || v != 0 {
		t.Errorf("10 events, 5 of them with a key, took %d appends (with what made the outcomes durable), %d lookups, and %d reads of values; want 10 to 25, 5 and none", a, l, v)
	}
	if n := seen.of(sqlSettle); n != 10 {
		t.Errorf("10 outcomes took %d statements", n)
	}
}
