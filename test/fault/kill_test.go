package fault

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// sink remembers when it answered each event.
type sink struct {
	mu       sync.Mutex
	answered map[string][]time.Time // by reference and path
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !drain(r) {
		return
	}
	w.WriteHeader(http.StatusOK)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.URL.Path + " " + r.Header.Get("terra-reference")
	s.answered[key] = append(s.answered[key], time.Now())
}

// The daemon is killed with kill -9 at random moments under load. Nothing acknowledged is lost. An
// event comes twice only if it was in flight, or answered in the last 100 ms before a kill.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("FANTAIL_KILLS")); err == nil {
		kills = n
	}
	far := &sink{answered: map[string][]time.Time{}}
	server := httptest.NewServer(far)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	dir := t.TempDir()
	paths := []string{"/a", "/b", "/c"}
	listen := settings(t, dir, server.URL+paths[0], server.URL+paths[1], server.URL+paths[2])

	slow := watch(t)
	var killed []time.Time
	var acked sync.Map // reference
	var n, acknowledged atomic.Int64
	for range kills {
		d := start(t, dir, listen)
		stop := make(chan struct{})
		var load sync.WaitGroup
		for range 16 {
			load.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					ref := fmt.Sprint(n.Add(1))
					_, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Reference: ref, Body: []byte(`{"type":"sleep","n":` + ref + `}`)})
					if err == nil {
						acked.Store(ref, true)
						acknowledged.Add(1)
					}
				}
			})
		}
		<-time.After(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		killed = append(killed, time.Now())
		d.kill()
		close(stop)
		load.Wait()
	}
	d := start(t, dir, listen)
	row := d.settled(t)
	d.stop(t)
	if acknowledged.Load() == 0 || row.Accepted < acknowledged.Load() {
		t.Errorf("%d events were acknowledged, the audit has %d", acknowledged.Load(), row.Accepted)
	}

	far.mu.Lock()
	defer far.mu.Unlock()
	lost, doubled := 0, 0
	acked.Range(func(ref, _ any) bool {
		for _, p := range paths {
			if len(far.answered[p+" "+ref.(string)]) == 0 {
				lost++
			}
		}
		return true
	})
	for key, at := range far.answered {
		if len(at) == 1 {
			continue
		}
		doubled++
		if len(at) > kills+1 {
			t.Errorf("%s came %d times with %d kills", key, len(at), kills)
		}
		for _, first := range at[:len(at)-1] {
			if !slow.justBefore(first, killed) {
				t.Errorf("%s came again although it was answered at %s, more than 100 ms before any kill", key, first.Format(time.StampMilli))
			}
		}
	}
	if lost > 0 {
		t.Errorf("%d acknowledged deliveries never arrived", lost)
	}
	t.Logf("%d kills, %d events acknowledged, %d deliveries repeated", kills, acknowledged.Load(), doubled)
}

// justBefore tells whether the sink answered so shortly before a kill, or after it, that the daemon
// may not have known. 20 ms are added for reading the two clocks and for the signal, and what the machine
// took for longer than that just then: the daemon reads the answer, takes its turn, and syncs.
func (s *stalls) justBefore(at time.Time, killed []time.Time) bool {
	for _, k := range killed {
		if gap := k.Sub(at); gap <= 120*time.Millisecond+4*s.before(k) && gap > -2*time.Second {
			return true
		}
	}
	return false
}

// stalls are how long the machine took for what takes no time when it has nothing else to do.
type stalls struct {
	mu  sync.Mutex
	all []stall
}

type stall struct {
	began time.Time
	took  time.Duration
}

// watch has somebody wake up and sync a byte all the time, until the test ends.
func watch(t *testing.T) *stalls {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "watch"))
	if err != nil {
		t.Fatal(err)
	}
	s := &stalls{}
	var over sync.WaitGroup
	over.Go(func() {
		for t.Context().Err() == nil {
			began := time.Now()
			<-time.After(10 * time.Millisecond)
			if _, err := file.WriteAt([]byte{1}, 0); err != nil {
				t.Errorf("watch the machine: %v", err)
				return
			}
			if err := file.Sync(); err != nil {
				t.Errorf("watch the machine: %v", err)
				return
			}
			if took := time.Since(began) - 10*time.Millisecond; took > 20*time.Millisecond {
				s.mu.Lock()
				s.all = append(s.all, stall{began, took})
				s.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { over.Wait(); file.Close() }) // the context has ended by then
	return s
}

// before is the longest that was still under way in the second before a moment.
func (s *stalls) before(k time.Time) (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if one.began.Before(k) && one.began.Add(one.took).After(k.Add(-time.Second)) {
			longest = max(longest, one.took)
		}
	}
	return longest
}
