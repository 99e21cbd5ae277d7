package delivery

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func flightID(n byte) store.DeliveryID {
	return store.DeliveryID{Day: 20_000, Event: event.ID{n}, Dest: 7, Replay: uint32(n)}
}

func TestFlightOverCrashes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flight")
	open := func() *Flight {
		t.Helper()
		f, err := OpenFlight(path, 8)
		if err != nil {
			t.Fatal(err)
		}
		f.begin()
		return f
	}
	check := func(f *Flight, id store.DeliveryID, doubtful, charge bool) {
		t.Helper()
		if d, c := f.suspect(id, 0); d != doubtful || c != charge {
			t.Errorf("%d: suspect %t, charged %t", id.Event[0], d, c)
		}
	}
	poison, bystander := flightID(1), flightID(2)
	for range aloneAfter {
		f := open()
		check(f, poison, false, false)
		f.start(poison, 0, false)
		if f.suspects[poison] == nil || f.suspects[poison].crashes != 1 {
			f.start(bystander, 0, false) // not in flight at the second crash
		}
		f.end(f.start(flightID(3), 0, false), flightID(3))
		f.Close() // without clear, as a crash leaves it
	}
	f := open()
	check(f, poison, true, false)
	check(f, bystander, false, false)
	check(f, flightID(3), false, false)
	f.Close()
	f = open() // crashed before it came to its turn: it is still remembered
	check(f, poison, true, false)
	f.start(poison, 0, true)
	f.Close()
	f = open()
	check(f, poison, true, true)
	f.Close()
	f = open() // it crashed before the charge was durable
	check(f, poison, true, true)
	if doubtful, charge := f.suspect(poison, 1); !doubtful || charge {
		t.Error("charged twice with one crash")
	}
	f.end(f.start(poison, 0, true), poison) // it ended without killing anybody
	f.Close()
	f = open()
	check(f, poison, false, false)
	f.start(poison, 0, false)
	f.clear()
	f.Close()
	if f = open(); len(f.suspects) != 0 {
		t.Error("a clean stop leaves suspects")
	}
	f.Close()
}

// TestWhoIsCharged follows records over crashes: who of those in flight is
// charged, and how many suspects may fly together afterwards.
func TestWhoIsCharged(t *testing.T) {
	a, b, c, other := flightID(1), flightID(2), flightID(3), flightID(4)
	start := func(mem []byte, alone bool, ids ...store.DeliveryID) *Flight {
		f := NewFlight(mem)
		f.begin()
		for _, id := range ids {
			f.start(id, 0, alone)
		}
		return f
	}
	tests := []struct {
		name    string
		alone   bool
		crashes int // before, each
		flying  []store.DeliveryID
		joined  bool
		charged bool // a
		most    uint16
	}{
		{"alone", true, 3, []store.DeliveryID{a}, false, true, 1},
		{"no suspect yet", true, 2, []store.DeliveryID{a}, false, false, 0},
		{"beside another", false, 3, []store.DeliveryID{a, other}, false, false, 1},
		{"when the others have started", true, 3, []store.DeliveryID{a}, true, false, 1},
		{"one of two", true, 3, []store.DeliveryID{a, b}, false, false, 1},
		{"one of three", true, 3, []store.DeliveryID{a, b, c}, false, false, 2},
		{"beside others at eight crashes", false, 7, []store.DeliveryID{a, other}, false, false, 1},
		{"beside others at nine crashes", false, 8, []store.DeliveryID{a, other}, false, true, 1},
		{"one of two at ten crashes", true, 9, []store.DeliveryID{a, b}, false, false, 1},
	}
	for _, tt := range tests {
		mem := make([]byte, 8*slotSize)
		for range tt.crashes {
			start(mem, false, a, b, c)
		}
		f := start(mem, tt.alone, tt.flying...)
		if tt.joined {
			f.join()
		}
		f = NewFlight(mem)
		if _, charge := f.suspect(a, 0); charge != tt.charged || f.suspects[a].most != tt.most {
			t.Errorf("%s: charged %t, at most %d together; want %t, %d", tt.name, charge, f.suspects[a].most, tt.charged, tt.most)
		}
		if _, charge := f.suspect(other, 0); charge {
			t.Errorf("%s: who was beside it is charged", tt.name)
		}
	}
}

// TestTornRecordChargesNobody: a process that is killed while it writes down that
// one of two suspects is not alone any more leaves a record of the other only.
func TestTornRecordChargesNobody(t *testing.T) {
	a, b := flightID(1), flightID(2)
	mem := make([]byte, 8*slotSize)
	for range aloneAfter {
		f := NewFlight(mem)
		f.begin()
		f.start(a, 0, false)
		f.start(b, 0, false)
	}
	f := NewFlight(mem)
	f.begin()
	for _, id := range []store.DeliveryID{a, b} {
		f.start(id, 0, true)
	}
	f.slot(f.suspects[b].slot)[slotState] = slotBeside // and not yet the checksum
	f = NewFlight(mem)
	if doubtful, charge := f.suspect(a, 0); !doubtful || charge {
		t.Errorf("suspect %t, charged %t with what may be the doing of another", doubtful, charge)
	}
	f.begin()
	f.start(a, 0, true)
	if _, charge := NewFlight(mem).suspect(a, 0); !charge {
		t.Error("the crash after that is not charged")
	}
}

// TestChangeKeepsTheSlot: a change of a delivery in flight must not give its slot to another.
func TestChangeKeepsTheSlot(t *testing.T) {
	mem := make([]byte, 4*slotSize)
	NewFlight(mem).begin()
	f := NewFlight(mem)
	f.begin()
	f.start(flightID(1), 0, false)
	f = NewFlight(mem)
	f.begin()
	i := f.start(flightID(1), 0, false)
	f.forget(flightID(1))
	j := f.start(flightID(2), 0, false)
	f.end(i, flightID(1))
	if k := f.start(flightID(3), 0, false); i == j || j == k {
		t.Errorf("slots %d, %d and %d", i, j, k)
	}
}

// TestFlightGarbage: what cannot be read is no record, and never a fault.
func TestFlightGarbage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flight")
	f, err := OpenFlight(path, 4)
	if err != nil {
		t.Fatal(err)
	}
	f.begin()
	for n := range byte(4) {
		f.start(flightID(n+1), 0, false)
	}
	if i := f.start(flightID(9), 0, false); i != noSlot {
		t.Errorf("slot %d where there are 4", i)
	}
	f.end(noSlot, flightID(9))
	f.Close()
	if f.start(flightID(1), 0, false) != noSlot {
		t.Error("a slot after Close")
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(NewFlight(good).suspects); n != 4 {
		t.Fatalf("%d suspects, want 4", n)
	}
	for bit := range slotEnd * 8 {
		torn := append([]byte(nil), good...)
		torn[bit/8] ^= 1 << (bit % 8)
		if n := len(NewFlight(torn).suspects); n != 3 {
			t.Errorf("bit %d flipped: %d suspects, want the other 3", bit, n)
		}
	}
	for n := range len(good) {
		NewFlight(append([]byte(nil), good[:n]...)).begin()
		NewFlight(append([]byte(strings.Repeat("\xff", n)), good...)).begin()
	}
}

// TestPoison: a delivery that kills the process is found, tried alone, charged
// with each crash from then on, and dead at the end of its schedule; all others get through.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mem = make([]byte, 64*slotSize)
		plan := func(s *Settings) { s.Schedule = retry.Schedule{Waits: []time.Duration{time.Minute, time.Minute}} }
		a, fa := r.add("acme", "a", plan)
		b, fb := r.add("acme", "b", plan)
		crashed := make(chan struct{}, 1)
		var poison atomic.Pointer[string]
		var beside atomic.Int32
		answer := func(ctx context.Context, d destination.Delivery) error {
			if p := poison.Load(); p == nil || d.ID != *p {
				return takes(time.Second)(ctx, d)
			}
			beside.Store(int32(r.s.inFlight() - 1))
			crashed <- struct{}{}
			return hang(ctx, d)
		}
		var items []store.Item
		install := func() {
			fa, fb = &far{name: "a", rig: r, answer: answer}, &far{name: "b", rig: r, answer: answer}
			r.targets[a].Current.Destination, r.targets[b].Current.Destination = fa, fb
		}
		install()
		r.start()
		for range 20 {
			items = append(items, r.accept(a, b)...)
		}
		bad := items[4].ID.String()
		poison.Store(&bad)
		crashes := 0
		for {
			select {
			case <-crashed:
			case <-time.After(time.Hour):
				d, as := r.record(items[4])
				if d.State != store.Dead || d.Reason != "attempts used up" || d.Attempts != 3 {
					t.Errorf("%+v", d)
				}
				for _, at := range as {
					if at.Counted && !strings.Contains(at.Answer, "the process died") {
						t.Errorf("%+v", at)
					}
				}
				for i, it := range items {
					if i != 4 {
						r.wantState(it, store.Delivered)
					}
				}
				if crashes != 7 { // three to be suspected, one beside another suspect, one for each attempt
					t.Errorf("%d crashes", crashes)
				}
				r.close()
				return
			}
			settleDown()
			if crashes++; crashes > aloneAfter+1 && beside.Load() != 0 {
				t.Errorf("crash %d: %d attempts beside it", crashes, beside.Load())
			}
			r.crash()
			install()
			r.open()
			r.start()
		}
	})
}

func TestAnswersAreFitToShow(t *testing.T) {
	long := strings.Repeat("é", 600)
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"", ""},
		{"a\x00b\x1b[31m\x7f", `a\x00b\x1b[31m\x7f`},
		{"line\r\n\tnext", `line\r\n\tnext`},
		{"\xff\xc3(", `\xff\xc3(`},
		{"\u009b31m", `\u009b31m`},
		{"a\u202eb\u2066c\u200fd\u2028e", `a\u202eb\u2066c\u200fd\u2028e`},
		{"pass\u200bword\u200c\u200d\u2060\ufeff\u00ad", `pass\u200bword\u200c\u200d\u2060\ufeff\u00ad`},
		{"a\U000e0041b", `a\U000e0041b`},
		{"naïve 漢字 🙂", "naïve 漢字 🙂"},
		{"\ufffd", "\ufffd"},
		{long, long[:1024]},
		{"x" + long, ("x" + long)[:1023]},
		{strings.Repeat("a", 1023) + "\x00", strings.Repeat("a", 1023)},
	}
	for _, tt := range tests {
		if got := showable(tt.in); got != tt.want {
			t.Errorf("showable(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// brokenError is an error whose methods panic.
type brokenError struct{}

func (brokenError) Error() string { panic("hunter2") }

func TestJudge(t *testing.T) {
	cut := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		return ctx
	}
	live := context.Background()
	no := errors.New("refused")
	tests := []struct {
		name   string
		ctx    context.Context
		r      destination.Receipt
		err    error
		how    ended
		class  destination.Class
		answer string
	}{
		{"accepted", live, destination.Receipt{Answer: "ok\n"}, nil, accepted, 0, `ok\n`},
		{"accepted though cut", cut(ErrShutdown), destination.Receipt{}, nil, accepted, 0, ""},
		{"failed", live, destination.Receipt{}, no, failed, destination.Transient, "refused"},
		{"failed with an answer", live, destination.Receipt{Answer: "busy"}, no, failed, destination.Transient, "busy"},
		{"failed with a broken error", live, destination.Receipt{}, brokenError{}, failed, destination.Transient, "unreadable error"},
		{"timed out", cut(errTimeout), destination.Receipt{}, no, timedOut, destination.Transient, "no answer within 1s: refused"},
		{"cut", cut(ErrShutdown), destination.Receipt{}, no, interrupted, destination.Transient, ErrShutdown.Error()},
		{"lease lost", cut(store.ErrFenced), destination.Receipt{}, no, interrupted, destination.Transient, store.ErrFenced.Error()},
		{"rejected though cut", cut(ErrShutdown), destination.Receipt{}, destination.Reject(no), failed, destination.Rejected, "refused"},
		{"our fault", live, destination.Receipt{}, errors.Join(no, destination.ErrEngine), engineFault, destination.Transient, `refused\nengine fault`},
	}
	for _, tt := range tests {
		e := judge(tt.ctx, tt.r, tt.err, true, time.Second)
		if e.how != tt.how || e.class != tt.class || e.answer != tt.answer {
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
	if e := judge(live, destination.Receipt{}, nil, false, time.Second); e.how != panicked {
		t.Errorf("%+v", e)
	}
}
