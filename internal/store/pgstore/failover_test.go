package pgstore

import (
	"errors"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// spare is an address that answers once it leads to a server.
type spare struct {
	url string
	p   *faults.Proxy
}

func newSpare(t *testing.T, of string) *spare {
	t.Helper()
	p := faults.New(t, hostOf(t, of))
	p.Down()
	return &spare{otherHost(t, of, "postgres://"+p.Addr), p}
}

// leads has it lead to the server of a URL.
func (s *spare) leads(t *testing.T, to string) {
	t.Helper()
	s.p.Upstream(hostOf(t, to))
	s.p.Up()
}

// promoted is the database on a copy of its server that was promoted: both take writes.
func promoted(t *testing.T, server *servers.Private, first string) string {
	t.Helper()
	return otherHost(t, first, server.Promoted(t).DSN)
}

// onTwo has a store try one URL after the other.
func onTwo(urls ...string) func(*Options) {
	return func(o *Options) {
		o.URLs = nil
		for _, u := range urls {
			o.URLs = append(o.URLs, secret.New(u))
		}
	}
}

// A former primary that comes back takes writes. A daemon that has seen the new one never goes back, one that
// starts finds the new one though it stands last, and one that uses the former one leaves it as soon as it can
// reach the other. What both know of a slot's owner and epoch is not enough to write at the wrong one.
func TestAFormerPrimaryIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	server := servers.PrivatePostgres(t)
	first := freshOn(t, server.DSN)
	s := openAt(t, first)
	dest := register(t, s)
	appendOne(t, s, entryTo(`{"n":1}`, dest))
	second, other := promoted(t, server, first), newSpare(t, first)

	b := openAt(t, first, onTwo(first, other.url))
	eventually(t, "b works on the first", func() bool { _, n := b.Share(); return n == 2 })
	other.leads(t, second)
	eventually(t, "b is ended by what it finds at the second, where its slots are not", func() bool { return b.health.gone.Load() })

	c := openAt(t, first, onTwo(first, second))
	events := ask[int](t, second, "SELECT count(*)::int FROM fantail.event")
	for range 20 {
		appendOne(t, c, entryTo(`{"n":2}`, dest))
		if _, err := c.Events(ctx, store.EventQuery{Limit: 1}); err != nil {
			t.Fatal(err)
		}
		c.pool.Reset()
		for _, w := range c.appends { // connections are made anew
			w.mu.Lock()
			if w.link != nil {
				w.link.cut()
			}
			w.mu.Unlock()
		}
	}
	if n := ask[int](t, second, "SELECT count(*)::int FROM fantail.event"); n != events+20 {
		t.Errorf("%d events are on the new primary, want %d", n, events+20)
	}
	if n := ask[int](t, first, "SELECT count(*)::int FROM fantail.event"); n != 1 {
		t.Errorf("%d events are on the former primary, want the one of before", n)
	}
}

// changed counts how often a follower was told of a destination.
type changed struct {
	mu   sync.Mutex
	dest map[uint32]int
}

func (c *changed) Pending([]store.Head) {}

func (c *changed) Changed(ds []store.Destination) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range ds {
		c.dest[ds[i].ID]++
	}
}

// A failover to a standby that lacked what came last: the daemon goes on. Epochs in its memory are those of the
// former primary, a destination is not there, and the transactions begin again at lower numbers.
func TestAFailoverThatLostSomethingIsSurvived(t *testing.T) {
	t.Parallel()
	server := servers.PrivatePostgres(t)
	first := freshOn(t, server.DSN)
	away := make(chan struct{}, 8)
	other := newSpare(t, first)
	s := openAt(t, first, onTwo(first, other.url), func(o *Options) {
		o.FailedOver = func() { away <- struct{}{} }
	})
	told := &changed{dest: map[uint32]int{}}
	s.Follow(told)
	before := register(t, s)
	it := appendOne(t, s, entryTo(`{"n":1}`, before)).Items[0]
	second := promoted(t, server, first)
	exec(t, second, "UPDATE fantail.slot SET epoch = epoch - 1 WHERE epoch > 0")

	ids, err := s.Register(ctx, []store.DestinationKey{{Developer: "globex", Name: "late", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered, Attempts: 1}}); err != nil {
		t.Fatal(err)
	}
	exec(t, first, slices.Repeat([]string{"SELECT pg_current_xact_id()"}, 500)...)
	n := func() int { told.mu.Lock(); defer told.mu.Unlock(); return told.dest[before] }
	was := n()
	other.leads(t, second)
	eventually(t, "it is on the second", func() bool {
		select {
		case <-away:
			return true
		default:
			return false
		}
	})
	var out store.Appended
	eventually(t, "it takes events for the destination that was lost", func() bool {
		all, err := s.Append(ctx, time.Now(), []*store.Entry{entryTo(`{"n":2}`, ids[0])})
		if err == nil {
			out = all[0]
		}
		return err == nil
	})
	if got := ask[int](t, second, "SELECT id FROM fantail.destination WHERE name = 'late'"); got != int(ids[0]) {
		t.Errorf("the destination has id %d, want %d", got, ids[0])
	}
	if got := ask[int](t, second, "SELECT next_dest FROM fantail.kept"); got <= int(ids[0]) {
		t.Errorf("the next destination gets id %d: somebody's", got)
	}
	if len(out.Items) != 1 || s.health.gone.Load() {
		t.Errorf("accepted %+v, ended %t", out, s.health.gone.Load())
	}
	eventually(t, "what is known of destinations is told again", func() bool { return n() > was })
	eventually(t, "the delivery whose outcome was lost is pending again", func() bool { return s.Counts(before).Pending == 1 })
	rows, err := s.Audit(ctx, true, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Counts != *r.Recounted {
			t.Errorf("counters %+v, recounted %+v", r.Counts, *r.Recounted)
		}
	}
}

// What a daemon has in memory for a destination must not go to another that got its id meanwhile.
func TestALostDestinationWhoseIDIsTakenEndsTheDaemon(t *testing.T) {
	t.Parallel()
	server := servers.PrivatePostgres(t)
	first := freshOn(t, server.DSN)
	spare := newSpare(t, first)
	fatal := make(chan error, 1)
	s := openAt(t, first, onTwo(first, spare.url), func(o *Options) {
		o.Fatal = func(err error) { fatal <- err }
	})
	second := promoted(t, server, first)
	dest := register(t, s)
	other := openAt(t, second)
	if ids, err := other.Register(ctx, []store.DestinationKey{{Developer: "globex", Name: "app", Kind: "webhook"}}); err != nil || ids[0] != dest {
		t.Fatalf("registered %v, %v: the ids do not meet", ids, err)
	}
	spare.leads(t, second)
	eventually(t, "an event of the first destination is refused", func() bool {
		_, err := s.Append(ctx, time.Now(), []*store.Entry{entryTo(`{"n":1}`, dest)})
		return errors.Is(err, store.ErrFenced)
	})
	if err := <-fatal; !errors.Is(err, store.ErrFenced) {
		t.Errorf("it ended with %v", err)
	}
	if n := ask[int](t, second, "SELECT count(*)::int FROM fantail.event"); n != 0 {
		t.Errorf("%d events are stored for the second", n)
	}
}

func hostOf(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
