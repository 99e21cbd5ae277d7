package scale

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/faults"
)

// A networkFault is what a network does between two that talk, until it ends.
type networkFault struct {
	name       string
	begin, end func(*faults.Proxy)
}

var (
	lostAnswers = networkFault{"answers are lost after what was asked was done", (*faults.Proxy).LoseAnswers, (*faults.Proxy).Heal}
	silence     = networkFault{"connections stay open and nothing passes", (*faults.Proxy).Hang, func(p *faults.Proxy) {
		p.Heal()
		p.Down() // connections that hang, end
		p.Up()
	}}
	resets  = networkFault{"connections are reset", (*faults.Proxy).Reset, (*faults.Proxy).Heal}
	refused = networkFault{"connections break and are refused", (*faults.Proxy).Down, (*faults.Proxy).Up}
	delayed = networkFault{"answers come late", func(p *faults.Proxy) { p.Latency(400 * time.Millisecond) }, (*faults.Proxy).Heal}
)

// A pair are two that talk over a proxy.
type pair struct {
	name  string
	proxy *faults.Proxy
	short []networkFault // in CI; all of them when it goes on for long
	bites func() bool    // tells that a fault does something
	twice bool           // what was in flight may come twice
}

// What lies between two of a fleet breaks in every way: a daemon and the database, the balancer and a daemon,
// a daemon and another, daemons and the destination. Nothing acknowledged is lost, nothing comes twice but what
// was in flight to the destination or could not be stored, and the fleet goes on meanwhile and afterwards.
func TestFaultsBetweenEveryPairLoseNothing(t *testing.T) {
	var database, api, far *faults.Proxy
	f := newFleetOf(t, 2, shape{
		more: "shutdown_delay: 0s\n",
		url: func(i int, dsn string) string {
			if i == 0 {
				return dsn
			}
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			database = faults.New(t, u.Host)
			u.Host = database.Addr
			return u.String()
		},
		api: func(i int, listen string) string {
			if i == 0 {
				return listen
			}
			api = faults.New(t, listen)
			return api.Addr
		},
		sink: func(addr string) string {
			far = faults.New(t, addr)
			return far.Addr
		},
	})
	a, b := f.daemons[0], f.daemons[1]
	front := faults.New(t, b.listen)
	balancer := servers.StartBalancer(t, a.listen, front.Addr)
	until(t, soon, "they know each other", func() bool {
		all, err := a.Daemons(t.Context())
		return err == nil && len(all) == 2 && all[0].Alive && all[1].Alive && len(f.unanswered(a)) == 0
	})

	var l *load
	for _, p := range []pair{
		{name: "a daemon and the database", proxy: database, short: []networkFault{resets, lostAnswers, silence}, twice: true,
			bites: func() bool { return b.ended() || b.Ready(t.Context()) != nil }},
		{name: "the balancer and a daemon", proxy: front, short: []networkFault{lostAnswers, silence},
			bites: func() bool {
				r, err := (&http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + front.Addr + "/readyz")
				if err == nil {
					r.Body.Close()
				}
				return err != nil
			}},
		{name: "a daemon and another", proxy: api, short: []networkFault{silence},
			bites: func() bool { return len(f.unanswered(a)) > 0 }},
		{name: "daemons and the destination", proxy: far, short: []networkFault{lostAnswers, silence}, twice: true,
			bites: func() bool { return f.pending() >= 20 }},
	} {
		t.Run(p.name, func(t *testing.T) {
			l = newLoad(t, 6, balancer.URL)
			kinds := p.short
			if rounds(0) > 0 {
				kinds = []networkFault{lostAnswers, silence, resets, refused, delayed}
			}
			var moments []time.Time
			for range rounds(1) {
				for _, fault := range kinds {
					l.more(t, 50)
					began := time.Now()
					moments = append(moments, began)
					fault.begin(p.proxy)
					if fault.name != delayed.name {
						until(t, soon, p.name+": "+fault.name+": it is noticed", p.bites)
					}
					l.more(t, 100)
					fault.end(p.proxy)
					moments = append(moments, time.Now())
					t.Logf("%s, for %v", fault.name, time.Since(began).Round(time.Millisecond))
					f.revive(b)
				}
			}
			if p.proxy == api {
				until(t, soon, "all daemons answer again", func() bool { return len(f.unanswered(a)) == 0 })
			}
			if !p.twice {
				moments = nil
			}
			f.settle(l.end(), moments, 15*time.Second)
		})
	}
}

// revive starts a daemon again that has ended because it was cut off for longer than its lease, once it is known
// whether it did.
func (f *fleet) revive(d *daemon) {
	f.t.Helper()
	until(f.t, time.Minute, "the daemon takes events again", func() bool { return d.ended() || d.Ready(f.t.Context()) == nil })
	if d.ended() {
		d.start()
	}
}

// unanswered are the daemons that one gets no answer from.
func (f *fleet) unanswered(of *daemon) (names []string) {
	c := clientOf(f.t, "http://"+of.listen)
	c.Unanswered = func(daemons []string) { names = daemons }
	if _, err := c.Series(f.t.Context(), client.SeriesFilter{}); err != nil {
		return []string{err.Error()}
	}
	return names
}

// pending is how much waits for the sink.
func (f *fleet) pending() (n int64) {
	for one, err := range f.daemons[0].Destinations(f.t.Context(), "acme", "") {
		if err == nil {
			n += one.Pending
		}
	}
	return n
}
