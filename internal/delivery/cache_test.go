package delivery

import (
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestCacheIsBounded(t *testing.T) {
	c := &cache{max: 1000, bodies: map[event.ID]*body{}}
	ev := func(n byte, size int) *event.Event { return &event.Event{ID: event.ID{n}, Body: make([]byte, size)} }
	item := func(n byte) *store.Item { return &store.Item{ID: store.DeliveryID{Event: event.ID{n}}} }
	var jobs []*job
	for n := range byte(20) {
		b := c.put(ev(n, 100))
		for range 3 {
			b.refs++
			jobs = append(jobs, &job{body: b})
		}
		if c.bytes > 1000 {
			t.Fatalf("%d bytes", c.bytes)
		}
	}
	for n := range byte(20) {
		if got := c.get(item(n), jobs[3*n].body); (got != nil) != (n >= 10) {
			t.Errorf("body %d is there: %t", n, got != nil)
		}
	}
	for i, j := range jobs {
		c.done(j)
		if left := c.bodies[event.ID{byte(i / 3)}]; i%3 == 2 && left != nil {
			t.Errorf("body %d stays though the last of its fan-out took it", i/3)
		}
	}
	if c.bytes != 0 || c.first != nil || c.last != nil {
		t.Errorf("%d bytes left", c.bytes)
	}
	c.put(ev(1, 5000))
	if c.bytes != 0 {
		t.Errorf("a body larger than the cache: %d bytes", c.bytes)
	}

	// What was read for one delivery serves others, the least used goes first.
	for n := range byte(20) {
		c.putRead(ev(n, 60))
		c.get(item(0), nil)
	}
	if c.get(item(0), nil) == nil || c.get(item(1), nil) != nil || c.get(item(19), nil) == nil || c.bytes > 1000 {
		t.Errorf("%d bytes of %d bodies", c.bytes, len(c.bodies))
	}
	if c.putRead(ev(99, 63)); c.get(item(99), nil) != nil {
		t.Error("one body took more than a sixteenth")
	}
}
