package delivery

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"syscall"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Flight remembers which deliveries are in flight over a crash of the process,
// so that one that kills the process is found, without a write to the store on
// the way of an attempt: fixed slots in a file mapped into memory, which
// outlives the process, if not the machine.
//
// A delivery found in flight at three starts running is tried alone. Then a
// crash can only be its doing and counts as an attempt that failed. An attempt
// that ends in any other way clears it, and so does a clean stop. What cannot
// be read (torn, foreign, from a shorter file) is no record of anything.
type Flight struct {
	mu       sync.Mutex
	mem      []byte // nil: remembers nothing over a crash
	mapped   bool
	free     []int
	suspects map[store.DeliveryID]*suspect
}

// suspect was in flight when the process died.
type suspect struct {
	crashes uint8
	charge  bool // it was tried alone: the crash is its own
	slot    int  // remembers it while it is not in flight; noSlot: none
}

const (
	noSlot     = -1
	slotSize   = 64
	slotCrc    = 0
	slotState  = 4
	slotCount  = 5
	slotCharge = 6
	slotID     = 8
	slotEnd    = slotID + 2 + 16 + 4 + 4

	slotFlying  = 1
	slotWaiting = 2

	aloneAfter = 3 // crashes running
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// OpenFlight maps the file at path, making it if it is missing, with room for
// that many attempts in flight; more than that are not remembered.
func OpenFlight(path string, slots int) (*Flight, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the flight record: %w", err)
	}
	defer f.Close()
	size := max(slots, 1) * slotSize
	if err := f.Truncate(int64(size)); err != nil {
		return nil, fmt.Errorf("sizing the flight record: %w", err)
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the flight record: %w", err)
	}
	fl := NewFlight(mem)
	fl.mapped = true
	return fl, nil
}

// NewFlight is a Flight on mem, which must outlive a crash to be of use.
func NewFlight(mem []byte) *Flight {
	f := &Flight{mem: mem, suspects: make(map[store.DeliveryID]*suspect)}
	for i := range len(mem) / slotSize {
		slot := f.slot(i)
		if binary.LittleEndian.Uint32(slot[slotCrc:]) != crc32.Checksum(slot[slotState:slotEnd], crcTable) {
			continue
		}
		sp := &suspect{crashes: slot[slotCount], charge: slot[slotCharge] != 0, slot: noSlot}
		switch slot[slotState] {
		case slotFlying:
			sp.charge = sp.crashes >= aloneAfter // with that many it flew alone
			sp.crashes = min(sp.crashes+1, 100)
		case slotWaiting:
		default:
			continue
		}
		f.suspects[readID(slot[slotID:])] = sp
	}
	return f
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

// begin makes the record that of this process: it keeps those who would be
// tried alone, until they were.
func (f *Flight) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.mem)
	f.free = f.free[:0]
	for i := len(f.mem)/slotSize - 1; i >= 0; i-- {
		f.free = append(f.free, i)
	}
	for id, sp := range f.suspects {
		f.remember(id, sp)
	}
}

// remember writes down a suspect who would be tried alone.
func (f *Flight) remember(id store.DeliveryID, sp *suspect) {
	if sp.crashes < aloneAfter {
		return
	}
	if sp.slot == noSlot {
		sp.slot = f.take()
	}
	f.write(sp.slot, slotWaiting, id, sp)
}

// suspect tells whether a delivery must be tried alone, or charged with the
// crash it caused when it was.
func (f *Flight) suspect(id store.DeliveryID) (alone, charge bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) == 0 {
		return false, false
	}
	sp := f.suspects[id]
	if sp == nil {
		return false, false
	}
	return sp.crashes >= aloneAfter, sp.charge
}

// start notes that id is in flight and returns its slot.
func (f *Flight) start(id store.DeliveryID) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) > 0 {
		if sp := f.suspects[id]; sp != nil {
			if sp.slot == noSlot {
				sp.slot = f.take()
			}
			f.write(sp.slot, slotFlying, id, sp)
			return sp.slot
		}
	}
	i := f.take()
	f.write(i, slotFlying, id, &suspect{})
	return i
}

// end notes that an attempt ended without killing the process.
func (f *Flight) end(i int, id store.DeliveryID) {
	if i == noSlot {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.suspects, id)
	f.give(i)
}

// charged notes that the store knows of the attempt a crash was counted as.
func (f *Flight) charged(id store.DeliveryID, st store.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) == 0 {
		return
	}
	sp := f.suspects[id]
	if sp == nil || !sp.charge {
		return
	}
	if sp.charge = false; st != store.Pending {
		f.drop(id, sp)
		return
	}
	f.remember(id, sp)
}

// forget drops what ended otherwise.
func (f *Flight) forget(id store.DeliveryID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sp := f.suspects[id]; sp != nil {
		f.drop(id, sp)
	}
}

func (f *Flight) drop(id store.DeliveryID, sp *suspect) {
	delete(f.suspects, id)
	if sp.slot != noSlot {
		f.give(sp.slot)
	}
}

// clear is a clean stop.
func (f *Flight) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.mem)
	clear(f.suspects)
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
	if f.mem == nil {
		return
	}
	clear(f.slot(i))
	f.free = append(f.free, i)
}

func (f *Flight) write(i int, state byte, id store.DeliveryID, sp *suspect) {
	if i == noSlot || f.mem == nil {
		return
	}
	slot := f.slot(i)
	slot[slotState], slot[slotCount], slot[slotCharge], slot[slotCharge+1] = state, sp.crashes, 0, 0
	if sp.charge {
		slot[slotCharge] = 1
	}
	b := slot[slotID:]
	binary.LittleEndian.PutUint16(b, uint16(id.Day))
	copy(b[2:], id.Event[:])
	binary.LittleEndian.PutUint32(b[18:], id.Dest)
	binary.LittleEndian.PutUint32(b[22:], id.Replay)
	binary.LittleEndian.PutUint32(slot[slotCrc:], crc32.Checksum(slot[slotState:slotEnd], crcTable))
}

func readID(b []byte) store.DeliveryID {
	return store.DeliveryID{
		Day: event.Day(binary.LittleEndian.Uint16(b)), Event: event.ID(b[2:18]),
		Dest: binary.LittleEndian.Uint32(b[18:]), Replay: binary.LittleEndian.Uint32(b[22:]),
	}
}
