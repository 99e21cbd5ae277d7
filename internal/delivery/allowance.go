package delivery

import "github.com/seed-51f8da91/fantail/internal/delivery/policy"

// allowance spaces the attempts of a developer, over all of their destinations.
// While it is used up the developer has no turn in the ring, however many of
// their lanes are ready, and one alarm brings them back: that costs the same for
// one destination as for thousands, and who was served longer ago still comes first.
type allowance struct {
	rate  policy.Bucket
	spent bool
	timer alarm[*developer]
}

// spendAllowance takes n attempts of d's allowance.
func (s *Scheduler) spendAllowance(d *developer, n int, now instant) {
	b := &d.allowance
	if b.rate.Every == 0 {
		return
	}
	b.rate.Spend(now.mono)
	b.rate.At += int64(n-1) * b.rate.Every
	if b.rate.At <= now.mono {
		return
	}
	b.spent = true
	for class := range int8(classes) {
		s.ring.turns[class].remove(d, class)
	}
	s.clock.allowances.arm(&b.timer, b.rate.At, d)
}

// renewAllowance gives d turns again.
func (s *Scheduler) renewAllowance(d *developer) {
	d.allowance.spent = false
	for class := range int8(classes) {
		if d.ready[class].first != nil {
			d.allowance.rate.Waited = true
			s.ring.turns[class].push(d, class)
		}
	}
}
