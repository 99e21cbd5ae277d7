package delivery

import (
	"crypto/sha256"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// count is what is known of something that was in flight at a crash.
type count struct {
	crashes  uint8 // running
	alone    uint8 // of a delivery: crashes running that found it the only suspect in flight
	tries    uint8 // of a destination: crashes in its trials; of a delivery: 1 when it has ended
	until    int64 // ns of wall time: a destination that waits apart, or a check, is not tried before
	suspects int   // of a destination: its deliveries that are
	slot     int
}

const (
	apartAfter = 3 // crashes running
	deadAfter  = 5 // crashes running in trials
	apartFirst = time.Minute
	apartMost  = time.Hour
)

// apartFor is how long a destination waits after so many trials that a crash ended.
func apartFor(tries uint8) time.Duration { return min(apartFirst<<min(tries, 8), apartMost) }

// dead tells whether a delivery is dead of crashes.
func (c count) dead() bool { return c.alone >= deadAfter }

// suspect tells whether a delivery keeps its destination apart.
func (c count) suspect() bool { return c.crashes >= apartAfter && !c.dead() }

// apart tells whether a destination waits apart.
func (c count) apart() bool { return c.crashes >= apartAfter || c.suspects > 0 }

// Beside deliveries the record knows three more things by an ID.
func ofDestination(id uint32) store.DeliveryID { return store.DeliveryID{Dest: id} }
func ofCheck(id uint32) store.DeliveryID       { return store.DeliveryID{Dest: id, Replay: 1} }

// ofOpening is by name: what is opened may not be registered yet.
func ofOpening(k store.DestinationKey) store.DeliveryID {
	h := sha256.Sum256([]byte(k.Developer + "\x00" + k.Name + "\x00" + k.Kind))
	return store.DeliveryID{Event: event.ID(h[:16])}
}

func isDelivery(id store.DeliveryID) bool    { return id.Dest != 0 && !id.Event.IsZero() }
func isDestination(id store.DeliveryID) bool { return id.Dest != 0 && id == ofDestination(id.Dest) }

// charge counts the crash for what was in flight and for the destinations of that.
// The count of a delivery below three ends when it was not in flight, since it was
// due first again; that of a check or an opening only when one goes well.
func (f *Flight) charge(flew map[store.DeliveryID]byte, now int64) {
	tried := 0
	for _, state := range flew {
		if state == slotTrial {
			tried++
		}
	}
	flown := make(map[uint32]byte) // destinations, as flew
	found := make(map[uint32]bool) // destinations with a delivery that is dead of it now
	for id, state := range flew {
		if id == (store.DeliveryID{}) {
			continue
		}
		c := f.of(id)
		c.crashes = min(c.crashes+1, 100)
		if id == ofCheck(id.Dest) {
			c.until = now + int64(apartFor(c.crashes-1))
		}
		as := byte(slotFlying)
		if state == slotTrial && isDelivery(id) {
			as = slotTrial
			if c.alone++; tried > 1 {
				c.alone = 0
			}
			found[id.Dest] = found[id.Dest] || c.alone == deadAfter
		}
		flown[id.Dest] = max(flown[id.Dest], as)
	}
	for id := range flown {
		if id != 0 {
			f.of(ofDestination(id)).crashes++
		}
	}
	for id, c := range f.counts {
		if isDelivery(id) && flew[id] == 0 && c.crashes < apartAfter {
			delete(f.counts, id)
		} else if d := f.counts[ofDestination(id.Dest)]; d != nil && isDelivery(id) && c.suspect() {
			d.suspects++
		}
	}
	for id, c := range f.counts {
		if isDestination(id) {
			c.crashes = min(c.crashes, 100)
			f.part(id, c, flown[id.Dest], found[id.Dest], now)
		}
	}
}

// part decides how long a destination waits that was in flight as state says, if at all.
func (f *Flight) part(id store.DeliveryID, c *count, state byte, found bool, now int64) {
	if state == 0 && c.crashes < apartAfter {
		c.crashes = 0
	}
	switch {
	case !c.apart():
		if c.tries, c.until = 0, 0; c.crashes == 0 {
			delete(f.counts, id)
		}
	case c.until == 0:
		c.until = now + int64(apartFirst)
	case state == slotTrial:
		c.tries = min(c.tries+1, 100)
		c.until = now + int64(apartFor(c.tries))
		if found && c.tries < 2*deadAfter {
			c.until = now // the next delivery may show at once that it was the first one alone
		}
	}
}

// of returns the count of id, a new one if there is none.
func (f *Flight) of(id store.DeliveryID) *count {
	c := f.counts[id]
	if c == nil {
		c = &count{}
		f.counts[id] = c
	}
	return c
}

// known returns what is counted of id; nothing, as a rule.
func (f *Flight) known(id store.DeliveryID) (c count) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.counts) > 0 {
		if p := f.counts[id]; p != nil {
			c = *p
		}
	}
	return c
}

// parted lists the destinations that wait apart.
func (f *Flight) parted() (ids []uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.counts {
		if isDestination(id) && c.apart() {
			ids = append(ids, id.Dest)
		}
	}
	return ids
}

// Opening notes that a destination is being opened, until end is called. It
// returns nil where the process died of that before: who is to deliver there may
// open it then, and say so here, as an attempt of their own.
func (f *Flight) Opening(k store.DestinationKey) (end func()) {
	id := ofOpening(k)
	if f.known(id).crashes > 0 {
		return nil
	}
	slot := f.begin(id, false)
	return func() { f.end(slot, id, true) }
}

// Opened notes that a destination was opened although the process had died of that.
func (f *Flight) Opened(k store.DestinationKey) { f.forget(ofOpening(k)) }

// forget drops the count of what ended otherwise.
func (f *Flight) forget(id store.DeliveryID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(id)
}

// settled drops the count of a delivery that has ended. One that died of it is
// known until a clean stop: a crash takes back outcomes of the last 100 ms.
func (f *Flight) settled(id store.DeliveryID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.counts[id]; c != nil && c.dead() {
		c.tries = 1
		f.write(c.slot, slotCount, id, c)
		return
	}
	f.drop(id)
}

// forgetAll drops whatever is known of a destination.
func (f *Flight) forgetAll(dest uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.counts {
		if id.Dest == dest {
			f.drop(id)
		}
	}
}

// clear is a clean stop: crashes before it and after it do not run on. What waits
// apart still does, and so do checks and openings that the process died of.
func (f *Flight) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.counts {
		if isDelivery(id) && (c.crashes < apartAfter || c.tries > 0) || isDestination(id) && !c.apart() {
			delete(f.counts, id)
		}
	}
	f.rewrite()
}

// drop takes the count of id out of the record.
func (f *Flight) drop(id store.DeliveryID) {
	c := f.counts[id]
	if c == nil {
		return
	}
	delete(f.counts, id)
	f.give(c.slot)
	if d := f.counts[ofDestination(id.Dest)]; d != nil && isDelivery(id) && c.suspect() {
		d.suspects--
		f.keep(id.Dest, d)
	}
}

// keep writes the count of a destination down, or drops it when it says nothing.
func (f *Flight) keep(dest uint32, c *count) {
	if !c.apart() {
		c.tries, c.until = 0, 0
	}
	if id := ofDestination(dest); c.apart() || c.crashes > 0 {
		f.write(c.slot, slotCount, id, c)
	} else {
		f.drop(id)
	}
}
