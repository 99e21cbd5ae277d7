package delivery

// consider finds out whether a call of l may start now, which reads are due,
// and when to ask again. It changes nothing else, so that calling it once too
// often does no harm.
func (s *Scheduler) consider(l *lane, now instant) {
	if l == nil {
		return
	}
	wake := l.slowAt()
	ready := false
	if s.phase != running || !l.dest.active() {
		for _, q := range l.queues {
			s.clock.dues.disarm(&q.timer)
		}
	} else {
		probing, gate := l.probing(), l.gate()
		waits, work, full := false, false, true
		for _, q := range l.queues {
			unread := q.next <= now.wall
			if unread {
				s.clock.dues.disarm(&q.timer)
				switch {
				case q.readAt > now.mono:
					wake = min(wake, q.readAt)
				case q.reading || q.readRequested:
				case !probing:
					if s.room(q, now) >= len(q.window) { // it is half empty
						s.requestRead(q)
					}
				case gate <= now.mono && l.calls == 0 && len(q.window) == 0:
					q.probe = true
					s.requestRead(q)
				}
			} else {
				s.clock.dues.arm(&q.timer, q.next, q)
			}
			waits = waits || len(q.window) > 0
			work = work || unread || len(q.window) > 0
			full = full && !q.reading && (!unread || len(q.window) > 0)
		}
		if work && gate > now.mono {
			wake = min(wake, gate)
			l.dest.rate.MarkWaited(now.mono)
		}
		// A probe takes the earliest due of all queues, so every one must have been read.
		if waits && gate <= now.mono && (!probing || full) {
			ready = s.mayTry(l) && s.thawed(l) && l.hasRoom(probing) && s.budget.share(l.dest, s.budget.poolFor(l.nextSize()), l.nextSize())
		}
	}
	s.clock.gates.set(&l.timer, wake, l)
	if ready && l.waitsForBytes == s.budget.pool(l) {
		return
	}
	l.stopWaitingForBytes()
	s.ring.set(l, ready)
}

func (s *Scheduler) considerAll(d *dest, now instant) {
	for _, l := range d.lanes {
		s.consider(l, now)
	}
}

// gate returns before which moment of the monotonic clock no call may start.
func (l *lane) gate() int64 {
	gate := max(l.retryAfter.Until, l.ownFault.At, l.dest.rate.At)
	if l.fails() {
		gate = max(gate, l.heldBack)
	}
	if l.dest.apart {
		gate = max(gate, l.dest.apartUntil)
	}
	if l.breaker.Open {
		gate = max(gate, l.breaker.Pace.At)
	}
	if l.held() {
		gate = max(gate, l.hold.At)
	}
	if l.inst == nil {
		gate = max(gate, l.thaw.pace.At)
	}
	return gate
}

// hasRoom tells whether one more call may run beside those in flight.
func (l *lane) hasRoom(probing bool) bool {
	if probing {
		return l.calls == 0
	}
	return l.calls < min(l.concurrency.Limit, l.dest.max) && (!l.hanging || l.overAge == 0)
}
