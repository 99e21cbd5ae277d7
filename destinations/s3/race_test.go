package s3

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// TestTheNewestWinsEveryRace: versions of one object are sent at once by two
// destinations, as two daemons would; the older ones again after they came
// through, as replays are, but the newest once; those that lose too many races
// come back, as the schedule has it.
func TestTheNewestWinsEveryRace(t *testing.T) {
	t.Run("real", func(t *testing.T) {
		f := startGateway(t).bucket(t)
		deps := plainDeps(t)
		deps.HTTP = &http.Client{Transport: &wholeLooks{via: deps.HTTP.Transport}}
		race(t, f.config, deps, func(key string) string { return string(f.all(t)[key].body) })
	})
	t.Run("strict", func(t *testing.T) {
		s := startStrict(t)
		race(t, s.config, plainDeps(t), func(key string) string {
			o, _ := s.Object("bucket", key)
			return string(o.Body)
		})
	})
}

// wholeLooks keeps HEADs from overlapping with PUTs, which race each other
// freely: versitygw keeps an object's metadata in several files, and a HEAD
// during a PUT gets the ETag of one version with the metadata of another. S3
// does not.
type wholeLooks struct {
	via http.RoundTripper
	mu  sync.RWMutex
}

func (w *wholeLooks) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodHead {
		w.mu.Lock()
		defer w.mu.Unlock()
	} else {
		w.mu.RLock()
		defer w.mu.RUnlock()
	}
	return w.via.RoundTrip(req)
}

func race(t *testing.T, c Config, deps destination.Deps, holds func(key string) string) {
	const keys, versions = 12, 10
	ds := [2]destination.Destination{openWith(t, c, deps), openWith(t, c, deps)}
	body := func(key, n int) string {
		return strings.Replace(fmt.Sprintf(activity, n, "a"), `"u1"`, fmt.Sprintf(`"u%d"`, key), 1)
	}
	for key := range keys {
		var all sync.WaitGroup
		for _, n := range rand.Perm(versions) {
			all.Go(func() {
				sends := 5
				if n == versions-1 {
					sends = 1
				}
				for repeat := 0; repeat < sends; {
					_, err := ds[(n+repeat)%2].Send(t.Context(), destinationtest.Delivery(t, n, []byte(body(key, n))))
					if err == nil {
						repeat++
					} else if class, _ := destination.ClassOf(err); class != destination.Transient || !strings.Contains(err.Error(), "others wrote it first") {
						t.Errorf("version %d: %v", n, err)
						return
					}
				}
			})
		}
		all.Wait()
		name := fmt.Sprintf("2022-03-16/activity/u%d-2026-03-12T06:00:00Z.json", key)
		if got, want := holds(name), body(key, versions-1); got != want {
			t.Errorf("%s holds %s, want %s", name, got, want)
		}
	}
}

// TestANewerEventBetweenLookAndPut: the put is bound to what was looked at.
func TestANewerEventBetweenLookAndPut(t *testing.T) {
	f := startGateway(t).bucket(t)
	other := openWith(t, f.config, plainDeps(t))
	net, deps := tapped(t)
	d := openWith(t, f.config, deps)
	version := func(n int) destination.Delivery {
		return destinationtest.Delivery(t, n, fmt.Appendf(nil, activity, n, "a"))
	}
	if _, err := d.Send(t.Context(), version(1)); err != nil {
		t.Fatal(err)
	}
	net.requests()
	const key = "2022-03-16/activity/u1-2026-03-12T06:00:00Z.json"
	t.Run("keeps the newer", func(t *testing.T) {
		net.after = func(req *http.Request, _ *http.Response) {
			if req.Method == http.MethodHead {
				net.after = nil
				if _, err := other.Send(t.Context(), version(9)); err != nil {
					t.Error(err)
				}
			}
		}
		if _, err := d.Send(t.Context(), version(5)); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll("PUT @, HEAD @, PUT @, HEAD @", "@", key)
		if got := net.requests(); got != want {
			t.Errorf("requests: %s\nwant %s", got, want)
		}
		if o := f.all(t)[key]; string(o.body) != fmt.Sprintf(activity, 9, "a") {
			t.Errorf("it holds %s", o.body)
		}
	})
	t.Run("begins anew when it was deleted", func(t *testing.T) {
		net.after = func(req *http.Request, _ *http.Response) {
			if req.Method == http.MethodHead {
				net.after = nil
				f.remove(t, key)
			}
		}
		if _, err := d.Send(t.Context(), version(10)); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll("PUT @, HEAD @, PUT @, PUT @", "@", key)
		if got := net.requests(); got != want {
			t.Errorf("requests: %s\nwant %s", got, want)
		}
		if o := f.all(t)[key]; string(o.body) != fmt.Sprintf(activity, 10, "a") {
			t.Errorf("it holds %s", o.body)
		}
	})
	t.Run("gives up after five rounds", func(t *testing.T) {
		n := 11
		net.after = func(req *http.Request, _ *http.Response) {
			if req.Method == http.MethodHead {
				n++
				if _, err := other.Send(t.Context(), version(n)); err != nil {
					t.Error(err)
				}
			}
		}
		_, err := d.Send(t.Context(), version(30))
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient || n != 16 {
			t.Errorf("after %d rounds: %v", n-11, err)
		}
		net.after = nil
		if _, err := d.Send(t.Context(), version(30)); err != nil {
			t.Errorf("the next attempt: %v", err)
		}
		if o := f.all(t)[key]; string(o.body) != fmt.Sprintf(activity, 30, "a") {
			t.Errorf("it holds %s", o.body)
		}
	})
}
