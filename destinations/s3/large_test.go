package s3

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
)

// manyItems is an event with items of one second each.
func manyItems(n, size int) []byte {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"metadata":{"summary_id":"s%d","start_time":"2026-03-12T%02d:%02d:%02dZ"},"x":"%s"}`, i, i/3600, i/60%60, i%60, strings.Repeat("x", size)))
	}
	return []byte(`{"type":"activity","version":"2022-03-16","user":{"user_id":"u1"},"data":[` + strings.Join(items, ",") + `]}`)
}

// TestALargeEventMakesProgress: an attempt that failed in the middle has stored
// what came before, and the next one does not store it again.
func TestALargeEventMakesProgress(t *testing.T) {
	s := startStrict(t)
	net, deps := tapped(t)
	var puts atomic.Int32
	net.before = func(*http.Request) *http.Response {
		if puts.Add(1) > 60 {
			return answer(http.StatusInternalServerError, "InternalError")
		}
		return nil
	}
	d := openWith(t, s.config, deps)
	d.proven.Store(true) // no request to see what the service heeds
	x := destinationtest.Delivery(t, 1, manyItems(100, 10))
	r, err := d.Send(t.Context(), x)
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Transient || r.Code != 500 || !strings.Contains(r.Answer, "InternalError") {
		t.Errorf("first attempt: %v, %+v", err, r)
	}
	if n := puts.Load(); n > 60+2*fanout.Width {
		t.Errorf("it went on for %d requests after the bucket had failed", n-60)
	}
	net.before = nil
	r, err = d.Send(t.Context(), x)
	if err != nil || r.Answer != "40 stored, 60 there already or newer" {
		t.Errorf("second attempt: %v, %+v", err, r)
	}
	if n := len(s.Objects("bucket")); n != 100 {
		t.Errorf("%d objects", n)
	}
}

// TestAnItemThatIsRefusedKeepsNoneOut: the others are stored, then the delivery ends.
func TestAnItemThatIsRefusedKeepsNoneOut(t *testing.T) {
	s := startStrict(t)
	net, deps := tapped(t)
	net.before = func(req *http.Request) *http.Response {
		if strings.Contains(req.URL.Path, "T00:00:05Z") {
			return answer(http.StatusBadRequest, "EntityTooLarge")
		}
		return nil
	}
	_, err := openWith(t, s.config, deps).Send(t.Context(), destinationtest.Delivery(t, 1, manyItems(50, 10)))
	if class, _ := destination.ClassOf(err); class != destination.Rejected || !strings.Contains(err.Error(), "T00:00:05Z.json") {
		t.Errorf("got %v", err)
	}
	if n := len(s.Objects("bucket")); n != 49 {
		t.Errorf("%d objects, want 49", n)
	}
}

// TestEightAtATime: no more, or one event would take all connections, and no less.
func TestEightAtATime(t *testing.T) {
	s := startStrict(t)
	net, deps := tapped(t)
	var mu sync.Mutex
	var now, most int
	full := make(chan struct{})
	net.before = func(req *http.Request) *http.Response {
		mu.Lock()
		if now++; now > most {
			if most = now; most == 8 {
				close(full)
			}
		}
		mu.Unlock()
		select { // nobody goes on before eight have come
		case <-full:
		case <-req.Context().Done():
		}
		return nil
	}
	net.after = func(*http.Request, *http.Response) {
		mu.Lock()
		defer mu.Unlock()
		now--
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := openWith(t, s.config, deps).Send(ctx, destinationtest.Delivery(t, 1, manyItems(40, 10))); err != nil {
		t.Error(err)
	}
	if most != 8 {
		t.Errorf("%d requests at once, want 8", most)
	}
}

// TestItemsOfOneKeyGoInOrder: the first of the event has the plain key, every
// time, and of equal ones the last is what stays.
func TestItemsOfOneKeyGoInOrder(t *testing.T) {
	item := func(id string, n int) string {
		return fmt.Sprintf(`{"metadata":{"summary_id":"%s","start_time":"2026-03-12T06:00:00Z"},"n":%d}`, id, n)
	}
	event := func(items ...string) string {
		return `{"type":"activity","version":"2022-03-16","user":{"user_id":"u1"},"data":[` + strings.Join(items, ",") + `]}`
	}
	for range 10 {
		s := startStrict(t)
		d := openWith(t, s.config, plainDeps(t))
		items := []string{item("first", 0), item("leg", 0)}
		for n := range 10 {
			items = append(items, item("first", n+1), item("leg", n+1))
		}
		if _, err := d.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(event(items...)))); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{
			activityKey: event(item("first", 10)),
			strings.TrimSuffix(activityKey, ".json") + "-c7c8fc91abb8.json": event(item("leg", 10)),
		} {
			if o, _ := s.Object("bucket", key); string(o.Body) != want {
				t.Fatalf("%s holds %s", key, o.Body)
			}
		}
	}
}
