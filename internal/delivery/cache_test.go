package delivery

import (
	"runtime"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestCacheIsBounded(t *testing.T) {
	c := &cache{max: 10 * (bodyCost + 100), bodies: map[event.ID]*body{}}
	ev := func(n byte, size int) *event.Event { return &event.Event{ID: event.ID{n}, Body: make([]byte, size)} }
	item := func(n byte) *store.Item { return &store.Item{ID: store.DeliveryID{Event: event.ID{n}}} }
	var jobs []*job
	for n := range byte(20) {
		b := c.put(ev(n, 100))
		for range 3 {
			b.refs++
			jobs = append(jobs, &job{body: b})
		}
		if c.bytes > c.max {
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
	c.put(ev(1, 7000))
	if c.bytes != 0 {
		t.Errorf("a body larger than the cache: %d bytes", c.bytes)
	}

	// What was read for one delivery serves others, the least used goes first.
	for n := range byte(20) {
		c.putRead(ev(n, 60))
		c.get(item(0), nil)
	}
	if c.get(item(0), nil) == nil || c.get(item(1), nil) != nil || c.get(item(19), nil) == nil || c.bytes > c.max {
		t.Errorf("%d bytes of %d bodies", c.bytes, len(c.bodies))
	}
	if c.putRead(ev(99, 383)); c.get(item(99), nil) != nil {
		t.Error("one body took more than a sixteenth")
	}
}

// TestManySmallBodiesAreBoundedToo: of 16 bytes each, what the cache keeps beside them
// takes a gigabyte before they are 32 MiB.
func TestManySmallBodiesAreBoundedToo(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const most = 4 << 20
	before := heap()
	c := &cache{max: most, bodies: map[event.ID]*body{}}
	for n := range 60_000 {
		id := event.ID{byte(n), byte(n >> 8), byte(n >> 16)}
		c.putRead(&event.Event{
			ID: id, Developer: "acme", Reference: strings.Repeat("r", 36), Body: []byte(`{"type":"sleep"}`),
			Envelope: event.Envelope{Type: strings.Repeat("t", 5), UserID: strings.Repeat("u", 36)},
		})
	}
	used := heap() - before
	t.Logf("%d bodies take %d bytes", len(c.bodies), used)
	if used > most+most/4 || used < most/2 {
		t.Errorf("%d bytes are used, the bound is %d", used, most)
	}
	runtime.KeepAlive(c)
}
