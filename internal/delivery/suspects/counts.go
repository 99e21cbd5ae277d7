package suspects

import (
	"crypto/sha256"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Count is what is known of something that was in flight at a crash.
type Count struct {
	Crashes  uint8 // running
	alone    uint8 // of a delivery: crashes running that found it the only suspect in flight
	Tries    uint8 // of a destination: crashes in its trials; of a delivery: 1 when it has ended
	Until    int64 // ns of wall time: a destination that waits apart, or a check, is not tried before
	suspects int   // of a destination: its deliveries that are
	slot     int
}

// When a destination waits apart and for how long, and when a delivery is dead.
const (
	ApartAfter = 3 // crashes running
	DeadAfter  = 5 // crashes running in trials
	apartFirst = time.Minute
	ApartMost  = time.Hour
)

// ApartFor is how long a destination waits after so many trials that a crash ended.
func ApartFor(tries uint8) time.Duration { return min(apartFirst<<min(tries, 8), ApartMost) }

// Dead tells whether a delivery is dead of crashes.
func (c Count) Dead() bool { return c.alone >= DeadAfter }

// suspect tells whether a delivery keeps its destination apart.
func (c Count) suspect() bool { return c.Crashes >= ApartAfter && !c.Dead() }

// Apart tells whether a destination waits apart.
func (c Count) Apart() bool { return c.Crashes >= ApartAfter || c.suspects > 0 }

// Beside deliveries the record knows three more things by an ID: a destination, the check
// of one, and the opening of one.
func OfDestination(id uint32) store.DeliveryID { return store.DeliveryID{Dest: id} }
func OfCheck(id uint32) store.DeliveryID       { return store.DeliveryID{Dest: id, Replay: 1} }

// ofOpening is by name: what is opened may not be registered yet.
func ofOpening(k store.DestinationKey) store.DeliveryID {
	h := sha256.Sum256([]byte(k.Developer + "\x00" + k.Name + "\x00" + k.Kind))
	return store.DeliveryID{Event: event.ID(h[:16])}
}

func isDelivery(id store.DeliveryID) bool    { return id.Dest != 0 && !id.Event.IsZero() }
func isDestination(id store.DeliveryID) bool { return id.Dest != 0 && id == OfDestination(id.Dest) }

// chargeCrash counts the crash for what was in flight and for the destinations of that.
// The count of a delivery below three ends when it was not in flight, since it was
// due first again; that of a check or an opening only when one goes well.
func (f *Record) chargeCrash(inFlight map[store.DeliveryID]byte, now int64) {
	onTrial := 0
	for _, state := range inFlight {
		if state == slotTrial {
			onTrial++
		}
	}
	destinations := make(map[uint32]byte) // with what they had in flight: slotInFlight or slotTrial
	newlyDead := make(map[uint32]bool)    // those with a delivery that is dead of it now
	for id, state := range inFlight {
		if id == (store.DeliveryID{}) {
			continue
		}
		c := f.countOf(id)
		c.Crashes = min(c.Crashes+1, 100)
		if id == OfCheck(id.Dest) {
			c.Until = now + int64(ApartFor(c.Crashes-1))
		}
		as := byte(slotInFlight)
		if state == slotTrial && isDelivery(id) {
			as = slotTrial
			if c.alone++; onTrial > 1 {
				c.alone = 0
			}
			newlyDead[id.Dest] = newlyDead[id.Dest] || c.alone == DeadAfter
		}
		destinations[id.Dest] = max(destinations[id.Dest], as)
	}
	for id := range destinations {
		if id != 0 {
			f.countOf(OfDestination(id)).Crashes++
		}
	}
	for id, c := range f.counts {
		if isDelivery(id) && inFlight[id] == 0 && c.Crashes < ApartAfter {
			delete(f.counts, id)
		} else if d := f.counts[OfDestination(id.Dest)]; d != nil && isDelivery(id) && c.suspect() {
			d.suspects++
		}
	}
	for id, c := range f.counts {
		if isDestination(id) {
			c.Crashes = min(c.Crashes, 100)
			f.setApart(id, c, destinations[id.Dest], newlyDead[id.Dest], now)
		}
	}
}

// setApart decides how long a destination waits that was in flight as state says, if at all.
func (f *Record) setApart(id store.DeliveryID, c *Count, state byte, newlyDead bool, now int64) {
	if state == 0 && c.Crashes < ApartAfter {
		c.Crashes = 0
	}
	switch {
	case !c.Apart():
		if c.Tries, c.Until = 0, 0; c.Crashes == 0 {
			delete(f.counts, id)
		}
	case c.Until == 0:
		c.Until = now + int64(apartFirst)
	case state == slotTrial:
		c.Tries = min(c.Tries+1, 100)
		c.Until = now + int64(ApartFor(c.Tries))
		if newlyDead && c.Tries < 2*DeadAfter {
			c.Until = now // the next delivery may show at once that it was the first one alone
		}
	}
}

// countOf returns the count of id, a new one if there is none.
func (f *Record) countOf(id store.DeliveryID) *Count {
	c := f.counts[id]
	if c == nil {
		c = &Count{}
		f.counts[id] = c
	}
	return c
}

// Known returns what is counted of id; nothing, as a rule.
func (f *Record) Known(id store.DeliveryID) (c Count) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.counts) > 0 {
		if p := f.counts[id]; p != nil {
			c = *p
		}
	}
	return c
}

// Apart lists the destinations that wait apart.
func (f *Record) Apart() (ids []uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.counts {
		if isDestination(id) && c.Apart() {
			ids = append(ids, id.Dest)
		}
	}
	return ids
}

// Opening writes down that a destination is being opened, until end is called. It
// returns nil where the process died of that before: who is to deliver there may
// open it then, and say so here, as an attempt of their own.
func (f *Record) Opening(k store.DestinationKey) (end func()) {
	id := ofOpening(k)
	if f.Known(id).Crashes > 0 {
		return nil
	}
	slot := f.Begin(id, false)
	return func() { f.End(slot, id, true) }
}

// Opened writes down that a destination was opened although the process had died of that.
func (f *Record) Opened(k store.DestinationKey) { f.Forget(ofOpening(k)) }

// Forget drops the count of what ended otherwise.
func (f *Record) Forget(id store.DeliveryID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(id)
}

// Settled drops the count of a delivery that has ended. One that died of it is
// known until a clean stop: a crash takes back outcomes of the last 100 ms.
func (f *Record) Settled(id store.DeliveryID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.counts[id]; c != nil && c.Dead() {
		c.Tries = 1
		f.write(c.slot, slotCount, id, c)
		return
	}
	f.drop(id)
}

// ForgetDestination drops whatever is known of a destination.
func (f *Record) ForgetDestination(dest uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.counts {
		if id.Dest == dest {
			f.drop(id)
		}
	}
}

// Clear is a clean stop: crashes before it and after it do not run on. What waits
// apart still does, and so do checks and openings that the process died of.
func (f *Record) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.counts {
		if isDelivery(id) && (c.Crashes < ApartAfter || c.Tries > 0) || isDestination(id) && !c.Apart() {
			delete(f.counts, id)
		}
	}
	f.rewrite()
}

// drop takes the count of id out of the record.
func (f *Record) drop(id store.DeliveryID) {
	c := f.counts[id]
	if c == nil {
		return
	}
	delete(f.counts, id)
	f.freeSlot(c.slot)
	if d := f.counts[OfDestination(id.Dest)]; d != nil && isDelivery(id) && c.suspect() {
		d.suspects--
		f.writeDestination(id.Dest, d)
	}
}

// writeDestination writes the count of a destination down, or drops it when it says nothing.
func (f *Record) writeDestination(dest uint32, c *Count) {
	if !c.Apart() {
		c.Tries, c.Until = 0, 0
	}
	if id := OfDestination(dest); c.Apart() || c.Crashes > 0 {
		f.write(c.slot, slotCount, id, c)
	} else {
		f.drop(id)
	}
}
