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
// destinations, as two daemons would, each again after it came through, as
// replays are; those that lose too many races come back, as the schedule has it.
func TestTheNewestWinsEveryRace(t *testing.T) {
	const keys, versions = 12, 10
	f := startGateway(t).bucket(t)
	var ds [2]destination.Destination
	for i := range ds {
		ds[i] = openWith(t, f.config, plainDeps(t))
	}
	body := func(key, n int) string {
		return strings.Replace(fmt.Sprintf(activity, n, "a"), `"u1"`, fmt.Sprintf(`"u%d"`, key), 1)
	}
	for key := range keys {
		var all sync.WaitGroup
		for _, n := range rand.Perm(versions) {
			all.Go(func() {
				for repeat := 0; repeat < 3; {
					_, err := ds[(n+repeat)%2].Send(t.Context(), destinationtest.Delivery(t, n, []byte(body(key, n))))
					if class, _ := destination.ClassOf(err); class != destination.Transient {
						t.Errorf("version %d: %v", n, err)
					}
					if err == nil {
						repeat++
					} else if !strings.Contains(err.Error(), "others wrote it first") {
						t.Errorf("version %d: %v", n, err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	got := f.all(t)
	if len(got) != keys {
		t.Errorf("%d objects, want %d", len(got), keys)
	}
	for key := range keys {
		name := fmt.Sprintf("2022-03-16/activity/u%d-2026-03-12T06:00:00Z.json", key)
		if want := body(key, versions-1); string(got[name].body) != want {
			t.Errorf("%s holds %s, want %s", name, got[name].body, want)
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
