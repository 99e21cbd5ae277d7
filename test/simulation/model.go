package simulation

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Model is what must be true. It is told what is asked of the engine, what the store was asked and answered,
// and what the far side saw, and reports whatever the rules do not allow. One mutex guards all of it; no call
// of the engine is made under it.
type Model struct {
	sc    *Scenario
	began time.Time

	mu        sync.Mutex
	process   *process
	upSince   int64 // ns; 0: no process runs
	dests     []*dest
	byID      map[uint32]*dest
	requests  []*request // by ordinal
	byEvent   map[event.ID]*request
	parcels   map[store.DeliveryID]*parcel
	order     []*parcel
	faults    []faultOf
	dropped   int // faults beyond those kept
	newest    event.ID
	seq       int // of changes of rows
	appending map[*store.Entry]bool
	copies    []copied  // not checked yet
	changing  []intent  // the one change that the store is making now
	bodies    event.Day // retention has left bodies from that day on
	rows      event.Day // and rows
	erased    map[string]bool
	tries     int
	calls     int
	talk      sync.Mutex
	notes     []note // of the whole; guarded by talk, since the store may log under mu
}

// faultOf is a rule that was broken.
type faultOf struct {
	at   int64
	d    *parcel
	dest *dest
	text string
}

// note is one line of a trace.
type note struct {
	at   int64
	text string
}

// dest is a destination as the model follows it.
type dest struct {
	*Dest
	id      uint32
	setup   Setup
	met     bool
	paused  bool
	asking  bool // a pause or resume is being made
	unsure  bool // what is stored of the pause may differ: writing it failed
	held    bool
	heldAt  int64  // when a hold last began or ended
	heldFor uint64 // hash
	untold  bool   // the engine has not said so yet
	rebinds int    // that run
	hands   int    // things that people do and that end what its far side asked for
	rebound int64  // when the last one ended
	lanes   map[uint64]*lane
	seen    map[uint64]bool // hashes that had a lane in this process
	waiting map[*parcel]bool
	all     []*parcel
	starts  []int64 // of attempts, since the rate was set
	spaced  int64   // when the rate before allows the next one
	notes   []note

	crashes        // running
	apart    bool  // it surely waits apart
	excused  bool  // it may
	until    int64 // not before: then its first trial
	checking int   // checks in flight
	starting int   // or perhaps
	checks   crashes
	unheard  int64 // no check before
	deadly   int   // how often a check of it still kills the process

	states []store.DestinationState // what may be stored: the last that is, and the one that is being written
}

// current returns the settings of the moment, nil when it is removed.
func (d *dest) current() *Version {
	if !d.met || !d.setup.Present {
		return nil
	}
	return d.Versions[d.setup.Version]
}

func (d *dest) version(hash uint64) *Version {
	for _, v := range d.Versions {
		if v.Hash == hash {
			return v
		}
	}
	return nil
}

// request is an event that a producer handed in.
type request struct {
	Request
	body   []byte
	to     []*dest // matched when it was handed in
	id     event.ID
	stored bool
	acked  bool
	dup    *store.Appended
	kills  int // how often it still kills the process
}

func reference(ordinal int) string { return "r" + strconv.Itoa(ordinal) }

func ordinalOf(reference string) int {
	if reference == "" || reference[0] != 'r' {
		return -1
	}
	n, err := strconv.Atoi(reference[1:])
	if err != nil {
		return -1
	}
	return n
}

// row is a delivery as the store should have it.
type row struct {
	state    store.State
	due      int64
	settings uint64
	attempts uint16
	version  uint32
}

func (r row) String() string {
	if r.state != store.Pending {
		return fmt.Sprintf("%v, %d attempts", r.state, r.attempts)
	}
	return fmt.Sprintf("pending, %d attempts, due %s, settings %x", r.attempts, clock(r.due), r.settings)
}

// stamped is a row, and since when.
type stamped struct {
	row
	at      int64
	seq     int
	durable bool // on return: a change by a person, by age, or an acceptance
}

// logged is an attempt that the log must show.
type logged struct {
	store.Attempt
	seq int
}

// parcel is one delivery as the model knows it.
type parcel struct {
	id       store.DeliveryID
	ordinal  int
	req      *request
	dest     *dest
	past     []stamped // oldest first; those before the last that is surely durable are dropped
	visible  int64     // when the scheduler learned of it
	inFlight *try
	ended    []*try // not settled yet
	tried    int    // attempts that the far side saw
	moving   int    // changes from outside that are being made
	movedAt  int64
	log      map[uint32]logged // by version
	crashes                    // running
	alone    int               // crashes running at which it may have been the only suspect in flight
	kills    int               // crashes that it caused since an attempt ended without one
	unread   int64             // when its body could not be read, perhaps; its outcome is to come; 0: never
	took     int               // how often the far side got it
	gone     bool              // retention took the row
	notes    []note
}

func (d *parcel) now() row {
	if len(d.past) == 0 {
		return row{}
	}
	return d.past[len(d.past)-1].row
}

func (d *parcel) String() string {
	return fmt.Sprintf("delivery %s (event %d to %s)", d.id, d.ordinal, d.dest.Name)
}

// poison tells whether this send kills the process, and counts it.
func (d *parcel) poison(p *process) bool {
	m := p.engine.model
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.req == nil || d.req.kills == 0 || p.dead.Load() {
		return false
	}
	d.req.kills--
	d.kills++
	return true
}

func newModel(sc *Scenario, began time.Time) *Model {
	m := &Model{sc: sc, began: began, byID: map[uint32]*dest{}, byEvent: map[event.ID]*request{},
		parcels: map[store.DeliveryID]*parcel{}, appending: map[*store.Entry]bool{}, erased: map[string]bool{}}
	for _, s := range sc.Steps {
		m.notes = append(m.notes, note{began.UnixNano() + int64(s.At), "the wall clock steps by " + s.By.String()})
	}
	for _, d := range sc.Dests {
		m.dests = append(m.dests, &dest{Dest: d, deadly: d.Deadly, lanes: map[uint64]*lane{}, seen: map[uint64]bool{}, waiting: map[*parcel]bool{},
			states: []store.DestinationState{{}}})
	}
	return m
}

func (m *Model) clock() int64 { return time.Now().UnixNano() }

// parcel finds or makes the delivery with that id.
func (m *Model) parcel(id store.DeliveryID) *parcel {
	d := m.parcels[id]
	if d == nil {
		d = &parcel{id: id, ordinal: -1, dest: m.byID[id.Dest], log: map[uint32]logged{}}
		if d.dest == nil {
			d.dest = &dest{Dest: &Dest{Name: fmt.Sprintf("unknown destination %d", id.Dest)}, lanes: map[uint64]*lane{}, waiting: map[*parcel]bool{}}
			m.faultLocked(d, "the destination does not exist")
		}
		m.parcels[id] = d
		m.order = append(m.order, d)
		d.dest.all = append(d.dest.all, d)
	}
	return d
}

// put notes what the store now holds of d.
func (m *Model) put(d *parcel, r row, durable bool) {
	now := m.clock()
	m.seq++
	for len(d.past) > 1 && (d.past[1].durable || d.past[1].at < now-int64(settledWithin)) {
		d.past = d.past[1:]
	}
	if durable && len(d.past) > 0 {
		d.past = d.past[:0]
	}
	d.past = append(d.past, stamped{r, now, m.seq, durable})
	m.waits(d)
}

// settledWithin is how soon an outcome must be durable.
const settledWithin = 100 * time.Millisecond

// waits adds d to those that wait for an attempt, or removes it.
func (m *Model) waits(d *parcel) {
	if !d.gone && d.now().state == store.Pending && d.inFlight == nil && len(d.ended) == 0 {
		d.dest.waiting[d] = true
	} else {
		delete(d.dest.waiting, d)
	}
}

// note adds a line to the trace of d.
func (m *Model) note(d *parcel, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noteLocked(d, format, args...)
}

func (m *Model) noteLocked(d *parcel, format string, args ...any) {
	d.notes = append(d.notes, note{m.clock(), fmt.Sprintf(format, args...)})
}

// say adds a line to the trace of everything.
func (m *Model) say(format string, args ...any) {
	m.talk.Lock()
	defer m.talk.Unlock()
	m.notes = append(m.notes, note{m.clock(), fmt.Sprintf(format, args...)})
}

func (m *Model) fault(d *parcel, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faultLocked(d, format, args...)
}

const mostFaults = 20

func (m *Model) faultLocked(d *parcel, format string, args ...any) {
	if len(m.faults) >= mostFaults {
		m.dropped++
		return
	}
	f := faultOf{at: m.clock(), d: d, text: fmt.Sprintf(format, args...)}
	if d != nil {
		f.dest = d.dest
		m.noteLocked(d, "FAULT: %s", f.text)
	}
	m.faults = append(m.faults, f)
}

func clock(ns int64) string { return time.Unix(0, ns).UTC().Format("02 15:04:05.000000000") }
