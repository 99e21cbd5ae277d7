package store

import "time"

// Last is what the last attempts of a destination came to. People are told of
// it; the engine decides nothing by it.
type Last struct {
	Success  int64  // ns: when an attempt last succeeded; 0: none known
	Answer   Answer // of the last attempt with the settings
	Failed   int    // attempts with the settings that have failed since one succeeded
	Settings uint64 // hash of the settings that Answer and Failed belong to
	Dead     Hours  // deliveries that died
}

// Answer is the end of an attempt in few words.
type Answer struct {
	At    int64  // ns: when it ended; 0: there was none
	Class string // as Attempt has it
	Code  int    // likewise
	Text  string // excerpt of what the far side said, at most 256 bytes, fit to show
	Fault string // why the attempt failed, at most 256 bytes, fit to show; "" when it succeeded
}

// hoursKept is how far back Hours look: this hour and the 23 before it.
const hoursKept = 24

// Hours count what happened in each of the last 24 hours of the clock. A clock
// that is set back goes on in the hour that it had reached.
type Hours struct {
	Newest int64             // hours since 1970
	Counts [hoursKept]uint32 // of hour h at h % 24
}

// Add counts n more at the moment at, in ns.
func (h *Hours) Add(at int64, n uint32) {
	h.turn(at / int64(time.Hour))
	h.Counts[h.Newest%hoursKept] += n
}

// Sum is how many there were in the hour of now and the 23 before it.
func (h Hours) Sum(now int64) (n int64) {
	h.turn(now / int64(time.Hour))
	for _, c := range h.Counts {
		n += int64(c)
	}
	return n
}

// turn forgets what is older than 24 hours at that hour.
func (h *Hours) turn(hour int64) {
	if hour <= h.Newest {
		return
	}
	for i := max(h.Newest+1, hour-hoursKept+1); i <= hour; i++ {
		h.Counts[i%hoursKept] = 0
	}
	h.Newest = hour
}
