package policy

import "slices"

// Concurrency is how many calls of a lane may run: 1 at first, doubled
// after as many successes as it allows at once, halved by a failure.
type Concurrency struct {
	Limit   int
	healthy int // successes since limit changed
}

// Rise counts a success; the limit is most in the end.
func (c *Concurrency) Rise(most int) {
	if c.healthy++; c.healthy >= c.Limit {
		c.Limit, c.healthy = max(1, min(2*c.Limit, most)), 0
	}
}

// Fall halves the limit.
func (c *Concurrency) Fall() { c.Limit, c.healthy = max(1, c.Limit/2), 0 }

// Median is that of the last calls the far side answered well. Others are
// left out: a far side that hangs must not make hanging look normal.
type Median struct {
	last *[15]int64 // nil before the first
	n    int
	mid  int64
	old  bool // mid is
}

// Add takes in how long one took, in ns.
func (m *Median) Add(took int64) {
	if m.last == nil {
		m.last = new([15]int64)
	}
	m.last[m.n%len(m.last)] = took
	m.n++
	m.old = m.old || m.n <= len(m.last) || m.n%8 == 0 // half of them anew; sorting costs more than adding
}

// Get returns it, in ns; 0 before the first.
func (m *Median) Get() int64 {
	if m.old {
		all := *m.last
		some := all[:min(m.n, len(all))]
		slices.Sort(some)
		m.mid, m.old = some[len(some)/2], false
	}
	return m.mid
}
