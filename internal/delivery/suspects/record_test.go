package suspects

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// crashing is a flight record over crashes of the process, at one crash a second.
type crashing struct {
	*Record
	t   *testing.T
	mem []byte
	now time.Time
}

func newCrashing(t *testing.T) *crashing {
	c := &crashing{t: t, mem: make([]byte, 64*slotSize), now: time.Unix(1_800_000_000, 0)}
	c.Record = New(c.mem, c.now)
	return c
}

// crash ends the process while ids are in flight, those of suspects on trial.
func (c *crashing) crash(ids ...store.DeliveryID) {
	for _, id := range ids {
		apart := c.Known(OfDestination(id.Dest)).Apart()
		c.Begin(id, apart)
	}
	c.restart()
}

func (c *crashing) restart() {
	c.now = c.now.Add(time.Second)
	c.Record = New(c.mem, c.now)
}

// ends has id tried without a crash.
func (c *crashing) ends(id store.DeliveryID) {
	apart := c.Known(OfDestination(id.Dest)).Apart()
	c.End(c.Begin(id, apart), id, true)
}

// want checks how long a destination waits; a negative wait: it does not wait apart.
func (c *crashing) want(when string, dest uint32, wait time.Duration) {
	c.t.Helper()
	is := c.Known(OfDestination(dest))
	ok := is.Apart()
	if got := time.Duration(is.Until - c.now.UnixNano()); ok != (wait >= 0) || ok && got != wait {
		c.t.Errorf("%s: destination %d waits %v, apart %t; want %v", when, dest, got, ok, wait)
	}
}

const served = -1

// delivery is number n of destination dest.
func delivery(dest uint32, n byte) store.DeliveryID {
	return store.DeliveryID{Day: 20_000, Event: event.ID{n}, Dest: dest}
}

func TestThreeCrashesRunningPartADestination(t *testing.T) {
	a, b := delivery(1, 1), delivery(1, 2)
	for name, tt := range map[string]struct {
		do   func(c *crashing)
		wait time.Duration
	}{
		"two":                      {func(c *crashing) { c.crash(a); c.crash(a) }, served},
		"three":                    {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a) }, time.Minute},
		"of different deliveries":  {func(c *crashing) { c.crash(a); c.crash(b); c.crash(a) }, time.Minute},
		"of checks and deliveries": {func(c *crashing) { c.crash(OfCheck(1)); c.crash(b); c.crash(OfCheck(1)) }, time.Minute},
		"of two at once":           {func(c *crashing) { c.crash(a, b); c.crash(a, b) }, served},
		"not running":              {func(c *crashing) { c.crash(a); c.crash(); c.crash(a); c.crash(a) }, served},
		"with a success between":   {func(c *crashing) { c.crash(a); c.crash(a); c.ends(a); c.crash(a) }, served},
		"with another's success":   {func(c *crashing) { c.crash(b); c.crash(a); c.ends(b); c.crash(a) }, served},
		"of one, others succeed":   {func(c *crashing) { c.crash(a); c.ends(b); c.crash(a); c.ends(b); c.crash(a) }, time.Minute},
		"with a clean stop between": {func(c *crashing) {
			c.crash(a)
			c.crash(a)
			c.Begin(a, false)
			c.Clear()
			c.restart()
			c.crash(a)
		}, served},
		"and a clean stop":           {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a); c.Clear(); c.restart() }, time.Minute - time.Second},
		"and a crash while it waits": {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a); c.crash() }, time.Minute - time.Second},
		"and it is removed":          {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a); c.ForgetDestination(1) }, served},
		"and the delivery is gone": {func(c *crashing) {
			c.crash(a)
			c.ends(b)
			c.crash(a)
			c.ends(b)
			c.crash(a)
			c.ends(b)
			c.Forget(a)
		}, served},
		"and a trial ends well":       {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a); c.ends(a) }, served},
		"and another's trial ends":    {func(c *crashing) { c.crash(a); c.crash(b); c.crash(a); c.ends(b) }, served},
		"but the suspect has not":     {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a); c.ends(b) }, time.Minute},
		"and a trial is cut":          {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a); c.End(c.Begin(a, true), a, false) }, time.Minute},
		"and a trial crashes":         {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a); c.crash(a) }, 2 * time.Minute},
		"and a trial crashes, beside": {func(c *crashing) { c.crash(a); c.crash(a); c.crash(a); c.crash(a, delivery(2, 9)) }, 2 * time.Minute},
	} {
		c := newCrashing(t)
		tt.do(c)
		c.want(name, 1, tt.wait)
		c.restart()
		if tt.wait > 0 {
			c.want(name+", and a crash", 1, tt.wait-time.Second)
		}
	}
}

// TestADeliveryIsDeadOfFiveTrials: the waits of its destination grow, and end
// with it, since it may have been the only one.
func TestADeliveryIsDeadOfFiveTrials(t *testing.T) {
	c := newCrashing(t)
	a, next := delivery(1, 1), delivery(1, 2)
	for range ApartAfter {
		c.crash(a, delivery(2, 1))
		c.ends(delivery(2, 1))
	}
	for n := range DeadAfter {
		if c.Known(a).Dead() {
			t.Fatalf("dead after %d trials", n)
		}
		c.want("before a trial", 1, []time.Duration{1, 2, 4, 8, 16}[n]*time.Minute)
		c.crash(a, delivery(2, 1))
		c.ends(delivery(2, 1))
	}
	if !c.Known(a).Dead() || c.Known(delivery(2, 1)).Dead() {
		t.Error("not dead of five trials, or another is")
	}
	c.want("once it is dead", 1, 0)
	c.Settled(a) // and the process dies before that is durable
	c.restart()
	if !c.Known(a).Dead() {
		t.Error("forgotten before its outcome was durable")
	}
	for n := range 2 * DeadAfter {
		if n > 0 {
			c.want("with the next one", 1, time.Hour)
		}
		c.crash(next)
		if n == DeadAfter-1 {
			next = delivery(1, 3)
		}
	}
	c.Clear()
	c.restart()
	if c.Known(a).Dead() {
		t.Error("remembered for ever")
	}
}

// TestNobodyDiesOfOthersCrashes: with another suspect in flight, or a record that
// may have been of one, five crashes are no proof.
func TestNobodyDiesOfOthersCrashes(t *testing.T) {
	a, b := delivery(1, 1), delivery(2, 1)
	for name, last := range map[string]func(c *crashing){
		"another": func(c *crashing) { c.crash(a, b) },
		"a check": func(c *crashing) { c.Begin(OfCheck(3), true); c.crash(a) },
		"a torn record": func(c *crashing) {
			c.slot(c.Begin(b, true))[slotID]++ // and not yet the checksum
			c.crash(a)
		},
	} {
		c := newCrashing(t)
		for range ApartAfter {
			c.crash(a, b)
		}
		for range DeadAfter - 1 {
			c.crash(a)
		}
		last(c)
		if c.Known(a).Dead() || c.Known(b).Dead() {
			t.Errorf("%s: dead", name)
		}
		for range DeadAfter {
			if c.Known(a).Dead() {
				t.Errorf("%s: dead too soon", name)
			}
			c.crash(a)
		}
		if !c.Known(a).Dead() {
			t.Errorf("%s: not dead of five more", name)
		}
	}
}

// TestChecksAndOpeningsAreCountedUntilOneGoesWell, whatever else crashes meanwhile.
func TestChecksAndOpeningsAreCountedUntilOneGoesWell(t *testing.T) {
	c := newCrashing(t)
	key := store.DestinationKey{Developer: "acme", Name: "app", Kind: "fake"}
	if end := c.Opening(key); end == nil {
		t.Fatal("what never crashed is not opened")
	}
	c.crash()
	for n := range uint8(8) {
		c.crash(OfCheck(7))
		c.crash()
		c.Clear()
		c.restart()
		is := c.Known(OfCheck(7))
		if wait := time.Duration(is.Until-c.now.UnixNano()) + 2*time.Second; is.Crashes != n+1 || wait != min(time.Minute<<n, time.Hour) {
			t.Errorf("after %d crashes of a check: %d, it waits %v", n+1, is.Crashes, wait)
		}
		if c.Opening(key) != nil {
			t.Error("what crashed is opened")
		}
	}
	c.ends(OfCheck(7))
	c.Opened(key)
	c.restart()
	if c.Known(OfCheck(7)).Crashes != 0 || c.Opening(key) == nil {
		t.Error("counted after one has gone well")
	}
}

// TestGarbageIsNoRecord: what cannot be read is no record, and never a fault.
func TestGarbageIsNoRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flight")
	f, err := Open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := range byte(3) {
		f.Begin(delivery(7, n+1), false)
	}
	if i := f.Begin(delivery(7, 9), false); i != NoSlot {
		t.Errorf("slot %d where there are 3", i)
	}
	f.End(NoSlot, delivery(7, 9), true)
	f.Close()
	if f.Begin(delivery(7, 1), false) != NoSlot {
		t.Error("a slot after Close")
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	load := func(mem []byte) int { return len(New(append([]byte(nil), mem...), now).counts) }
	if n := load(good); n != 4 {
		t.Fatalf("%d counts, want 3 and that of their destination", n)
	}
	for bit := range slotEnd * 8 {
		torn := append([]byte(nil), good...)
		torn[bit/8] ^= 1 << (bit % 8)
		if n := load(torn); n != 3 {
			t.Errorf("bit %d flipped: %d counts, want the other 2 and their destination", bit, n)
		}
	}
	for n := range len(good) {
		load(good[:n])
		load(append([]byte(strings.Repeat("\xff", n)), good...))
	}
}
