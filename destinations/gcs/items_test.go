package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
)

// large is an event of n items.
func large(n int) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"metadata":{"summary_id":"s%d","start_time":%q}}`, i, accepted.Add(time.Duration(i)*time.Hour).Format(time.RFC3339)))
	}
	return `{"type":"sleep","version":"2022-03-16","user":{"user_id":"u"},"data":[` + strings.Join(items, ",") + `]}`
}

// TestALargeEventMakesProgressOverAttempts: what is written stays written.
func TestALargeEventMakesProgressOverAttempts(t *testing.T) {
	r := newRig(t, unchanged)
	d := made(t, 1, large(100))
	var puts atomic.Int32
	r.Break(func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasPrefix(q.URL.Path, "/upload") || puts.Add(1) <= 40 {
			return false
		}
		io.Copy(io.Discard, q.Body)
		gcptest.Refuse(w, 503, "backendError", "Backend Error")
		return true
	})
	err := r.fails(d, destination.Transient)
	if len(r.keys()) != 40 || !strings.Contains(err.Error(), "40 objects of the event are stored") {
		t.Errorf("%d objects: %v", len(r.keys()), err)
	}
	if n := puts.Load(); n > 40+2*fanout.Width {
		t.Errorf("%d puts: a bucket that is down was asked %d times", n, n-40)
	}
	r.Break(nil)
	r.sends(d)
	if len(r.keys()) != 100 {
		t.Errorf("%d objects", len(r.keys()))
	}
}

// TestOneItemThatFailsKeepsNoOtherBack: the rest is written at the first attempt.
func TestOneItemThatFailsKeepsNoOtherBack(t *testing.T) {
	r := newRig(t, unchanged)
	bad := accepted.Add(3 * time.Hour).Format(time.RFC3339)
	fail := func(code int) {
		r.Break(func(w http.ResponseWriter, q *http.Request) bool {
			if !strings.Contains(q.URL.Query().Get("name"), bad) {
				return false
			}
			io.Copy(io.Discard, q.Body)
			gcptest.Refuse(w, code, "x", "no")
			return true
		})
	}
	fail(413)
	r.fails(made(t, 1, large(50)), destination.Rejected)
	if len(r.keys()) != 49 {
		t.Errorf("%d objects", len(r.keys()))
	}
}

func TestACancelledEventWritesNoMore(t *testing.T) {
	r := newRig(t, unchanged)
	ctx, cancel := context.WithCancel(t.Context())
	var puts atomic.Int32
	r.Break(func(_ http.ResponseWriter, q *http.Request) bool {
		if strings.HasPrefix(q.URL.Path, "/upload") && puts.Add(1) == 20 {
			cancel()
		}
		return false
	})
	_, err := r.Send(ctx, made(t, 1, large(200)))
	if !errors.Is(err, context.Canceled) || puts.Load() > 20+fanout.Width {
		t.Errorf("%d puts, %v", puts.Load(), err)
	}
}

func TestAnItemsHost(t *testing.T) {
	g := gcptest.Start(t)
	c := defaults()
	c.Bucket = "acme"
	deps := g.Deps(t) // storage.googleapis.com leads to g
	deps.Ambient = true
	g.Grant(gcptest.MachineEmail, gcptest.Create)
	var proto string
	g.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/upload") {
			proto = r.Proto + " " + r.Host
		}
		return false
	})
	r := &rig{t, g, opened(t, c, deps)}
	r.sends(made(t, 1, large(20)))
	if len(r.keys()) != 20 || proto != "HTTP/1.1 storage.googleapis.com" {
		t.Errorf("%d objects over %s", len(r.keys()), proto)
	}
}
