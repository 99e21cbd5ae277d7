package pgstore

import (
	"net/url"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// take writes. A daemon that has seen the new one never goes back, and what both know of a
// slot's owner and epoch is not enough to write at the wrong one.
func TestAFormerPrimaryIsNotUsedAgain(t *testing.T) {
	server := servers.PrivatePostgres(t)
	direct := freshOn(t, server.DSN)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	proxy := faults.New(t, u.Host)
	through := otherHost(t, direct, "postgres://"+proxy.Addr)
	s := openAt(t, through)
	dest := register(t, s)
	appendOne(t, s, entryTo(`{"n":1}`, dest))

	standby := server.Promoted(t)
	second := otherHost(t, direct, standby.DSN)
	b := openAt(t, through, func(o *Options) { o.URLs = append(o.URLs, secret.New(second)) })
	eventually(t, "b works on the first", func() bool { _, n := b.Share(); return n == 2 })
	proxy.Down() // b finds the promoted one, where its slots are not
	eventually(t, "b is ended by what it finds", func() bool { return b.health.gone.Load() })

	// A daemon that starts now is on the new primary; the former one comes back.
	c := openAt(t, second, func(o *Options) { o.URLs = []secret.Value{secret.New(through), secret.New(second)} })
	first := ask[int](t, second, "SELECT count(*)::int FROM fantail.event")
	proxy.Up()
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
	if n := ask[int](t, second, "SELECT count(*)::int FROM fantail.event"); n != first+20 {
		t.Errorf("%d events are on the new primary, want %d", n, first+20)
	}
	if n := ask[int](t, direct, "SELECT count(*)::int FROM fantail.event"); n != 1 {
		t.Errorf("%d events are on the former primary, want the one of before", n)
	}
}
