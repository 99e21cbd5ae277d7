package delivery

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
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
// A delivery found in flight at three starts running is a suspect. Of the
// suspects in flight at a crash no more than half may fly together from then on,
// so that soon one of them is the only suspect in flight at a crash. If nothing
// else was in flight either, the crash can only be its doing and counts as an
// attempt that failed; with others beside it, it counts from the ninth crash
// running on. An attempt that ends in any other way clears it, and so does a
// clean stop. What cannot be read (torn, foreign, from a shorter file) is no
// record of anything, but may have been one of another suspect in flight: beside
// it no crash counts.
type Flight struct {
	mu       sync.Mutex
	mem      []byte // nil: remembers nothing over a crash
	mapped   bool
	free     []int
	suspects map[store.DeliveryID]*suspect // and what may become one
	doubtful int                           // suspects
	tried    int                           // of them in flight
	most     int                           // of them that may be
}

// suspect was in flight when the process died.
type suspect struct {
	crashes uint8
	charge  bool   // the crash is its own
	tries   uint16 // counted attempts when it was in flight: what the store has more of knows of the charge
	most    uint16 // suspects that may be in flight when it is; 0: any number
	state   byte   // of its slot
	slot    int    // remembers it while it is not in flight; noSlot: none
}

// doubtful tells whether it was in flight at so many crashes that one may be its doing.
func (sp *suspect) doubtful() bool { return sp.crashes >= aloneAfter }

// together is how many suspects may be in flight when it is.
func (sp *suspect) together() int {
	if sp.most == 0 {
		return math.MaxInt
	}
	return int(sp.most)
}

const (
	noSlot     = -1
	slotSize   = 64
	slotCrc    = 0
	slotState  = 4
	slotCount  = 5
	slotCharge = 6
	slotMost   = 8
	slotTries  = 10
	slotID     = 12
	slotEnd    = slotID + 2 + 16 + 4 + 4

	slotFlying  = 1
	slotWaiting = 2
	slotBeside  = 3 // a suspect in flight, others too
	slotAlone   = 4 // a suspect in flight, with nothing but suspects

	aloneAfter  = 3              // crashes running make a suspect
	chargeAfter = 3 * aloneAfter // crashes running are charged to the only suspect in flight, whatever else flew
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
	f := &Flight{mem: mem, suspects: make(map[store.DeliveryID]*suspect), most: math.MaxInt}
	var tried []*suspect
	torn := false
	for i := range len(mem) / slotSize {
		slot := f.slot(i)
		if binary.LittleEndian.Uint32(slot[slotCrc:]) != crc32.Checksum(slot[slotState:slotEnd], crcTable) {
			torn = torn || !isZero(slot)
			continue
		}
		sp := &suspect{
			crashes: slot[slotCount], charge: slot[slotCharge] != 0, slot: noSlot,
			most: binary.LittleEndian.Uint16(slot[slotMost:]), tries: binary.LittleEndian.Uint16(slot[slotTries:]), state: slot[slotState],
		}
		switch sp.state {
		case slotAlone, slotBeside:
			tried = append(tried, sp)
			sp.crashes = min(sp.crashes+1, 100)
		case slotFlying:
			sp.crashes = min(sp.crashes+1, 100)
		case slotWaiting:
		default:
			continue
		}
		if id := readID(slot[slotID:]); f.suspects[id] == nil {
			f.suspects[id] = sp
			if sp.doubtful() {
				f.doubtful++
			}
		}
	}
	for _, sp := range tried {
		sp.most = uint16(min((len(tried)+1)/2, math.MaxUint16))
		sp.charge = len(tried) == 1 && !torn && (sp.state == slotAlone || sp.crashes >= chargeAfter)
	}
	for _, sp := range f.suspects {
		sp.state = slotWaiting
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
	if !sp.doubtful() {
		return
	}
	if sp.slot == noSlot {
		sp.slot = f.take()
	}
	f.write(sp.slot, slotWaiting, id, sp)
}

// doubts returns how many suspects there are.
func (f *Flight) doubts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.doubtful
}

// trying returns how many suspects are in flight.
func (f *Flight) trying() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tried
}

// room tells whether a suspect may fly with those that do.
func (f *Flight) room(id store.DeliveryID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	sp := f.suspects[id]
	return sp == nil || f.tried < min(f.most, sp.together())
}

// join notes that suspects do not fly alone any more.
func (f *Flight) join() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, sp := range f.suspects {
		if sp.state == slotAlone {
			f.write(sp.slot, slotBeside, id, sp)
		}
	}
}

// suspect tells whether a delivery is one, and whether it is to be charged with
// the crash it caused: until the store counts one more attempt, since a crash
// may take back what was settled in the last 100 ms.
func (f *Flight) suspect(id store.DeliveryID, tries uint16) (doubtful, charge bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) == 0 {
		return false, false
	}
	sp := f.suspects[id]
	if sp == nil {
		return false, false
	}
	return sp.doubtful(), sp.charge && sp.tries == tries
}

// start notes that id is in flight, alone if nothing but suspects is, and
// returns its slot.
func (f *Flight) start(id store.DeliveryID, tries uint16, alone bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) > 0 {
		if sp := f.suspects[id]; sp != nil {
			if sp.slot == noSlot {
				sp.slot = f.take()
			}
			sp.charge, sp.tries = false, tries
			state := byte(slotFlying)
			if sp.doubtful() {
				f.tried++
				f.most = min(f.most, sp.together())
				state = slotBeside
				if alone {
					state = slotAlone
				}
			}
			f.write(sp.slot, state, id, sp)
			return sp.slot
		}
	}
	i := f.take()
	f.write(i, slotFlying, id, &suspect{tries: tries})
	return i
}

// end notes that an attempt ended without killing the process.
func (f *Flight) end(i int, id store.DeliveryID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.suspects) > 0 {
		if sp := f.suspects[id]; sp != nil {
			if sp.doubtful() {
				if f.tried--; f.tried == 0 {
					f.most = math.MaxInt
				}
			}
			f.drop(id, sp)
			return
		}
	}
	if i != noSlot {
		f.give(i)
	}
}

// pardon takes a charge back: the attempts of the delivery are counted anew.
func (f *Flight) pardon(id store.DeliveryID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sp := f.suspects[id]; sp != nil && sp.charge {
		sp.charge = false
		f.remember(id, sp)
	}
}

// forget drops what ended otherwise.
func (f *Flight) forget(id store.DeliveryID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sp := f.suspects[id]; sp != nil && sp.state == slotWaiting { // in flight it stays until its attempt has ended
		f.drop(id, sp)
	}
}

func (f *Flight) drop(id store.DeliveryID, sp *suspect) {
	if sp.doubtful() {
		f.doubtful--
	}
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
	f.doubtful, f.tried, f.most = 0, 0, math.MaxInt
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
	sp.state = state
	if i == noSlot || f.mem == nil {
		return
	}
	slot := f.slot(i)
	slot[slotState], slot[slotCount], slot[slotCharge], slot[slotCharge+1] = state, sp.crashes, 0, 0
	if sp.charge {
		slot[slotCharge] = 1
	}
	binary.LittleEndian.PutUint16(slot[slotMost:], sp.most)
	binary.LittleEndian.PutUint16(slot[slotTries:], sp.tries)
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
