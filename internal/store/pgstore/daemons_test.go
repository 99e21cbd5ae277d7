package pgstore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// listener is a follower that remembers.
type listener struct {
	mu    sync.Mutex
	heads []store.Head
	news  []store.Destination
}

func (l *listener) Pending(heads []store.Head) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heads = append(l.heads, heads...)
}

func (l *listener) Changed(news []store.Destination) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news = append(l.news, news...)
}

func (l *listener) told(dest uint32) (h store.Head, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.heads {
		if h.Queue.Dest == dest {
			return h, true
		}
	}
	return h, false
}

// two daemons on one database; the first is behind a proxy.
func two(t testing.TB, change ...func(*Options)) (a, b *Store, proxy *faults.Proxy, heard *listener) {
	t.Helper()
	return twoAt(t, freshDatabase(t), change...)
}

func twoAt(t testing.TB, url string, change ...func(*Options)) (a, b *Store, proxy *faults.Proxy, heard *listener) {
	t.Helper()
	proxy, through := proxied(t, url)
	a = openAt(t, through, change...)
	b = openAt(t, url, change...)
	heard = &listener{}
	b.Follow(heard)
	eventually(t, "both know of each other", func() bool {
		_, n := a.Share()
		_, m := b.Share()
		return n == 2 && m == 2
	})
	return a, b, proxy, heard
}

func proxied(t testing.TB, url string) (*faults.Proxy, string) {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := faults.New(t, fmt.Sprint(config.Host, ":", config.Port))
	return proxy, otherHost(t, url, "postgres://"+proxy.Addr)
}

func all(t testing.TB, s *Store, dest uint32) []store.Item {
	t.Helper()
	items, _, err := s.Due(ctx, store.QueueID{Dest: dest}, store.Position{}, 1<<62, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// TestASecondDaemonWorksBesideTheFirst: it waits for nobody, and neither sees what the other
// has to do. When the first closes, the second has all of it, long before the lease would end.
func TestASecondDaemonWorksBesideTheFirst(t *testing.T) {
	t.Parallel()
	const lease = time.Minute // the machine may be busy
	url := freshDatabase(t)
	began := time.Now()
	a, b, _, heard := twoAt(t, url, func(o *Options) { o.Lease = lease })
	if took := time.Since(began); took > lease*3/4 {
		t.Errorf("it took %v to start two", took)
	}
	dest := register(t, a)
	if got := register(t, b); got != dest {
		t.Errorf("one destination has the ids %d and %d", dest, got)
	}
	mine, theirs := appendOne(t, a, entryTo(`{}`, dest)).Items, appendOne(t, b, entryTo(`{}`, dest)).Items
	if got := all(t, a, dest); !slices.Equal(got, mine) {
		t.Errorf("a is offered %v, want %v", got, mine)
	}
	if got := all(t, b, dest); !slices.Equal(got, theirs) {
		t.Errorf("b is offered %v, want %v", got, theirs)
	}
	for _, s := range []*Store{a, b} {
		eventually(t, "counters of both", func() bool { c := s.Counts(dest); return c.Accepted == 2 && c.Pending == 2 })
		if err := s.countOwn(); err != nil || s.OwnPending(dest) != 1 {
			t.Errorf("%d are pending in its own slots, %v", s.OwnPending(dest), err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	closed := time.Now()
	eventually(t, "b is told", func() bool { _, ok := heard.told(dest); return ok })
	if took := time.Since(closed); took > lease/2 {
		t.Errorf("handed over after %v", took)
	}
	if h, _ := heard.told(dest); h.Unclean != 0 || h.From != mine[0].Position() {
		t.Errorf("told %+v", h)
	}
	if got := all(t, b, dest); len(got) != 2 {
		t.Errorf("b is offered %v", got)
	}
}

// TestTheWorkOfADaemonThatIsGoneIsAdopted (T5, T12), and the daemon finds out that it was
// replaced: through no slot of its own it writes anything more.
func TestTheWorkOfADaemonThatIsGoneIsAdopted(t *testing.T) {
	t.Parallel()
	fatal := make(chan error, 2)
	url := freshDatabase(t)
	a, b, proxy, heard := twoAt(t, url, lapsing(t, url), func(o *Options) { o.Fatal = func(err error) { fatal <- err } })
	dest := register(t, a)
	it := appendOne(t, a, entryTo(`{}`, dest)).Items[0]
	proxy.Down()
	eventually(t, "b is told", func() bool { _, ok := heard.told(dest); return ok })
	if a.Owned() {
		t.Error("a may begin attempts while b has adopted its slots")
	}
	if h, _ := heard.told(dest); h.Unclean != 1 {
		t.Errorf("told %+v, want one owner that ended without goodbye", h)
	}
	proxy.Up()
	for range 3 { // through every committer
		if _, err := a.Append(ctx, time.Now(), []*store.Entry{entryTo(`{}`, dest)}); err == nil {
			t.Error("a stale owner accepts")
		}
	}
	eventually(t, "settling is refused", func() bool {
		_, err := a.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered}})
		if err == nil {
			t.Fatal("a stale owner settles")
		}
		return errors.Is(err, store.ErrFenced)
	})
	if err := <-fatal; !errors.Is(err, store.ErrFenced) {
		t.Errorf("fatal: %v", err)
	}
	if out, err := b.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered}}); err != nil || out[0].Stale {
		t.Errorf("settled by the adopter: %+v, %v", out, err)
	}
	if c := b.Counts(dest); c.Delivered != 1 || c.Accepted != 1 {
		t.Errorf("counters %+v", c)
	}
}

// TestAnOutageOfTheDatabaseEndsNobody (T5): the leases of all end together. Whoever is first to
// reach the database again ends no other.
func TestAnOutageOfTheDatabaseEndsNobody(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	end := func(err error) { t.Errorf("a daemon ends: %v", err) }
	lease := lapsing(t, f.direct)
	a := openAt(t, f.url, lease, func(o *Options) { o.Fatal = end })
	b := openAt(t, f.url, lease, func(o *Options) { o.Fatal = end })
	dest := register(t, a)
	eventually(t, "leases were renewed for long", func() bool { return a.mayFree() && b.mayFree() })
	for range 3 {
		f.proxy.Down()
		eventually(t, "the leases are over", func() bool {
			return ask[bool](t, f.direct, "SELECT bool_and(until < now()) FROM fantail.daemon")
		})
		f.proxy.Up()
		for _, s := range []*Store{a, b} {
			eventually(t, "it goes on", func() bool {
				_, err := s.Append(ctx, time.Now(), []*store.Entry{entryTo(`{}`, dest)})
				return err == nil && s.Owned()
			})
		}
	}
}

// TestACommitUnderWayIsSeenByTheAdopter (T12): a commit that holds its fence while the slots are
// set free is waited for, and read after it. One that has not reached its fence finds none.
func TestACommitUnderWayIsSeenByTheAdopter(t *testing.T) {
	t.Parallel()
	a, b, _, _ := two(t, func(o *Options) { o.Lease = time.Minute })
	url := b.opts.URLs[0].Reveal()
	dest := register(t, a)
	// Somebody else has the key of the event: its commit waits, and holds the fence.
	holder, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(ctx)
	tx, err := holder.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e := entryTo(`{}`, dest)
	e.IdempotencyKey = "k"
	k := newClaim(e)
	if _, err := tx.Exec(ctx, "INSERT INTO fantail.idem VALUES ($1, $2, gen_random_uuid(), 0, 0, '')", k.hash[:], k.body[:]); err != nil {
		t.Fatal(err)
	}
	appended := make(chan error, 1)
	go func() {
		_, err := a.Append(ctx, time.Now(), []*store.Entry{e})
		appended <- err
	}()
	const waiting = `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`
	eventually(t, "the event goes alone and waits for the key", func() bool { // after the group's own wait
		return ask[int](t, url, `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND now() - query_start > interval '400 ms'`) > 0
	})
	exec(t, url, "UPDATE fantail.daemon SET until = now() WHERE id = '"+uuid(a.owner)+"'", "UPDATE fantail.lease SET until = now() WHERE slot IN (SELECT id FROM fantail.slot WHERE owner = '"+uuid(a.owner)+"')")
	l, err := b.configs.connectLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer end(l.Conn)
	freed := make(chan error, 1)
	go func() {
		_, err := b.setFree(ctx, l.Conn, a.owner, false)
		freed <- err
	}()
	eventually(t, "setting free waits for the fence", func() bool { return ask[int](t, url, waiting, "%FOR NO KEY UPDATE%") > 0 })
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-appended, <-freed); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the adopter has the event", func() bool { return len(all(t, b, dest)) == 1 })
	if _, err := a.Append(ctx, time.Now(), []*store.Entry{entryTo(`{}`, dest)}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("append after that: %v", err)
	}
}

// TestSerialDeliveriesAreBornInOneSlot (T14, T16), whoever accepts the event or starts one again.
// The owner of the slot is told, and nobody else is handed the delivery.
func TestSerialDeliveriesAreBornInOneSlot(t *testing.T) {
	t.Parallel()
	const lease = time.Minute // the machine may be busy
	a, b, _, heard := two(t, func(o *Options) { o.Lease, o.Serial = lease, func(dest uint32) bool { return dest%2 == 1 } })
	ids, err := a.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "1", Kind: "supabase"}, {Developer: "acme", Name: "2", Kind: "supabase"}, {Developer: "acme", Name: "3", Kind: "supabase"}})
	if err != nil {
		t.Fatal(err)
	}
	ahear := &listener{}
	a.Follow(ahear)
	serial := slices.DeleteFunc(ids, func(id uint32) bool { return id%2 == 0 })
	for _, dest := range serial {
		var items []store.Item
		for _, s := range []*Store{a, b} {
			items = append(items, appendOne(t, s, entryTo(`{}`, dest)).Items...)
		}
		owner, other, ear := a, b, ahear
		if b.owned.has(serialSlot(dest)) {
			owner, other, ear = b, a, heard
		}
		if len(items) != 1 {
			t.Errorf("%d deliveries were handed out, want the owner's own", len(items))
		}
		if n, m := len(all(t, owner, dest)), len(all(t, other, dest)); n != 2 || m != 0 {
			t.Errorf("the owner has %d deliveries, the other %d", n, m)
		}
		began := time.Now()
		eventually(t, "the owner is told", func() bool { _, ok := ear.told(dest); return ok })
		if took := time.Since(began); took > lease/2 {
			t.Errorf("told after %v", took)
		}
		it := all(t, owner, dest)[0]
		if h, _ := ear.told(dest); h.From.Due > it.Due+int64(time.Minute) {
			t.Errorf("told %+v of %+v", h, it)
		}
		if _, err := owner.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Dead, Reason: "rejected"}}); err != nil {
			t.Fatal(err)
		}
		ear.mu.Lock()
		ear.heads = nil
		ear.mu.Unlock()
		m, err := other.Move(ctx, time.Now(), store.Retry, []store.DeliveryID{it.ID})
		if err != nil || m[0].Err != nil || m[0].To != store.Pending || m[0].Item != (store.Item{}) {
			t.Errorf("retried elsewhere: %+v, %v", m, err)
		}
		eventually(t, "the owner is told of the retry", func() bool { _, ok := ear.told(dest); return ok })
		if n, m := len(all(t, owner, dest)), len(all(t, other, dest)); n != 2 || m != 0 {
			t.Errorf("after the retry the owner has %d deliveries, the other %d", n, m)
		}
	}
}

// TestNumbersAreGivenOnce (T29).
func TestNumbersAreGivenOnce(t *testing.T) {
	a, b, _, _ := two(t)
	var mu sync.Mutex
	seen := map[uint32]bool{}
	var wg sync.WaitGroup
	for _, s := range []*Store{a, b} {
		for range 3 {
			wg.Go(func() {
				for range 5 {
					n, err := s.Number(ctx, "replays", 41)
					mu.Lock()
					if err != nil || seen[n] || n <= 41 {
						t.Errorf("%d, %v", n, err)
					}
					seen[n] = true
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if len(seen) != 30 || !seen[42] || !seen[71] {
		t.Errorf("%d numbers: %v", len(seen), seen)
	}
}

// TestTwoDaemonsWithTheSameKeysStoreEachOnce (T8, T28): in whatever order their batches name
// them.
func TestTwoDaemonsWithTheSameKeysStoreEachOnce(t *testing.T) {
	a, b, _, _ := two(t)
	dest := register(t, a)
	stored := map[string]event.ID{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n, s := range []*Store{a, b, a, b} {
		wg.Go(func() {
			for round := range 10 {
				batch := make([]*store.Entry, 20)
				for i := range batch {
					key := string(rune('a'+(i*(2*n+1)+round)%20)) + string(rune('0'+round))
					batch[i] = entryTo(key, dest)
					batch[i].IdempotencyKey = key
				}
				out, err := s.Append(ctx, time.Now(), batch)
				mu.Lock()
				if err != nil {
					t.Error(err)
				}
				for i, o := range out {
					key := batch[i].IdempotencyKey
					if first, known := stored[key]; known && first != o.ID || o.Err != nil {
						t.Errorf("key %s names %v and %v, %v", key, first, o.ID, o.Err)
					}
					stored[key] = o.ID
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	eventually(t, "each was stored once", func() bool { return a.Counts(dest).Accepted == int64(len(stored)) && b.Counts(dest) == a.Counts(dest) })
}

// TestReplaysAtTwoDaemonsMakeEachDeliveryOnce (T29).
func TestReplaysAtTwoDaemonsMakeEachDeliveryOnce(t *testing.T) {
	a, b, _, _ := two(t)
	dest := register(t, a)
	var wants []store.Want
	for range 40 {
		it := appendOne(t, a, entryTo(`{}`, dest)).Items[0]
		if _, err := a.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered}}); err != nil {
			t.Fatal(err)
		}
		wants = append(wants, store.Want{Event: it.ID.Event, Day: it.ID.Day, Dest: dest})
	}
	var wg sync.WaitGroup
	for _, s := range []*Store{a, b} {
		wg.Go(func() {
			ms, err := s.Replay(ctx, time.Now(), 7, wants)
			if err != nil {
				t.Error(err)
			}
			for _, m := range ms {
				if m.Err != nil || m.To != store.Pending {
					t.Errorf("%+v", m)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "40 were made", func() bool { return b.Counts(dest).Pending == 40 && a.Counts(dest).Pending == 40 })
	if n := len(all(t, a, dest)) + len(all(t, b, dest)); n != 40 {
		t.Errorf("%d are pending", n)
	}
}

// TestSlotsDoNotGrowWithEveryDeploy.
func TestSlotsDoNotGrowWithEveryDeploy(t *testing.T) {
	url := freshDatabase(t)
	a := openAt(t, url)
	for range 4 {
		b, err := Open(ctx, optionsOf(url))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		a = b
	}
	t.Cleanup(func() { a.Close() })
	if n := ask[int](t, url, "SELECT count(*)::int FROM fantail.slot WHERE id < $1", firstSerial); n != 2*(appenders+1) {
		t.Errorf("%d slots after 4 deploys", n)
	}
}

// TestSettingsThatAnotherDaemonNeedsStay: one daemon does not know what the others keep.
func TestSettingsThatAnotherDaemonNeedsStay(t *testing.T) {
	a, b, _, _ := two(t)
	if err := a.PutSettings(ctx, map[uint64][]byte{1: []byte("sealed"), 2: []byte("old")}, nil); err != nil {
		t.Fatal(err)
	}
	url := b.opts.URLs[0].Reveal()
	exec(t, url, "UPDATE fantail.settings SET used = now() - interval '3 hours'")
	if without, err := a.WithoutSettings(ctx, []uint64{1, 3}); err != nil || !slices.Equal(without, []uint64{3}) {
		t.Errorf("without settings: %v, %v", without, err)
	}
	if n, err := b.CollectSettings(ctx, nil); err != nil || n != 1 {
		t.Errorf("%d were removed, %v; want what nobody had a use for", n, err)
	}
	if _, err := a.Settings(ctx, 1); err != nil {
		t.Errorf("settings that another daemon looked for: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := b.CollectSettings(ctx, nil); err != nil || n != 1 {
		t.Errorf("alone it removes %d, %v", n, err)
	}
}

// TestActsOfTwoDaemons: they never run backward, and none is lost.
func TestActsOfTwoDaemons(t *testing.T) {
	a, b, _, _ := two(t)
	now := time.Now()
	var wg sync.WaitGroup
	for _, s := range []*Store{a, b, a, b} {
		wg.Go(func() {
			for range 10 {
				if err := s.Note(ctx, now, []store.Act{{Call: "x", Developer: "acme"}, {Call: "y"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := b.Note(ctx, now.Add(-time.Hour), []store.Act{{Call: "last"}}); err != nil { // its clock is late
		t.Fatal(err)
	}
	page, err := a.Acts(ctx, store.ActQuery{Limit: 1000})
	if err != nil || len(page.Items) != 81 || page.Items[0].Call != "last" {
		t.Errorf("%d acts, %v", len(page.Items), err)
	}
}

// TestASlotThatIsEmptyIsGivenBack: its counters are folded first.
func TestASlotThatIsEmptyIsGivenBack(t *testing.T) {
	t.Parallel()
	url := freshDatabase(t)
	a, b, proxy, _ := twoAt(t, url, lapsing(t, url))
	dest := register(t, a)
	appendOne(t, a, entryTo(`{}`, dest))
	proxy.Down()
	eventually(t, "b has adopted it", func() bool { return len(all(t, b, dest)) == 1 })
	for _, it := range all(t, b, dest) {
		if _, err := b.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered}}); err != nil {
			t.Fatal(err)
		}
	}
	before := b.Counts(dest)
	for range 2 {
		b.folds.mu.Lock()
		b.folds.at = time.Time{}
		b.folds.mu.Unlock()
		if err := b.foldAll(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is given back", func() bool {
		return ask[int](t, url, "SELECT count(*)::int FROM fantail.slot WHERE id < $1 AND owner = $2", firstSerial, b.owner) == appenders+1
	})
	rows, err := b.Audit(ctx, true, func(int64) {})
	if err != nil || rows[0].Counts != *rows[0].Recounted || b.Counts(dest) != before || before.Delivered != 1 {
		t.Errorf("counters %+v, before %+v, audit %+v, %v", b.Counts(dest), before, rows[0], err)
	}
	if b.health.gone.Load() {
		t.Error("giving a slot back looks like losing it")
	}
}

// TestCommitsOfDaemonsMakeNoMultixacts (T3): each slot has one committer, and leases have rows of
// their own.
func TestCommitsOfDaemonsMakeNoMultixacts(t *testing.T) {
	a, b, _, _ := two(t)
	url := b.opts.URLs[0].Reveal()
	dest := register(t, a)
	next := func() int {
		exec(t, url, "CHECKPOINT")
		return ask[int](t, url, "SELECT next_multixact_id::text::int FROM pg_control_checkpoint()")
	}
	before := next()
	var wg sync.WaitGroup
	for _, s := range []*Store{a, b, a, b, a, b} {
		wg.Go(func() {
			for range 20 {
				it := appendOne(t, s, entryTo(`{}`, dest)).Items[0]
				if _, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := next() - before; n > 10 {
		t.Errorf("240 commits made %d multixacts", n)
	}
}

// TestTheSumsAreTakenAnew while commits go on, after others' commits may have been missed.
func TestTheSumsAreTakenAnew(t *testing.T) {
	a, b, _, _ := two(t)
	dest := register(t, a)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, s := range []*Store{a, b} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					appendOne(t, s, entryTo(`{}`, dest))
				}
			}
		})
	}
	for range 5 {
		if err := b.recount(ctx); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	n := ask[int64](t, b.opts.URLs[0].Reveal(), "SELECT count(*) FROM fantail.event")
	for _, s := range []*Store{a, b} {
		eventually(t, "counted all", func() bool { return s.Counts(dest).Accepted == n && s.Stats().Pending == n })
	}
}
