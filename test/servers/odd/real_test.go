package odd_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/test/servers"
	"github.com/seed-51f8da91/fantail/test/servers/odd"
)

// receiver is a real server: where to post, and what it received whole.
type receiver struct {
	url      string
	arrivals func() []servers.Arrival
}

func itself(w *servers.Web) receiver { return receiver{w.URL + "/hook", w.Arrivals} }

// behind are the requests that arrived at a plain server behind a real one.
func behind(url string, s *odd.Server) receiver {
	return receiver{url, func() (all []servers.Arrival) {
		for _, r := range s.Requests() {
			if r.Whole() {
				all = append(all, servers.Arrival{ID: r.Get("x-terra-trace-id"), Size: r.Size(), SHA256: r.SHA256()})
			}
		}
		return all
	}}
}

func plain(t testing.TB) *odd.Server {
	return odd.Start(t, odd.Row{}, odd.Plain, identity, odd.Service{})
}

// receivers are the real servers. All of them keep connections for a second, which is also the time
// between bursts of events.
var receivers = []struct {
	name  string
	start func(testing.TB) receiver
	large int // how many large bodies it gets
}{
	{"nginx", func(t testing.TB) receiver {
		s := plain(t)
		w := servers.StartNginx(t, identity, "keepalive_timeout 1s; client_max_body_size 0; location / { proxy_pass "+s.URL+"; }")
		return behind(w.URL+"/hook", s)
	}, 4},
	{"HAProxy", func(t testing.TB) receiver {
		s := plain(t)
		return behind(servers.StartHAProxy(t, identity, strings.TrimPrefix(s.URL, "http://"), "").URL+"/hook", s)
	}, 4},
	{"gunicorn", func(t testing.TB) receiver {
		return itself(servers.StartGunicorn(t, identity, false, "--worker-class", "sync", "--workers", "2"))
	}, 4},
	{"gunicorn with threads and TLS", func(t testing.TB) receiver {
		return itself(servers.StartGunicorn(t, identity, true, "--worker-class", "gthread", "--threads", "4", "--keep-alive", "1"))
	}, 4},
	{"JDK", func(t testing.TB) receiver { return itself(servers.StartJDK(t, identity)) }, 4},
	{"node http", func(t testing.TB) receiver { return itself(servers.StartNode(t, identity, "http")) }, 4},
	{"node http2", func(t testing.TB) receiver { return itself(servers.StartNode(t, identity, "http2")) }, 4},
	{"node http that answers first", func(t testing.TB) receiver { return itself(servers.StartNode(t, identity, "http-early")) }, 12},
	{"node http2 that answers first", func(t testing.TB) receiver { return itself(servers.StartNode(t, identity, "http2-early")) }, 12},
	{"Go that answers first", answersFirst, 12},
}

// TestRealReceivers: every event arrives at every server, once and whole, over connections that the
// server drops when they are idle for a second.
func TestRealReceivers(t *testing.T) {
	t.Parallel()
	for _, r := range receivers {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			at := r.start(t)
			d := webhookAt(t, deps(t), at.url)
			defer d.Close()
			sent := map[string]destination.Delivery{}
			for n := range 60 + r.large {
				size := odd.Small
				switch {
				case n >= 60:
					size = odd.Large
				case n%5 == 4: // now shortly before the server closes, now shortly after
					<-time.After(time.Second + time.Duration(n%9-4)*10*time.Millisecond)
				}
				x := padded(t, n, size)
				for busy := 0; ; busy++ {
					began := time.Now()
					receipt, err := send(t, d, x)
					if err == nil {
						sent[x.ID] = x
						break
					}
					// What an idle connection's end takes longer than a second to tell is left to the engine's next attempt.
					if time.Since(began) < time.Second || busy == 5 {
						t.Errorf("event %d: %+v, %v", n, receipt, err)
						break
					}
				}
			}
			allArrived(t, sent, at.arrivals)
		})
	}
}

// send makes an attempt that has all the time it needs.
func send(t testing.TB, d destination.Destination, x destination.Delivery) (destination.Receipt, error) {
	ctx, cancel := context.WithTimeout(t.Context(), unhurried)
	defer cancel()
	return d.Send(ctx, x)
}

// allArrived expects every event that was sent, once and whole, and nothing else.
func allArrived(t *testing.T, sent map[string]destination.Delivery, arrivals func() []servers.Arrival) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(arrivals()) < len(sent) && time.Now().Before(deadline); {
		<-time.After(20 * time.Millisecond)
	}
	got := map[string]int{}
	for _, a := range arrivals() {
		x, ok := sent[a.ID]
		if !ok {
			t.Errorf("%s arrived, and does not count as delivered", a.ID)
			continue
		}
		got[a.ID]++
		if sum := sha256.Sum256(x.Event.Body); hex.EncodeToString(sum[:]) != a.SHA256 {
			t.Errorf("of %s %d bytes arrived, want %d, or they are others", a.ID, a.Size, len(x.Event.Body))
		}
	}
	for id, x := range sent {
		if got[id] != 1 {
			t.Errorf("%s of %d bytes counts as delivered and arrived %d times", id, len(x.Event.Body), got[id])
		}
	}
}

// answersFirst is a Go handler that flushes its answer and then reads.
func answersFirst(t testing.TB) receiver {
	var mu sync.Mutex
	var all []servers.Arrival
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.EnableFullDuplex(), c.Flush()); err != nil {
			t.Error(err)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, servers.Arrival{ID: r.Header.Get("x-terra-trace-id"), Size: int(n), SHA256: hex.EncodeToString(sum.Sum(nil))})
	}))
	s.Config.ErrorLog = quiet
	s.Start()
	t.Cleanup(s.Close)
	return receiver{s.URL + "/hook", func() []servers.Arrival {
		mu.Lock()
		defer mu.Unlock()
		return append([]servers.Arrival(nil), all...)
	}}
}

// TestNginxsReloads: nginx is told to read its settings again while events are sent. That ends the
// connections that were kept.
func TestNginxsReloads(t *testing.T) {
	t.Parallel()
	s := plain(t)
	w := servers.StartNginx(t, identity, "client_max_body_size 0; location / { proxy_pass "+s.URL+"; }")
	d := webhookAt(t, deps(t), w.URL+"/hook")
	defer d.Close()
	var (
		mu   sync.Mutex
		sent = map[string]destination.Delivery{}
		all  sync.WaitGroup
		stop = make(chan struct{})
	)
	for sender := range 4 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(3 * time.Millisecond):
				}
				x := padded(t, sender*100_000+n, odd.Small)
				began := time.Now()
				receipt, err := send(t, d, x)
				if err != nil {
					if time.Since(began) < time.Second { // else it is the engine's to try again, as above
						t.Errorf("event %d: %+v, %v", n, receipt, err)
					}
					continue
				}
				mu.Lock()
				sent[x.ID] = x
				mu.Unlock()
			}
		})
	}
	for range 8 {
		<-time.After(250 * time.Millisecond)
		w.Reload()
	}
	<-time.After(250 * time.Millisecond)
	close(stop)
	all.Wait()
	allArrived(t, sent, behind("", s).arrivals)
}

// TestRealRefusals: servers in front of receivers answer by themselves. The status is shown, and one
// attempt is one request.
func TestRealRefusals(t *testing.T) {
	t.Parallel()
	nginx := servers.StartNginx(t, identity, `
		client_max_body_size 0;
		location /nothing { proxy_pass http://127.0.0.1:1; }
		location /small { client_max_body_size 1m; proxy_pass http://127.0.0.1:1; }
		location /refuses { return 403; }
		location /hangs-up { return 444; }`)
	behindHAProxy := plain(t)
	haproxy := servers.StartHAProxy(t, identity, strings.TrimPrefix(behindHAProxy.URL, "http://"), "http-request deny deny_status 429 if { path_beg /denied }")
	t.Cleanup(func() { // when all cases are done
		if n := len(behindHAProxy.Requests()); n > 0 {
			t.Errorf("%d requests passed HAProxy", n)
		}
	})
	for _, c := range []struct {
		name, url string
		status    int
		logged    string // nginx's own line; "": another server
	}{
		{"nginx with nothing behind it", nginx.URL + "/nothing", 502, "502"},
		{"nginx with a limit", nginx.URL + "/small", 413, "413"},
		{"nginx that refuses", nginx.URL + "/refuses", 403, "403"},
		{"nginx that hangs up", nginx.URL + "/hangs-up", 0, "444"},
		{"HAProxy that denies", haproxy.URL + "/denied", 429, ""},
	} {
		for i, size := range []int{odd.Small, odd.Large, odd.Huge} {
			if c.status == 413 && size == odd.Small {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d KiB", c.name, size>>10), func(t *testing.T) {
				t.Parallel()
				d := webhookAt(t, deps(t), c.url)
				defer d.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				x := padded(t, c.status*10+i, size)
				receipt, err := d.Send(ctx, x)
				if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient || receipt.Code != c.status {
					t.Errorf("%+v, %v; want %d", receipt, err, c.status)
				}
				if c.logged == "" {
					return
				}
				requests := func() (n int) {
					for _, line := range nginx.Logged() {
						if strings.HasPrefix(line, x.ID+" "+c.logged) {
							n++
						}
					}
					return n
				}
				for deadline := time.Now().Add(time.Minute); requests() == 0 && time.Now().Before(deadline); {
					<-time.After(10 * time.Millisecond)
				}
				if n := requests(); n != 1 {
					t.Errorf("nginx saw %d requests, want one", n)
				}
			})
		}
	}
}
