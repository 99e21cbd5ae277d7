package delivery

import "time"

// slowAfter is the age from which a call is slow.
func (l *lane) slowAfter() int64 { return max(int64(time.Second), 4*l.median.Get()) }

// slowAt returns when the next call in flight goes over age.
func (l *lane) slowAt() int64 {
	for c := l.first; c != nil; c = c.next {
		if !c.overAge {
			return c.began + l.slowAfter()
		}
	}
	return never
}

// markSlow moves calls that became slow out of the way. Until one succeeds the
// lane starts no more beside them: it would only add to what hangs.
func (s *Scheduler) markSlow(l *lane, now instant) {
	threshold := l.slowAfter()
	for c := l.first; c != nil && c.began+threshold <= now.mono; c = c.next {
		if c.overAge {
			continue
		}
		c.overAge = true
		l.overAge++
		l.hanging, l.hindered = true, true
		s.shrinkWindows(l)
		s.budget.moveToSlow(c)
	}
}
