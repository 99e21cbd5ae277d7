package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Run plays a scenario. It must run in a synctest bubble.
func Run(sc *Scenario) *engine {
	time.Sleep(sc.Midday)
	e := newEngine(sc)
	setups := map[int]Setup{}
	first := true
	for i := range sc.Actions {
		a := &sc.Actions[i]
		if !first {
			e.until(a.At, setups)
		}
		if a.Verb == Reload {
			for n, s := range a.Setups {
				setups[n] = s
			}
		}
		if first {
			first = false
			e.begin(setups, false)
			continue
		}
		e.do(a, setups)
	}
	e.until(sc.Length, setups)
	e.finish(setups)
	return e
}

// begin starts the daemon, again and again if the power fails while it starts.
func (e *engine) begin(setups map[int]Setup, crashed bool) {
	for tries := 0; !e.start(setups, crashed) && tries < 20; tries++ {
		if !e.process.dead.Load() {
			e.model.fault(nil, "the daemon does not start")
			panic("the daemon does not start\n" + e.report())
		}
		<-e.crashed
		e.bury()
		crashed = true
	}
}

// until lets time pass, and starts the daemon again when it crashes.
func (e *engine) until(at time.Duration, setups map[int]Setup) {
	for {
		// Deliveries that are late, because the daemon was away, still do not come all at once.
		wait := time.NewTimer(max(time.Until(e.began.Add(at)), time.Duration(1+e.bits()%1000)))
		select {
		case <-wait.C:
			select {
			case <-e.crashed:
				e.revive(setups, 0)
			default:
			}
			return
		case <-e.crashed:
			wait.Stop()
			e.revive(setups, time.Second)
		}
	}
}

func (e *engine) revive(setups map[int]Setup, down time.Duration) {
	e.bury()
	if down > 0 {
		time.Sleep(down)
	}
	e.begin(setups, true)
}

func (e *engine) do(a *Action, setups map[int]Setup) {
	p := e.process
	if a.Verb != Accept && a.Verb != Look && a.Verb != Check {
		e.model.say("%v %+v", a.Verb, describe(a))
	}
	switch a.Verb {
	case Accept:
		e.asks.Go(func() { e.accept(p, a) })
	case Reload:
		// Apply only new settings: those in force stay.
		if err := p.apply(setups); err != nil && !p.dead.Load() {
			e.model.fault(nil, "reload: %v", err)
		}
	case Restart:
		e.stop(a.Grace)
		select {
		case <-e.crashed: // it died while it stopped
			e.bury()
			time.Sleep(a.Down)
			e.begin(setups, true)
		default:
			time.Sleep(a.Down)
			e.begin(setups, false)
		}
	case Crash:
		if a.Writes > 0 {
			e.disk.arm(a.Writes, func() { e.cutPower(e.process, a.Power, a.Percent) })
			return
		}
		e.cutPower(p, a.Power, a.Percent)
		select {
		case <-e.crashed:
			e.revive(setups, a.Down)
		default:
		}
	case Check:
		e.ops.Go(func() { e.check(p, a) })
	case Look:
		synctest.Wait()
		e.look()
	default:
		e.ops.Go(func() { e.operate(p, a) })
	}
}

func describe(a *Action) string {
	switch a.Verb {
	case Reload:
		return fmt.Sprintf("%+v", a.Setups)
	case Crash:
		return fmt.Sprintf("power %v, %d %% of what is not synced, after %d writes", a.Power, a.Percent, a.Writes)
	case Restart:
		return fmt.Sprintf("grace %v, down %v", a.Grace, a.Down)
	}
	return fmt.Sprintf("to%d", a.Dest)
}

// operate does what a person, or the daemon's own housekeeping, does.
func (e *engine) operate(p *process, a *Action) {
	ctx := context.Background()
	m := e.model
	check := func(err error) {
		if err != nil && !p.dead.Load() {
			m.fault(nil, "%v: %v", a.Verb, err)
		}
	}
	switch a.Verb {
	case Pause, Resume:
		d := m.dests[a.Dest]
		if !m.ask(d, a.Verb == Resume) {
			return
		}
		var err error
		if a.Verb == Pause {
			err = p.sched.Pause(ctx, d.id, "by hand")
		} else {
			some := map[*dest]bool{d: true}
			done := m.byHand(p, some)
			err = p.sched.Resume(ctx, d.id)
			done(some)
		}
		m.asked(p, d, a.Verb == Resume, err)
	case Cancel, Retry:
		e.change(p, a)
	case Rebind:
		if d := m.dests[a.Dest]; m.rebind(d, true) {
			some := map[*dest]bool{d: true}
			done := m.byHand(p, some)
			_, err := p.sched.Rebind(ctx, d.id)
			done(some)
			if !p.dead.Load() {
				if e.sc.Faults == 0 {
					check(err)
				}
				m.rebind(d, false)
			}
		}
	case Retain:
		now := m.wallTime(time.Now())
		what := m.retains(now)
		p.rec.sweep(what, func(moved func([]store.Moved)) error {
			_, err := p.store.Retain(ctx, now, e.sc.Retention, moved)
			return err
		})
		m.retained(p)
	case Erase:
		now := m.wallTime(time.Now())
		what := m.erases(now, e.sc.Developers[a.Dev], a.User)
		p.rec.sweep(what, func(moved func([]store.Moved)) error {
			_, err := p.store.Erase(ctx, now, store.Erasure{Developer: what.dev, User: what.user, By: "simulation"}, moved)
			return err
		})
	case Collect:
		check(p.collect(ctx))
	}
}

// broughtBack are the deliveries that a change has made pending.
func broughtBack(moved []store.Moved) (ids []store.DeliveryID) {
	for _, m := range moved {
		if m.Err == nil && m.To == store.Pending {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// collect removes settings as the daemon does: not during a reload, and neither those in force nor those of
// attempts in flight.
func (p *process) collect(ctx context.Context) error {
	p.reload.Lock()
	defer p.reload.Unlock()
	keep := p.sched.SettingsInFlight()
	for i, s := range p.settings {
		if s.Present {
			keep = append(keep, p.engine.sc.Dests[i].Versions[s.Version].Hash)
		}
	}
	_, err := p.store.CollectSettings(ctx, keep)
	return err
}

// accept hands in one call of a producer.
func (e *engine) accept(p *process, a *Action) {
	if p.ingest == nil || p.dead.Load() || p.stopping {
		return
	}
	rs := make([]ingest.Request, len(a.Requests))
	asked := make([]*request, len(rs))
	for i := range a.Requests {
		r := &a.Requests[i]
		body := e.sc.body(r)
		asked[i] = e.model.hand(r, body)
		rs[i] = ingest.Request{Developer: e.sc.Developers[r.Developer], Reference: reference(r.Ordinal), IdempotencyKey: r.Key, Body: body}
	}
	results := p.ingest.Accept(context.Background(), rs)
	if !p.dead.Load() {
		e.model.answered(p, asked, results)
	}
}

// body makes the body of a request; a copy has the same one.
func (sc *Scenario) body(r *Request) []byte {
	n := r.Ordinal
	if r.Copy >= 0 {
		n = r.Copy
	}
	rng := rand.New(rand.NewPCG(sc.Seed, uint64(n)))
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":%q,"user":{"user_id":%q},"n":%d,"data":"`, typeName(r.Type), r.User, n)
	for b.Len() < r.Size {
		b.WriteByte("abcdefghijklmnopqrstuvwxyz"[rng.IntN(26)])
	}
	b.WriteString(`"}`)
	return []byte(b.String())
}

// look compares what the daemon shows with the model, while nothing changes.
func (e *engine) look() {
	p := e.process
	if p.dead.Load() {
		return
	}
	e.model.look()
	e.model.compare(p.sched.Status())
}

// finish stops the daemon, opens the store once more and checks everything.
func (e *engine) finish(setups map[int]Setup) {
	e.look()
	e.stop(time.Minute)
	select {
	case <-e.crashed:
		e.bury()
		e.begin(setups, true)
		e.stop(time.Minute)
	default:
	}
	e.disk.left.Store(0)
	e.begin(setups, false)
	e.readAll()
	e.stop(time.Minute)
	if e.rescued != 0 {
		e.model.fault(nil, "the watchdog found something %g times", e.rescued)
	}
}

// readAll reads back every body.
func (e *engine) readAll() {
	for _, req := range e.model.requests {
		if req == nil || !req.stored {
			continue
		}
		day := req.id.Day()
		gone := day < e.model.bodies || e.model.isErased(req)
		ev, err := e.process.store.Event(context.Background(), day, req.id)
		if err != nil && !gone {
			e.model.fault(nil, "event %d cannot be read: %v", req.Ordinal, err)
		} else if err == nil && (!same(ev.Body, req.body) || ev.ID != req.id) {
			e.model.fault(nil, "event %d has another body", req.Ordinal)
		}
	}
}
