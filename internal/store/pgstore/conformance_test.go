package pgstore

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// placed is a store that knows the server it lies on.
type placed struct {
	*Store
	url    string // by which it reaches its database
	direct string // without what lies between
	server *servers.Private
}

// inherits waits until the store has adopted what others left.
func (p *placed) inherits(t testing.TB) {
	t.Helper()
	eventually(t, "the work of the former daemon is adopted", func() bool {
		return ask[int](t, p.direct, `SELECT count(*)::int FROM fantail.slot s WHERE owner <> $1 AND (owner <> '`+nobody+`' OR EXISTS (SELECT FROM fantail.pending p WHERE p.slot = s.id))`, p.owner) == 0
	})
	eventually(t, "and known", func() bool {
		return len(p.owned.all()) == ask[int](t, p.direct, "SELECT count(*)::int FROM fantail.slot WHERE owner = $1", p.owner)
	})
}

// harness opens stores on a server; through is what lies between, if anything does.
func harness(server *servers.Private, through string, seeds ...uint64) storetest.Harness {
	h := storetest.Harness{
		Seeds: seeds,
		Open: func(t testing.TB) store.Store {
			url := freshOn(t, server.DSN)
			s := &placed{url: url, direct: url, server: server}
			if through != "" {
				s.url = otherHost(t, url, through)
			}
			s.Store = openAt(t, s.url, alone)
			return s
		},
		Reopen: func(t testing.TB, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			again := *s.(*placed)
			again.Store = openAt(t, again.url, alone)
			return &again
		},
		Stall: func(t testing.TB, s store.Store) func() { return stall(t, s.(*placed).direct) },
	}
	if through == "" {
		h.Crash = func(t testing.TB, s store.Store) store.Store {
			crashed := *s.(*placed)
			crashed.server = crashed.server.Crashed(t)
			crashed.url = otherHost(t, crashed.url, crashed.server.DSN)
			crashed.direct = crashed.url
			crashed.Store = openAt(t, crashed.url, alone)
			crashed.inherits(t)
			return &crashed
		}
	}
	return h
}

// stall has every commit that waits for durability wait for a standby that does not exist. A
// standby that stalls looks the same.
func stall(t testing.TB, url string) (release func()) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	do := func(sql string) {
		t.Helper()
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	over := false
	release = func() {
		if over {
			return
		}
		over = true
		do("ALTER SYSTEM RESET synchronous_standby_names")
		do("SELECT pg_reload_conf()")
		c.Close(ctx)
	}
	t.Cleanup(release)
	do("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	do("SELECT pg_reload_conf()")
	waits := false
	eventually(t, "a commit waits for the standby", func() bool { // each process of the server hears of it by itself
		other, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close(ctx)
		waiting, cancel := context.WithCancel(ctx)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = other.Exec(waiting, "SELECT pg_logical_emit_message(true, 'test', 'waits')")
		}()
		for ended := false; !ended && !waits; { // a commit that takes long may do so for any reason
			select {
			case <-done:
				ended = true
			case <-time.After(time.Millisecond):
			}
			if err := c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep')", other.PgConn().PID()).Scan(&waits); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		<-done
		return waits
	})
	return release
}

// long tells that the tests take all the time that they can use: `make long` sets the variable. Without
// it fewer random lives are led, and behind a pooler the topics are those of how statements are sent.
func long() bool { return os.Getenv("FANTAIL_STORE") == "long" }

// conforms runs topics of a suite, all for nil, in parts, each on a server of its own: some stall or
// crash it. with makes the harness for one.
func conforms(t *testing.T, parts int, only []string, with func(t testing.TB, server *servers.Private) storetest.Harness) {
	t.Parallel()
	for part := range parts {
		t.Run(fmt.Sprintf("part %d", part+1), func(t *testing.T) {
			t.Parallel()
			h := with(t, servers.PrivatePostgres(t))
			h.Only = only
			topics := storetest.Topics(h)
			slices.Reverse(topics) // the last ones are the longest: each begins a part
			h.Only = nil
			for i := part; i < len(topics); i += parts {
				h.Only = append(h.Only, topics[i])
			}
			storetest.Run(t, h)
		})
	}
}

// TestConformance also stalls and crashes servers of its own.
func TestConformance(t *testing.T) {
	seeds := []uint64{1}
	if long() {
		seeds = []uint64{1, 2}
	}
	conforms(t, 5, nil, func(_ testing.TB, server *servers.Private) storetest.Harness { return harness(server, "", seeds...) })
}

// TestConformanceBehindPgBouncer: in transaction mode every transaction may have another
// connection to the server.
func TestConformanceBehindPgBouncer(t *testing.T) {
	only := []string{"append", "body", "idempotency", "due", "settle", "stale", "move", "replay", "search", "registry", "retain", "erase", "concurrency", "random"}
	if long() {
		only = nil
	}
	conforms(t, 2, only, func(t testing.TB, server *servers.Private) storetest.Harness {
		return harness(server, servers.StartPgBouncer(t, server.DSN, 8).DSN, 3)
	})
}

// cluster is one database and the daemons on it, each behind a network of its own.
type cluster struct {
	direct, through string // through: what lies between, if anything does

	lease time.Duration

	mu      sync.Mutex
	stores  map[int]*Store
	proxies map[int]*faults.Proxy
	fatal   map[int]error
}

func sharedHarness(server *servers.Private, through string) storetest.SharedHarness {
	return storetest.SharedHarness{New: func(t testing.TB, lease time.Duration) (storetest.Cluster, time.Duration) {
		c := &cluster{direct: freshOn(t, server.DSN), stores: map[int]*Store{}, proxies: map[int]*faults.Proxy{}, fatal: map[int]error{}}
		c.through = c.direct
		if through != "" {
			c.through = otherHost(t, c.direct, through)
		}
		c.lease = lasting(t, c.through, lease)
		return c, c.lease
	}}
}

func (c *cluster) Open(t testing.TB, i int, serial func(uint32) bool) store.Shared {
	proxy, url := proxied(t, c.through)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proxies[i] = proxy
	s, err := Open(context.Background(), optionsWith(url, func(o *Options) {
		o.Lease, o.Serial = c.lease, serial
		o.Fatal = func(err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.fatal[i] = err
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	c.stores[i] = s
	t.Cleanup(func() { _ = s.Close() }) // of one that was killed it fails
	return s
}

func (c *cluster) Kill(_ testing.TB, i int) { c.Cut(nil, i) }

func (c *cluster) Cut(_ testing.TB, i int) (mend func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	proxy, s := c.proxies[i], c.stores[i]
	proxy.Down()
	return func() {
		proxy.Up()
		for end := time.Now().Add(time.Minute); !s.health.reachable() && c.Fatal(i) == nil && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func (c *cluster) Fatal(i int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fatal[i]
}

// TestConformanceOfSeveralDaemons.
func TestConformanceOfSeveralDaemons(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, sharedHarness(servers.PrivatePostgres(t), ""))
}

// TestConformanceOfSeveralDaemonsBehindPgBouncer.
func TestConformanceOfSeveralDaemonsBehindPgBouncer(t *testing.T) {
	t.Parallel()
	server := servers.PrivatePostgres(t)
	storetest.RunShared(t, sharedHarness(server, servers.StartPgBouncer(t, server.DSN, 8).DSN))
}
