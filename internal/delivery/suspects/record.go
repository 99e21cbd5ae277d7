// Package suspects finds what kills the process. It remembers what is in flight over
// a crash, counts the crashes running of each, and says which destinations are to wait
// apart and which deliveries are dead of it. When they are tried is the scheduler's.
package suspects

import (
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

// Record is the flight record. It remembers what is in flight over a crash of the process, so that what
// kills the process is found, without a write to the store on the way of an
// attempt: fixed slots in a file mapped into memory, which outlives the process,
// if not the machine.
//
// A crash counts for every delivery, check and opening that was in flight, and
// for the destination of each. Whatever ends without a crash, and its
// destination, has no count any more. A destination waits apart that was in
// flight at three crashes running, or had a delivery that was.
//
// What cannot be read (torn, foreign, from a shorter file) is no record of
// anything, but may have been one of another suspect in flight.
type Record struct {
	mu     sync.Mutex
	mem    []byte // nil: remembers nothing over a crash
	mapped bool
	free   []int
	counts map[store.DeliveryID]*Count // of deliveries, checks, openings, destinations
}

// NoSlot is what Begin returns when there is no room: that is not remembered.
const NoSlot = -1

const (
	slotSize    = 64
	slotCrc     = 0
	slotState   = 4
	slotCrashes = 5
	slotAlone   = 6
	slotTries   = 7
	slotUntil   = 8
	slotID      = 16
	slotEnd     = slotID + 2 + 16 + 4 + 4

	slotInFlight = 1 // in flight
	slotTrial    = 2 // in flight, and a suspect
	slotCount    = 3
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// Open maps the file at path, making it if it is missing, with room for
// that many attempts in flight and the counts after a crash of all of them; more
// than that are not remembered.
func Open(path string, attempts int) (*Record, error) {
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
	fl := New(mem, time.Now())
	fl.mapped = true
	return fl, nil
}

// New is a Record on mem, which must outlive a crash to be of use. It counts
// the crash that left something in flight there.
func New(mem []byte, now time.Time) *Record {
	f := &Record{mem: mem, counts: make(map[store.DeliveryID]*Count)}
	f.chargeCrash(f.read(), now.UnixNano())
	f.rewrite()
	return f
}

// read returns what was in flight and as what, slotInFlight or slotTrial. What is
// torn may have been a suspect: it stands under no ID.
func (f *Record) read() map[store.DeliveryID]byte {
	inFlight := make(map[store.DeliveryID]byte)
	for i := range len(f.mem) / slotSize {
		slot := f.slot(i)
		if binary.LittleEndian.Uint32(slot[slotCrc:]) != crc32.Checksum(slot[slotState:slotEnd], crcTable) {
			if !isZero(slot) {
				inFlight[store.DeliveryID{}] = slotTrial
			}
			continue
		}
		switch id := readID(slot[slotID:]); slot[slotState] {
		case slotCount:
			f.counts[id] = &Count{Crashes: slot[slotCrashes], alone: slot[slotAlone], Tries: slot[slotTries], Until: int64(binary.LittleEndian.Uint64(slot[slotUntil:]))}
		case slotInFlight, slotTrial:
			inFlight[id] = max(inFlight[id], slot[slotState])
		}
	}
	return inFlight
}

// rewrite has nothing but counts in the record.
func (f *Record) rewrite() {
	clear(f.mem)
	f.free = f.free[:0]
	for i := len(f.mem)/slotSize - 1; i >= 0; i-- {
		f.free = append(f.free, i)
	}
	for id, c := range f.counts {
		c.slot = f.allocSlot()
		f.write(c.slot, slotCount, id, c)
	}
}

// Close unmaps the file. What is in flight then is not remembered any more.
func (f *Record) Close() error {
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

// Begin writes down that id is in flight, on trial or not, and returns its slot.
func (f *Record) Begin(id store.DeliveryID, trial bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, state := f.allocSlot(), byte(slotInFlight)
	if trial {
		state = slotTrial
	}
	f.write(i, state, id, &Count{})
	return i
}

// End writes down that id is not in flight any more, and whether it was tried without a crash.
func (f *Record) End(i int, id store.DeliveryID, tried bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.freeSlot(i)
	if !tried || len(f.counts) == 0 {
		return
	}
	f.drop(id)
	if c := f.counts[OfDestination(id.Dest)]; c != nil {
		c.Crashes = 0
		f.writeDestination(id.Dest, c)
	}
}

func (f *Record) slot(i int) []byte { return f.mem[i*slotSize : (i+1)*slotSize] }

func (f *Record) allocSlot() int {
	n := len(f.free)
	if n == 0 {
		return NoSlot
	}
	i := f.free[n-1]
	f.free = f.free[:n-1]
	return i
}

func (f *Record) freeSlot(i int) {
	if i == NoSlot || f.mem == nil {
		return
	}
	clear(f.slot(i))
	f.free = append(f.free, i)
}

func (f *Record) write(i int, state byte, id store.DeliveryID, c *Count) {
	if i == NoSlot || f.mem == nil {
		return
	}
	slot := f.slot(i)
	slot[slotState], slot[slotCrashes], slot[slotAlone], slot[slotTries] = state, c.Crashes, c.alone, c.Tries
	binary.LittleEndian.PutUint64(slot[slotUntil:], uint64(c.Until))
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
