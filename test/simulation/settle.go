package simulation

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// settled checks every outcome against what the far side knows. It checks what the store made of it against the
// rules of versions: delivered wins, and any other outcome leaves a newer change in place.
func (m *Model) settled(outcomes []store.Outcome, out []store.Settled) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range outcomes {
		m.settledOne(&outcomes[i], &out[i])
	}
}

func (m *Model) settledOne(o *store.Outcome, s *store.Settled) {
	d := m.parcel(o.Item.ID)
	was := d.now()
	repeated := d.log[o.Item.Version].Class != "" && o.Attempt != nil && len(d.ended) == 0
	if !repeated {
		m.explain(d, o)
	}
	if o.Attempt != nil && !d.gone && !repeated {
		d.log[o.Item.Version] = logged{*o.Attempt, m.seq + 1}
	}
	stale := was.version != o.Item.Version || was.state != store.Pending
	next := was
	switch {
	case d.gone:
		if s.State != 0 {
			m.faultLocked(d, "settled as %v although retention took it", s.State)
		}
		return
	case !stale:
		next = after(o)
	case o.State == store.Delivered && was.state != store.Delivered:
		next = row{state: store.Delivered, attempts: o.Attempts, version: was.version + 1}
	}
	text := ""
	if stale {
		text = " (changed meanwhile)"
	}
	m.noteLocked(d, "recorded: %s%s", next, text)
	m.change(d, next, false)
	if s.State != next.state || s.Stale != stale {
		m.faultLocked(d, "Settle returns %v, stale %v; want %v, stale %v", s.State, s.Stale, next.state, stale)
	} else if next.state == store.Pending {
		m.sameItem(d, &s.Item, "Settle")
	}
}

// explain finds the attempt of an outcome, and checks that the outcome is what the outcome table says.
func (m *Model) explain(d *parcel, o *store.Outcome) {
	if len(d.ended) == 0 {
		m.untried(d, o)
		return
	}
	t := d.ended[0]
	d.ended = d.ended[1:]
	m.mustHaveSaid(d.dest)
	if o.Attempt == nil {
		m.faultLocked(d, "the outcome of an attempt has no record of it")
		return
	}
	if at := m.wall(t.call.start); o.Attempt.At != at || o.Attempt.Took != time.Duration(t.end-t.call.start) {
		m.faultLocked(d, "the record says %s for %v, want %s for %v", clock(o.Attempt.At), o.Attempt.Took, clock(at), time.Duration(t.end-t.call.start))
	}
	if t.no != int(o.Item.Attempts)+1 {
		m.faultLocked(d, "attempt %d was made of an item with %d", t.no, o.Item.Attempts)
	}
	w := m.verdict(t, o)
	if !slices.Contains(classes[t.ending], o.Attempt.Class) {
		m.faultLocked(d, "%v is logged as %s", t.ending, o.Attempt.Class)
	}
	if o.State != w.state || o.Attempts != w.attempts || !strings.HasPrefix(o.Reason, w.reason) || (o.Reason == "") != (w.reason == "") {
		m.faultLocked(d, "%v became %v, %d attempts, reason %q; want %v, %d, %q", t.ending, o.State, o.Attempts, o.Reason, w.state, w.attempts, w.reason)
		return
	}
	if counted := w.attempts != o.Item.Attempts; o.Attempt.Counted != counted {
		m.faultLocked(d, "%v is logged with counted %v", t.ending, o.Attempt.Counted)
	}
	if o.State != store.Pending {
		return
	}
	if o.Due < w.from || o.Due > w.to {
		m.faultLocked(d, "%v at %s makes it due %s, want %s to %s", t.ending, clock(t.end), clock(o.Due), clock(w.from), clock(w.to))
	}
	released := t.call.start < t.released && t.released < t.end && o.Item.Queue.Settings == 0
	if released && o.Settings != 0 {
		m.faultLocked(d, "%v freezes it to %x although it was rebound meanwhile", t.ending, o.Settings)
	} else if o.Settings != w.settings && !(t.unfrozen && o.Settings == 0) {
		m.faultLocked(d, "%v freezes it to %x, want %x", t.ending, o.Settings, w.settings)
	}
}

// classes are what the log may call an ending.
var classes = map[ending][]string{
	taken: {"delivered"}, failed: {"transient"}, asked: {"throttled"}, refused: {"rejected"}, misset: {"misconfigured"},
	ours: {"interrupted"}, cut: {"interrupted"}, killed: {"interrupted"},
}

// wanted is the outcome that an attempt must have.
type wanted struct {
	state    store.State
	reason   string
	attempts uint16
	from, to int64 // due
	settings uint64
}

// verdict is the outcome table, from the contract.
func (m *Model) verdict(t *try, o *store.Outcome) wanted {
	v := t.call.lane.version
	it := &o.Item
	end := m.wall(t.end)
	w := wanted{state: store.Pending, attempts: it.Attempts, from: it.Due, to: it.Due, settings: it.Queue.Settings}
	switch t.ending {
	case taken:
		return wanted{state: store.Delivered, attempts: it.Attempts + 1}
	case refused:
		return wanted{state: store.Dead, reason: "rejected", attempts: it.Attempts + 1}
	case misset:
		if !t.current { // nobody can mend settings that are gone
			w.from, w.to, w.settings = end, end, 0
		}
		return w
	case ours:
		w.from, w.to = max(it.Due, end), max(it.Due, end+int64(time.Minute))
		return w
	case cut, killed:
		return w
	}
	if t.held { // a probe on the engine's own account: the next one is of another delivery
		w.from = max(it.Due, end+int64(t.again))
		if w.to = w.from; t.murky {
			w.to = max(it.Due, end+int64(time.Hour))
		}
		return w
	}
	w.attempts++
	n := int(w.attempts)
	if n > len(v.Schedule.Waits) {
		return wanted{state: store.Dead, reason: "attempts used up", attempts: w.attempts}
	}
	wait := float64(v.Schedule.Waits[n-1])
	least, most := int64(wait*(1-v.Schedule.Jitter)), int64(wait*(1+v.Schedule.Jitter))
	if t.ending == asked {
		least, most = max(least, int64(believed(t.after))), max(most, int64(believed(t.after)))
	}
	w.from, w.to = end+least-1, end+most+1
	if v.Frozen && w.settings == 0 {
		w.settings = v.Hash
	}
	return w
}

// untried checks an outcome without a far side: a body that is gone or could not be read, or a delivery that
// is dead because of crashes.
func (m *Model) untried(d *parcel, o *store.Outcome) {
	same := o.State == store.Pending && o.Attempts == o.Item.Attempts && o.Settings == o.Item.Queue.Settings
	switch {
	case o.Attempt == nil && o.State == store.Dead && o.Reason == "expired" && m.bodyless(d):
		return
	case o.Attempt == nil && o.State == store.Dead && strings.HasPrefix(o.Reason, "the process died") && d.alone >= 5:
		d.kills = 0
		return
	case o.Attempt == nil:
	case o.Attempt.Class == "interrupted" && same && m.sc.Faults > 0:
		m.ail(d)
		return
	case o.Attempt.Class == "interrupted" && same && o.Due == o.Item.Due: // stopped before it was sent
		return
	}
	m.faultLocked(d, "settled as %v, %d attempts (%+v), without any attempt", o.State, o.Attempts, o.Attempt)
}
