package delivery

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// A delivery that kills its daemon is adopted by another one, and kills that. What was in flight stands
// in the flight record of the dead machine, which the adopter does not have. So after two owners of a slot
// that ended without goodbye, whatever was due in it is suspected: its destinations wait apart and are
// tried in trials, until as many deliveries as may have been in flight have ended without a crash, or
// nothing is left that was due then. One owner that ended so is no reason: machines do.
//
// A trial of such a destination is written down in the store before it begins, and crossed out
// when it has ended. Whoever adopts it next finds there how many trials running nobody survived: how long
// to wait before the next one, and when a delivery is dead of it. So what kills whoever touches it ends
// two daemons, and five more within 15 minutes.
const (
	suspectedAfter = 2  // owners
	mostInFlight   = 32 // deliveries of a destination that are tried one by one
)

// suspicion is against what was due in a slot when it was adopted.
type suspicion struct {
	left  int   // trials that must go well
	until int64 // wall: what was due by then is meant; 0: there is none
	known bool  // the trials before are known
}

// trialNote says in the store how many trials running nobody survived, of a destination or of a delivery. Another
// daemon's trial of an innocent delivery ends the count of the destination, and not that of the delivery.
type trialNote struct {
	Trials uint8
	At     time.Time // when the last one began
}

func trialKey(of string) string { return "trial/" + of }

func destName(dest uint32) string { return strconv.FormatUint(uint64(dest), 10) }

// suspectAdopted has d wait apart if daemons ended one after the other that had h.
func (s *Scheduler) suspectAdopted(d *dest, h *store.Head, now instant) {
	if s.shared == nil || h.Unclean < suspectedAfter || h.From.Due > now.wall {
		return
	}
	first := d.suspicion.left == 0
	d.suspicion = suspicion{left: max(1, min(d.whole.max, mostInFlight)), until: now.wall}
	if !d.apart {
		d.apart, d.apartUntil = true, now.mono+int64(time.Minute) // at the latest: see readTrials
		s.apart = append(s.apart, d)
	}
	if first {
		s.log.Warn("daemons ended one after the other while something of a destination was due; it waits apart and is tried with one delivery at a time",
			"developer", d.key.Developer, "destination", d.key.Name, "daemons", h.Unclean)
	}
}

// suspected tells whether something is left of what d is suspected for.
func (d *dest) suspected() bool {
	g := &d.suspicion
	if g.left == 0 {
		return false
	}
	if !d.active() {
		return true
	}
	for _, l := range d.lanes {
		if l.unsettled > 0 { // it may be due again by then
			return true
		}
	}
	for _, q := range d.queues {
		if len(q.window) > 0 && q.window[0].item.Due <= g.until || q.next <= g.until {
			return true
		}
	}
	g.left = 0
	return false
}

// tried notes that a trial has ended and become o. What was not asked after all is suspected still, though it
// is due later now.
func (d *dest) tried(o *store.Outcome, asked bool) {
	switch g := &d.suspicion; {
	case g.left == 0:
	case asked:
		g.left--
	case o.State == store.Pending:
		g.until = max(g.until, o.Due)
	}
}

// learnTrials reads what is known of trials of those that are suspected.
func (s *Scheduler) learnTrials() {
	if s.phase == running && !s.trial.learning && len(s.unknownTrials()) > 0 {
		s.trial.learning = true
		s.work.Go(s.readTrials)
	}
}

func (s *Scheduler) unknownTrials() (ids []uint32) {
	for _, d := range s.apart {
		if d.suspicion.left > 0 && !d.suspicion.known {
			ids = append(ids, d.id)
		}
	}
	return ids
}

func (s *Scheduler) readTrials() {
	for wait := readAgain; ; {
		s.mu.Lock()
		ids := s.unknownTrials()
		s.trial.learning = len(ids) > 0 && s.phase == running
		over := !s.trial.learning
		s.mu.Unlock()
		if over {
			return
		}
		for _, id := range ids {
			note, err := s.trialsOf(destName(id))
			if err != nil {
				if s.io.Err() == nil {
					s.log.Error("reading what is known of trials failed; trying again", "error", err, "wait", wait)
				}
				if !sleep(s.io, wait) {
					return
				}
				wait = min(2*wait, readAgainMax)
				break
			}
			now := s.lock()
			d := s.dests[id]
			d.suspicion.known = true
			until := now.mono
			if note.Trials > 0 {
				d.killedInTrial = true
				after := note.At.Add(suspects.ApartFor(note.Trials - 1)).UnixNano()
				until += max(0, min(after-now.wall, int64(suspects.ApartMost)))
			}
			if !s.flight.Known(suspects.OfDestination(id)).Apart() || until > d.apartUntil {
				d.apartUntil = until
			}
			s.reviewApart(d, now)
			s.considerAll(d, now)
			s.unlock(now)
		}
	}
}

func (s *Scheduler) trialsOf(what string) (n trialNote, err error) {
	text, err := s.shared.Get(s.io, trialKey(what))
	if errors.Is(err, store.ErrNotFound) {
		return n, nil
	}
	if err == nil && json.Unmarshal(text, &n) != nil {
		n = trialNote{} // of another version of the program
	}
	return n, err
}

// noteTrial writes down that a trial begins. It returns false, with the ending, where there is to be none.
func (s *Scheduler) noteTrial(a *attempt) bool {
	id := a.job.item.ID
	n, err := s.trialsOf(id.String())
	if err == nil && n.Trials >= suspects.DeadAfter {
		a.ending.How = policy.Crashed
		s.crossOut(id)
		return false
	}
	for _, what := range [...]string{id.String(), destName(id.Dest)} {
		if err == nil {
			n, err = s.trialsOf(what)
		}
		if err == nil {
			n.Trials, n.At = min(n.Trials+1, 100), s.now().time().UTC()
			text, _ := json.Marshal(n) // of a number and a time
			err = s.shared.Put(s.io, trialKey(what), text)
		}
	}
	if err != nil {
		s.log.Error("writing down a trial failed; its delivery waits", "error", err)
		a.ending.How, a.ending.Answer = policy.EngineFault, "the engine could not write down that it tries this"
		return false
	}
	return true
}

// crossOut notes that a trial has ended without a crash.
func (s *Scheduler) crossOut(id store.DeliveryID) {
	for _, what := range [...]string{id.String(), destName(id.Dest)} {
		if err := s.shared.Delete(s.io, trialKey(what)); err != nil && s.io.Err() == nil {
			s.log.Error("crossing out a trial failed; if a daemon ends now, one more counts", "error", err)
		}
	}
}
