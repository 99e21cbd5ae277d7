package policy

import "time"

// Pacer spaces what is tried now and then: each wait is twice the one before.
type Pacer struct {
	Wait time.Duration // the last; 0: none
	At   int64         // mono: not before
}

// Next waits, longer each time: first, and most in the end.
func (p *Pacer) Next(mono int64, first, most time.Duration) {
	p.Wait = p.NextWait(first, most)
	p.At = mono + int64(p.Wait)
}

// NextWait returns the wait that Next would make.
func (p *Pacer) NextWait(first, most time.Duration) time.Duration {
	return min(max(first, 2*p.Wait), most)
}

// What waits after a fault of our own waits this long.
const (
	ownFaultFirst = time.Second
	ownFaultMost  = time.Minute
)

// OwnFaultWait returns the wait that NextOwnFault would make.
func (p *Pacer) OwnFaultWait(mono int64) time.Duration {
	if p.At > mono {
		return time.Duration(p.At - mono) // several faults of one moment count as one
	}
	return min(max(ownFaultFirst, 2*p.Wait), ownFaultMost)
}

// NextOwnFault waits after a fault of our own, longer each time.
func (p *Pacer) NextOwnFault(mono int64) {
	if p.At <= mono {
		p.Next(mono, ownFaultFirst, ownFaultMost)
	}
}
