package simulation

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// retryAfter is how long a far side asked to be left alone: until a success, or until a person wants to see
// what it says now. When it asks at the same time as a person ends the wait, only the engine knows which came
// first.
type retryAfter struct {
	least int64 // no attempt before
	most  int64 // whatever waits may wait until then
	at    int64 // when it was last asked for
}

// believedMost is the longest wait that a far side can mean.
const believedMost = 24 * time.Hour

// believed is how long a far side that asks for after is left alone.
func believed(after time.Duration) time.Duration {
	if after > believedMost {
		return 0
	}
	return after
}

// wait notes that the far side of l asked to be left alone.
func (l *lane) wait(after time.Duration, now int64) {
	until := now + int64(believed(after))
	l.retryAfter.most, l.retryAfter.at = max(l.retryAfter.most, until), now
	if l.dest.hands == 0 {
		l.retryAfter.least = max(l.retryAfter.least, until)
	}
}

// byHand notes that a person begins something that ends such waits of destinations. It returns a function that
// notes the end, and that is given the destinations it was done to.
func (m *Model) byHand(p *process, dests map[*dest]bool) (done func(map[*dest]bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	began := m.clock()
	for d := range dests {
		d.hands++
		for _, l := range d.lanes {
			l.retryAfter.least = 0
		}
	}
	return func(to map[*dest]bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if p.dead.Load() {
			return
		}
		for d := range dests {
			d.hands--
			if !to[d] {
				continue
			}
			m.touchDest(d, m.clock())
			for _, l := range d.lanes {
				if l.retryAfter.least = 0; l.retryAfter.at < began {
					l.retryAfter.most = 0
				}
			}
		}
	}
}

// destsOf are the destinations of deliveries.
func (m *Model) destsOf(ids []store.DeliveryID) map[*dest]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	dests := map[*dest]bool{}
	for _, id := range ids {
		dests[m.byID[id.Dest]] = true
	}
	return dests
}
