package delivery

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Flight remembers what is in flight over a crash of the process, so that what
// kills the process is found, without a write to the store on the way of an
// attempt: fixed slots in a file mapped into memory, which outlives the process,
// if not the machine.
//
// A crash counts for every delivery, check and opening that was in flight, and
// for the destination of each. Whatever ends without a crash, and its
// destination, has no count any more. A destination waits apart that was in
// flight at three crashes running, or had a delivery that was (trial.go).
//
// What cannot be read (torn, foreign, from a shorter file) is no record of
// anything, but may have been one of another suspect in flight.
type Flight struct {
	mu     sync.Mutex
	mem    []byte // nil: remembers nothing over a crash
	mapped bool
	free   []int
	counts map[store.DeliveryID]*count // of deliveries, checks, openings, destinations
}

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

// suspect tells whether a delivery keeps its destination apart.
func (c *count) suspect() bool { return c.crashes >= apartAfter && c.alone < deadAfter }

// apart tells whether a destination waits apart.
func (c *count) apart() bool { return c.crashes >= apartAfter || c.suspects > 0 }

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

const (
	noSlot      = -1
	slotSize    = 64
	slotCrc     = 0
	slotState   = 4
	slotCrashes = 5
	slotAlone   = 6
	slotTries   = 7
	slotUntil   = 8
	slotID      = 16
	slotEnd     = slotID + 2 + 16 + 4 + 4

	slotFlying = 1 // in flight
	slotTrial  = 2 // in flight, and a suspect
	slotCount  = 3
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// OpenFlight maps the file at path, making it if it is missing, with room for
// that many attempts in flight and the counts after a crash of all of them; more
// than that are not remembered.
func OpenFlight(path string, attempts int) (*Flight, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the flight record: %w", err)
	}
	defer f.Close()
	size := 3 * max(attempts, 1) * slotSize
	if err := f.Truncate(int64(size)); err != nil {
		return nil, fmt.Errorf("sizing the flight record: %w", err)
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the flight record: %w", err)
	}
	fl := NewFlight(mem, time.Now())
	fl.mapped = true
	return fl, nil
}

// NewFlight is a Flight on mem, which must outlive a crash to be of use. It counts
// the crash that left something in flight there.
func NewFlight(mem []byte, now time.Time) *Flight {
	f := &Flight{mem: mem, counts: make(map[store.DeliveryID]*count)}
	f.charge(f.read(), now.UnixNano())
	f.rewrite()
	return f
}

// read returns what was in flight and as what, slotFlying or slotTrial. What is
// torn may have been a suspect: it stands under no ID.
func (f *Flight) read() map[store.DeliveryID]byte {
	flew := make(map[store.DeliveryID]byte)
	for i := range len(f.mem) / slotSize {
		slot := f.slot(i)
		if binary.LittleEndian.Uint32(slot[slotCrc:]) != crc32.Checksum(slot[slotState:slotEnd], crcTable) {
			if !isZero(slot) {
				flew[store.DeliveryID{}] = slotTrial
			}
			continue
		}
		switch id := readID(slot[slotID:]); slot[slotState] {
		case slotCount:
			f.counts[id] = &count{crashes: slot[slotCrashes], alone: slot[slotAlone], tries: slot[slotTries], until: int64(binary.LittleEndian.Uint64(slot[slotUntil:]))}
		case slotFlying, slotTrial:
			flew[id] = max(flew[id], slot[slotState])
		}
	}
	return flew
}

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

// rewrite has nothing but counts in the record.
func (f *Flight) rewrite() {
	clear(f.mem)
	f.free = f.free[:0]
	for i := len(f.mem)/slotSize - 1; i >= 0; i-- {
		f.free = append(f.free, i)
	}
	for id, c := range f.counts {
		c.slot = f.take()
		f.write(c.slot, slotCount, id, c)
	}
}

// Close unmaps the file. What is in flight then is not remembered any more.
func (f *Flight) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	mem := f.mem
	f.mem, f.free = nil, nil
	if !f.mapped {
		return nil
	}
	f.mapped = false
	return syscall.Munmap(mem)
}

// apart lists the destinations that wait apart.
func (f *Flight) apart() (ids []uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.counts {
		if isDestination(id) && c.apart() {
			ids = append(ids, id.Dest)
		}
	}
	return ids
}

// waits returns until when a destination waits apart, in ns of wall time, and
// after how many trials; false if it does not.
func (f *Flight) waits(dest uint32) (until int64, tries uint8, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.counts[ofDestination(dest)]; c != nil && c.apart() {
		return c.until, c.tries, true
	}
	return 0, 0, false
}

// condemned tells whether a delivery is dead of the crashes that it caused.
func (f *Flight) condemned(id store.DeliveryID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.counts) == 0 {
		return false
	}
	c := f.counts[id]
	return c != nil && c.alone >= deadAfter
}

// check returns how often running the process died during the check of a
// destination, and until when it is not made, in ns of wall time.
func (f *Flight) check(dest uint32) (crashes uint8, until int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.counts[ofCheck(dest)]; c != nil {
		return c.crashes, c.until
	}
	return 0, 0
}

// Opening notes that a destination is being opened, until end is called. It
// returns nil where the process died of that before: who is to deliver there may
// open it then, and say so here, as an attempt of their own.
func (f *Flight) Opening(k store.DestinationKey) (end func()) {
	id := ofOpening(k)
	f.mu.Lock()
	known := f.counts[id] != nil
	f.mu.Unlock()
	if known {
		return nil
	}
	slot := f.begin(id, false)
	return func() { f.end(slot, id, true) }
}

// Opened notes that a destination was opened although the process had died of that.
func (f *Flight) Opened(k store.DestinationKey) { f.forget(ofOpening(k)) }

// begin notes that id is in flight, on trial or not, and returns its slot.
func (f *Flight) begin(id store.DeliveryID, trial bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, state := f.take(), byte(slotFlying)
	if trial {
		state = slotTrial
	}
	f.write(i, state, id, &count{})
	return i
}

// end notes that id is not in flight any more, and whether it was tried without a crash.
func (f *Flight) end(i int, id store.DeliveryID, tried bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.give(i)
	if !tried || len(f.counts) == 0 {
		return
	}
	f.drop(id)
	if c := f.counts[ofDestination(id.Dest)]; c != nil {
		c.crashes = 0
		f.keep(id.Dest, c)
	}
}

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
	if c := f.counts[id]; c != nil && c.alone >= deadAfter {
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

// hurry ends the wait of a destination: its settings are others now.
func (f *Flight) hurry(dest uint32, now instant) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.counts[ofDestination(dest)]; c != nil && c.apart() {
		c.until = now.wall
		f.keep(dest, c)
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

func (f *Flight) slot(i int) []byte { return f.mem[i*slotSize : (i+1)*slotSize] }

func (f *Flight) take() int {
	n := len(f.free)
	if n == 0 {
		return noSlot
	}
	i := f.free[n-1]
	f.free = f.free[:n-1]
	return i
}

func (f *Flight) give(i int) {
	if i == noSlot || f.mem == nil {
		return
	}
	clear(f.slot(i))
	f.free = append(f.free, i)
}

func (f *Flight) write(i int, state byte, id store.DeliveryID, c *count) {
	if i == noSlot || f.mem == nil {
		return
	}
	slot := f.slot(i)
	slot[slotState], slot[slotCrashes], slot[slotAlone], slot[slotTries] = state, c.crashes, c.alone, c.tries
	binary.LittleEndian.PutUint64(slot[slotUntil:], uint64(c.until))
	b := slot[slotID:]
	binary.LittleEndian.PutUint16(b, uint16(id.Day))
	copy(b[2:], id.Event[:])
	binary.LittleEndian.PutUint32(b[18:], id.Dest)
	binary.LittleEndian.PutUint32(b[22:], id.Replay)
	binary.LittleEndian.PutUint32(slot[slotCrc:], crc32.Checksum(slot[slotState:slotEnd], crcTable))
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func readID(b []byte) store.DeliveryID {
	return store.DeliveryID{
		Day: event.Day(binary.LittleEndian.Uint16(b)), Event: event.ID(b[2:18]),
		Dest: binary.LittleEndian.Uint32(b[18:]), Replay: binary.LittleEndian.Uint32(b[22:]),
	}
}
