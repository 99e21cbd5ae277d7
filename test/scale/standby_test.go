package scale

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store/pgstore"
	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// newFleetAt prepares n daemons on databases that somebody else may be the primary of, in turn, and starts
// them. urls are those that a daemon has.
func newFleetAt(t *testing.T, n int, primary string, urls func(i int) []string) *fleet {
	t.Helper()
	f := &fleet{t: t, sink: newSink(t)}
	if _, err := pgstore.Migrate(t.Context(), pgstore.Options{URLs: []secret.Value{secret.New(primary)}}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		d := &daemon{t: t, name: fmt.Sprintf("fantail-%d", i), dir: t.TempDir(), listen: servers.Address(t)}
		var from []string
		for k, at := range urls(i) {
			name := fmt.Sprint("store-url-", k)
			d.write(name, at)
			from = append(from, fmt.Sprintf(`"${file:%s}"`, name))
		}
		d.write("fantail.key", strings.Repeat("k", 32))
		d.write("fantail.yaml", fmt.Sprintf(`
listen: %s
store: { postgres: { urls: [%s], name: %s, dir: own } }
egress: { allow: [127.0.0.0/8] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_delay: 0s
shutdown_grace: 5s
`, d.listen, strings.Join(from, ", "), d.name))
		d.write("developers/acme.yaml", "developer: acme\ndestinations:\n"+destinationTo("app", f.sink))
		f.daemons = append(f.daemons, d)
		d.start()
	}
	return f
}

// destinationTo is a destination of a developer's document.
func destinationTo(name string, s *sink) string {
	return fmt.Sprintf("  - name: %s\n    kind: webhook\n    retry: { waits: [100ms, 200ms, 1s, 5s, 10s], jitter: 0, settings: frozen }\n    settings: { url: %q, secret: a-secret-of-acme, allow_http: true }\n", name, s.url)
}

// through returns the URL with the address of a proxy.
func through(t *testing.T, dsn, addr string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = addr
	return u.String()
}

func hostOf(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// asked returns what the only row and column of a query has.
func asked[T any](t *testing.T, dsn, sql string, args ...any) (v T) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// watch remembers what the producers were answered.
type watch struct {
	mu    sync.Mutex
	tries []try
}

func (w *watch) saw(one try) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries = append(w.tries, one)
}

// which returns what is meant.
func (w *watch) which(meant func(try) bool) (all []try) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.tries {
		if meant(one) {
			all = append(all, one)
		}
	}
	return all
}

// refusedAfter hands events to every daemon, ten a second, until each has refused one, and returns how
// long after a moment the last of them did. What is already in a commit is answered later, after 10 s at the most.
func (f *fleet) refusedAfter(moment time.Time) time.Duration {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	took := make([]time.Duration, len(f.daemons))
	var all, sent sync.WaitGroup
	for i, d := range f.daemons {
		all.Go(func() {
			refused := make(chan time.Time, 1)
			for tick := time.Tick(100 * time.Millisecond); ; {
				sent.Go(func() {
					if _, err := d.Send(ctx, client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)}); err != nil && ctx.Err() == nil {
						select {
						case refused <- time.Now():
						default:
						}
					}
				})
				select {
				case at := <-refused:
					took[i] = at.Sub(moment)
					return
				case <-ctx.Done():
					return
				case <-tick:
				}
			}
		})
	}
	all.Wait()
	cancel()
	sent.Wait()
	if slices.Contains(took, 0) {
		f.t.Fatalf("some daemon refuses nothing: %v", took)
	}
	return slices.Max(took)
}

// acceptedAfter hands an event to every daemon until all have accepted one, and returns how long after a
// moment the last of them did. Producers stay with whoever accepts.
func (f *fleet) acceptedAfter(moment time.Time) time.Duration {
	f.t.Helper()
	took := make([]time.Duration, len(f.daemons))
	var all sync.WaitGroup
	for i, d := range f.daemons {
		all.Go(func() {
			for ctx := f.t.Context(); ctx.Err() == nil && time.Since(moment) < 2*time.Minute; <-time.After(20 * time.Millisecond) {
				if _, err := d.Send(ctx, client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)}); err == nil {
					took[i] = time.Since(moment)
					return
				}
			}
		})
	}
	all.Wait()
	for i, d := range f.daemons {
		if took[i] == 0 {
			f.t.Fatalf("%s accepts nothing (it ended: %t)", d.name, d.ended())
		}
	}
	return slices.Max(took)
}
