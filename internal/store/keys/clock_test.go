package keys

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// TestIDsOnlyGoForward, whatever the clock does and however many come at once.
func TestIDsOnlyGoForward(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	c := Clock{Rand: r.Uint64}
	last, lastAt := event.ID{}, time.Time{}
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for i := range 200_000 {
		switch r.IntN(2000) {
		case 0:
			now = now.Add(-time.Duration(r.Int64N(int64(time.Hour))))
		case 1:
			now = now.Add(time.Duration(r.Int64N(int64(time.Hour))))
		case 2:
			seeded := Clock{Rand: r.Uint64} // a restart
			seeded.Seed(last)
			c = seeded
		default:
			now = now.Add(time.Duration(r.IntN(3)) * time.Microsecond)
		}
		id, at := c.Next(now)
		if string(id[:8]) <= string(last[:8]) {
			t.Fatalf("%d: %v does not follow %v", i, id, last)
		}
		if at.Before(lastAt) || at.UnixMilli() != id.Time().UnixMilli() || at.Nanosecond()%1000 != 0 {
			t.Fatalf("%d: accepted at %v after %v, id of %v", i, at, lastAt, id.Time())
		}
		last, lastAt = id, at
	}
}

// TestIDsFollowEverySeed: a store seeds with several ids, in any order, which may be of one
// millisecond.
func TestIDsFollowEverySeed(t *testing.T) {
	at := time.UnixMilli(1_780_000_000_000)
	for _, orders := range [][]uint16{{1, 2}, {2, 1}, {3, 3}} {
		c := Clock{Rand: rand.Uint64}
		for _, n := range orders {
			c.Seed(event.NewID(at, n, 0))
		}
		id, _ := c.Next(at)
		for _, n := range orders {
			if seed := event.NewID(at, n, ^uint64(0)); string(id[:]) <= string(seed[:]) {
				t.Errorf("seeded with %v: %v does not follow %v", orders, id, seed)
			}
		}
	}
}
