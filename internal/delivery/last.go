package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// lastEvery is how much of what the last attempts came to a crash may lose: it
// is stored this often at the most, and when the scheduler stops.
const lastEvery = 10 * time.Second

// lastMost is how many bytes of an answer are kept for each destination.
const lastMost = 256

// last is what people are told of the last attempts of a destination.
type last struct {
	store.Last
	changed bool // since it was stored
}

// lastWriter stores them, all that changed in one commit.
type lastWriter struct {
	changed []*dest
	running bool
	writing chan struct{} // full while somebody writes: what is written last is the newest
}

// recordLast keeps how an attempt of j with the settings of l ended. What goes on
// with other settings than the destination has now says nothing of those.
func (s *Scheduler) recordLast(l *lane, j *job, e *policy.Ending) {
	if !e.How.Asked() {
		return
	}
	d := l.dest
	t := &d.last.Last
	ended := e.At + int64(e.Took)
	if e.How == policy.Accepted {
		t.Success = max(t.Success, ended)
	} else if l != d.current {
		return
	}
	if l == d.current {
		if t.Settings != l.hash {
			t.Settings, t.Failed = l.hash, 0
		}
		if t.Failed++; e.How == policy.Accepted {
			t.Failed = 0
		}
		t.Answer = store.Answer{At: ended, Class: e.Logged(), Code: e.Code}
		if !j.changed { // erased meanwhile, perhaps: nothing may quote it
			t.Answer.Text, t.Answer.Fault = shorten(e.Answer), shorten(e.Fault)
		}
	}
	s.storeLastLater(d)
}

// recordDead counts a delivery that died.
func (s *Scheduler) recordDead(d *dest, now instant) {
	d.last.Dead.Add(now.wall, 1)
	s.storeLastLater(d)
}

// ForgetAnswers empties what the far sides of a developer answered last: it may
// quote what was erased.
func (s *Scheduler) ForgetAnswers(developer string) {
	now := s.lock()
	defer s.unlock(now)
	for _, d := range s.dests {
		if a := &d.last.Answer; d.key.Developer == developer && (a.Text != "" || a.Fault != "") {
			a.Text, a.Fault = "", ""
			s.storeLastLater(d)
		}
	}
}

// shorten cuts text between characters. It lets go of what it cuts off.
func shorten(text string) string {
	if len(text) <= lastMost {
		return text
	}
	n := lastMost
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.Clone(text[:n])
}

// storeLastLater has it stored.
func (s *Scheduler) storeLastLater(d *dest) {
	if d.last.changed || !d.stateKnown {
		return
	}
	d.last.changed = true
	k := &s.lastWriter
	k.changed = append(k.changed, d)
	if !k.running && s.phase == running {
		k.running = true
		s.work.Go(s.storeLasts)
	}
}

// storeLasts stores what changes until nothing does for lastEvery.
func (s *Scheduler) storeLasts() {
	for sleep(s.io, lastEvery) {
		s.storeLast()
		s.mu.Lock()
		idle := len(s.lastWriter.changed) == 0
		if idle {
			s.lastWriter.running = false
		}
		s.mu.Unlock()
		if idle {
			return
		}
	}
}

// storeLast stores what has changed.
func (s *Scheduler) storeLast() {
	k := &s.lastWriter
	select {
	case k.writing <- struct{}{}:
		defer func() { <-k.writing }()
	case <-s.io.Done():
		return
	}
	s.mu.Lock()
	changed := k.changed
	k.changed = nil
	rows := make(map[uint32]store.Last, len(changed))
	for _, d := range changed {
		d.last.changed = false
		rows[d.id] = d.last.Last
	}
	s.mu.Unlock()
	if len(rows) == 0 {
		return
	}
	err := s.store.SetLast(s.io, rows)
	if err == nil || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrFenced) || errors.Is(err, context.Canceled) {
		return
	}
	s.log.Error("storing the last answers of destinations failed; they are stored with the next ones", "error", err)
	s.mu.Lock()
	for _, d := range changed {
		s.storeLastLater(d)
	}
	s.mu.Unlock()
}

// failure says that the last attempts failed; "" if the last one with current
// settings did not.
func (d *dest) failure() string {
	t := &d.last.Last
	if d.current == nil || t.Settings != d.current.hash || t.Failed == 0 {
		return ""
	}
	if t.Failed == 1 {
		return policy.Reason("the last attempt failed", t.Answer.Fault)
	}
	return policy.Reason(fmt.Sprintf("the last %d attempts failed", t.Failed), t.Answer.Fault)
}
