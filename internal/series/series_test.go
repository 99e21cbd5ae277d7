package series

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func none(uint32) int64 { return 0 }

// rig ticks as a daemon does.
type rig struct {
	testing.TB
	s       *Series
	now     time.Time
	pending map[uint32]int64
}

func newRig(t testing.TB) *rig {
	r := &rig{TB: t, s: New(), now: start, pending: map[uint32]int64{}}
	r.s.Tick(r.now, r.count)
	return r
}

func (r *rig) count(dest uint32) int64 { return r.pending[dest] }

// pass lets d go by, with ticks.
func (r *rig) pass(d time.Duration) {
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(Step)
		r.s.Tick(r.now, r.count)
	}
}

func (r *rig) kind(name string, over Range) Points {
	r.Helper()
	p, err := r.s.Kind(name, over, r.now)
	if err != nil {
		r.Fatal(err)
	}
	return p
}

// ends returns the last n values; -1 is none.
func ends(values []*int64, n int) (out []int64) {
	for _, v := range values[len(values)-n:] {
		if v == nil {
			out = append(out, -1)
		} else {
			out = append(out, *v)
		}
	}
	return out
}

func (r *rig) same(what string, got []int64, want ...int64) {
	r.Helper()
	if !slices.Equal(got, want) {
		r.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestCountsStandUnderTheirStep(t *testing.T) {
	r := newRig(t)
	a, b, c := r.s.Dest(1, "webhook"), r.s.Dest(2, "webhook"), r.s.Dest(3, "s3")
	if again := r.s.Dest(1, "webhook"); again != a {
		t.Error("a destination counts twice")
	}
	a.Accepted(3)
	b.Delivered(20 * time.Millisecond)
	c.Failed()
	r.pending[1], r.pending[3] = 2, 5000
	r.pass(Step)
	a.Accepted(1)
	c.Delivered(-1)
	r.pass(2 * Step)
	all, hooks, s3 := r.kind("", Hour), r.kind("webhook", Hour), r.kind("s3", Hour)
	r.same("accepted in all", ends(all.Accepted, 4), -1, 3, 1, 0)
	r.same("delivered in all", ends(all.Delivered, 4), -1, 1, 1, 0)
	r.same("failed in all", ends(all.Failed, 4), -1, 1, 0, 0)
	r.same("accepted of webhooks", ends(hooks.Accepted, 4), -1, 3, 1, 0)
	r.same("failed of webhooks", ends(hooks.Failed, 3), 0, 0, 0)
	r.same("failed of s3", ends(s3.Failed, 3), 1, 0, 0)
	r.same("pending in all", ends(all.Pending, 2), 5002, 5002)
	r.same("pending of webhooks", ends(hooks.Pending, 2), 2, 2)
	if p := all; p.Step != Step || !p.First.Add(time.Duration(len(p.Accepted))*p.Step).Equal(r.now) || len(p.Accepted) != 360 {
		t.Errorf("%d points of %v from %v, now is %v", len(p.Accepted), p.Step, p.First, r.now)
	}
	if v := hooks.P50[357]; v == nil || math.Abs(*v-20) > 2.6 {
		t.Errorf("p50 of one of 20 ms: %v", v)
	}
	if hooks.P50[358] != nil || s3.P99[358] != nil {
		t.Error("latencies of what was not delivered, or of a replay")
	}
	if got := r.s.Kinds(); !slices.Equal(got, []string{"s3", "webhook"}) {
		t.Errorf("kinds %v", got)
	}
	if _, err := r.s.Kind("mysql", Hour, r.now); err != ErrUnknown {
		t.Errorf("a kind that nobody has: %v", err)
	}
	if _, err := r.s.Of(9, r.now); err != ErrUnknown {
		t.Errorf("a destination that nobody has: %v", err)
	}
}

func TestCoarserSeriesAddUp(t *testing.T) {
	r := newRig(t)
	d := r.s.Dest(1, "webhook")
	for i := range 6 * 31 {
		d.Accepted(i % 3)
		d.Delivered(time.Duration(i%100) * time.Millisecond)
		if r.pass(Step); i == 5 { // the first minute is over at once
			r.same("a minute", ends(r.kind("", Day).Accepted, 2), -1, 6)
		}
	}
	r.same("minutes", ends(r.kind("", Day).Accepted, 32), append([]int64{-1}, slices.Repeat([]int64{6}, 31)...)...)
	r.same("quarters", ends(r.kind("webhook", Week).Delivered, 3), -1, 90, 90)
	p, err := r.s.Of(1, r.now)
	if err != nil {
		t.Fatal(err)
	}
	r.same("5 minutes", ends(p.Accepted, 7), -1, 30, 30, 30, 30, 30, 30)
	if v := p.P99[287]; p.Step != 5*time.Minute || v == nil || *v != 72 { // those up to 79 ms
		t.Errorf("a destination: %v, p99 %v", p.Step, v)
	}
}

// What nobody has seen is unknown, and not zero.
func TestDownIsAGap(t *testing.T) {
	r := newRig(t)
	d := r.s.Dest(1, "webhook")
	d.Accepted(1)
	r.pass(20 * time.Minute)
	saved := r.s.Save()
	r.now = r.now.Add(10 * time.Minute)
	r.s = New()
	if err := r.s.Load(saved); err != nil {
		t.Fatal(err)
	}
	d = r.s.Dest(1, "webhook")
	r.s.Tick(r.now, none)
	d.Accepted(7)
	r.pass(10 * time.Minute)
	hour := r.kind("", Hour)
	r.same("before", ends(hour.Accepted, 240)[:3], 1, 0, 0)
	r.same("around the stop", ends(hour.Accepted, 122)[:4], 0, 0, -1, -1)
	r.same("around the start", ends(hour.Accepted, 62)[:4], -1, 0, 7, 0)
	p, err := r.s.Of(1, r.now)
	if err != nil {
		t.Fatal(err)
	}
	r.same("a destination", ends(p.Accepted, 8), 1, 0, 0, 0, -1, -1, 7, 0)
}

// What stood where the gap is an hour ago does not stand for it.
func TestAGapIsNotTheHourBefore(t *testing.T) {
	r := newRig(t)
	d := r.s.Dest(1, "webhook")
	for range 90 * 6 {
		d.Accepted(1)
		r.pass(Step)
	}
	r.now = r.now.Add(10 * time.Minute)
	r.pass(Step)
	got := ends(r.kind("", Hour).Accepted, 360)
	r.same("around the gap", append(got[298:301], got[358:]...), 1, -1, -1, -1, 0)
	r.now = r.now.Add(50 * time.Hour)
	r.pass(Step)
	r.same("longer than the ring", ends(r.kind("", Day).Accepted, 1440)[1436:], -1, -1, -1, -1)
}

// What was counted before a long stop is not of the time after it.
func TestAStepThatAStopHasCutShort(t *testing.T) {
	r := newRig(t)
	r.s.Dest(1, "webhook").Accepted(3)
	r.pass(time.Minute)
	saved := r.s.Save()
	r.now = r.now.Add(12 * time.Minute)
	r.s = New()
	if err := r.s.Load(saved); err != nil {
		t.Fatal(err)
	}
	d := r.s.Dest(1, "webhook")
	r.s.Tick(r.now, none)
	d.Accepted(4)
	r.pass(7 * time.Minute)
	p, _ := r.s.Of(1, r.now)
	r.same("5 minutes", ends(p.Accepted, 5), -1, 3, -1, 4, 0)
	r.same("quarters", ends(r.kind("", Week).Accepted, 2), -1, 7)
}

// A start goes on with the minute, or the five, that the stop has broken off.
func TestSavedInTheMiddleOfAStep(t *testing.T) {
	r := newRig(t)
	d := r.s.Dest(1, "webhook")
	d.Accepted(1)
	d.Delivered(time.Second)
	r.pass(30 * time.Second)
	d.Accepted(2)
	r.pass(Step)
	saved := r.s.Save()
	d.Accepted(100) // is lost
	r.s = New()
	if err := r.s.Load(saved); err != nil {
		t.Fatal(err)
	}
	r.s.Dest(1, "webhook").Accepted(4)
	r.pass(260 * time.Second)
	r.same("a minute", ends(r.kind("", Day).Accepted, 6), -1, 7, 0, 0, 0, 0)
	p, _ := r.s.Of(1, r.now)
	r.same("5 minutes", ends(p.Accepted, 2), -1, 7)
	if p.P50[287] == nil {
		t.Error("the latency is gone")
	}
}

func TestLateTicksAndClocks(t *testing.T) {
	r := newRig(t)
	d := r.s.Dest(1, "webhook")
	d.Accepted(5)
	r.now = r.now.Add(45 * time.Second) // asleep
	r.s.Tick(r.now, none)
	r.same("late", ends(r.kind("", Hour).Accepted, 5), -1, -1, -1, -1, 5)
	r.s.Tick(r.now, none)
	d.Accepted(2)
	r.now = r.now.Add(-20 * time.Minute) // set back: it waits
	r.pass(time.Minute)
	d.Accepted(1)
	r.pass(20 * time.Minute)
	sum := int64(0)
	for _, v := range r.kind("", Hour).Accepted {
		if v != nil {
			sum += *v
		}
	}
	if sum != 8 {
		t.Errorf("behind a clock that was set back %d are counted, want 8", sum)
	}
	r.now = r.now.Add(-48 * time.Hour) // what is there lies in a future that was none
	r.pass(time.Minute)
	d.Accepted(3)
	r.pass(Step)
	r.same("set back by days", ends(r.kind("", Hour).Accepted, 2), 0, 3)
	if got := ends(r.kind("", Hour).Accepted, 360)[300]; got != -1 {
		t.Errorf("of the past it says %d", got)
	}
}

func TestLatencyBins(t *testing.T) {
	last := -1
	for _, ms := range []int64{0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 100, 999, 1e4, 1e6, 9e7, 2.3e8} {
		d := time.Duration(ms) * time.Millisecond
		bin := binOf(d)
		if bin < last || bin >= bins {
			t.Errorf("%v lies in bin %d, behind %d", d, bin, last)
		}
		last = bin
		if got := valueOf(bin); math.Abs(float64(got-d)) > 0.13*float64(d)+float64(time.Millisecond/2) {
			t.Errorf("%v is read back as %v", d, got)
		}
	}
	if binOf(-time.Second) != 0 || binOf(math.MaxInt64) != bins-1 {
		t.Error("a latency without sense has no bin")
	}
	for n := int64(0); n < 1<<41; n = n*3/2 + 1 {
		if got := long(short(n)); math.Abs(float64(got-n)) > float64(n)/2000 || n < 4096 && got != n {
			t.Errorf("%d pending are read back as %d", n, got)
		}
	}
	if long(short(-5)) != 0 || long(short(math.MaxInt64)) < 1<<41 {
		t.Error("pending without sense")
	}
}

// many registers 30,000 destinations, each of which does as many attempts in 5 minutes
// as its id says, and of which the last ones fail.
func many(r *rig, n int) []*Dest {
	dests := make([]*Dest, n+1)
	for i := 1; i <= n; i++ {
		dests[i] = r.s.Dest(uint32(i), "webhook")
	}
	return dests
}

func TestTheBusiestTheWorstAndThoseAskedForAreRecorded(t *testing.T) {
	r := newRig(t)
	dests := many(r, 3000)
	recorded := func(id uint32) bool { return dests[id].own.Load() != nil }
	if !recorded(1) || !recorded(1000) || recorded(1001) {
		t.Error("the first ones are recorded as long as there is room")
	}
	for i := 1; i <= 3000; i++ {
		dests[i].busy.Add(uint32(i))
	}
	for i := 1001; i <= 1600; i++ {
		dests[i].bad.Add(uint32(i))
	}
	for i := range uint32(80) {
		if _, err := r.s.Of(1800+i, r.now); err != nil {
			t.Fatal(err)
		}
		r.now = r.now.Add(Step)
	}
	if len(r.s.own) != Recorded || !recorded(1879) || recorded(1800) {
		t.Errorf("%d are recorded, the last asked for %t, the first %t", len(r.s.own), recorded(1879), recorded(1800))
	}
	r.pass(5 * time.Minute)
	for id, want := range map[uint32]bool{1: false, 1000: false, 1050: false, 1100: false, 1101: true, 1600: true, 1879: true, 2400: false, 2501: true, 3000: true} {
		if recorded(id) != want {
			t.Errorf("destination %d is recorded: %t", id, !want)
		}
	}
	if len(r.s.own) > Recorded {
		t.Errorf("%d are recorded", len(r.s.own))
	}
	r.pass(time.Hour) // what is as busy as before stays
	if !recorded(3000) || !recorded(1600) {
		t.Error("the busiest go with time")
	}
}

func TestDamagedSeriesAreDropped(t *testing.T) {
	r := newRig(t)
	for i, d := range many(r, 30)[1:] {
		d.Accepted(i)
		d.Delivered(time.Duration(i) * time.Second)
	}
	r.pass(11*time.Minute + 20*time.Second)
	saved := r.s.Save()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		bad := slices.Clone(saved)
		switch i % 3 {
		case 0:
			bad = bad[:rnd.IntN(len(bad))]
		case 1:
			bad[rnd.IntN(len(bad))] ^= byte(1 + rnd.IntN(255))
		case 2:
			bad = append(bad, byte(i))
		}
		if i%2 == 0 && len(bad) > 5 {
			resign(bad) // damage that a checksum does not see
		}
		s := New()
		if err := s.Load(bad); err != nil && (s.tick != 0 || len(s.kinds) != 1 || s.loaded != nil) {
			t.Fatalf("after %v it has loaded something", err)
		} else if err == nil && i%2 == 1 {
			t.Fatalf("damage at %d was loaded", i)
		}
		s.Dest(1, "webhook")
		s.Tick(r.now.Add(Step), none) // whatever was loaded does no harm
		s.Tick(r.now.Add(10*time.Minute), none)
		s.Save()
	}
	other := slices.Clone(saved)
	other[0] = 2
	if err := New().Load(other); err == nil || err.Error() != "of version 2, this program reads 1" {
		t.Errorf("another version: %v", err)
	}
}

// 8 MB for 30,000 destinations, all of them busy; a save has a bound, too.
func TestMemoryOfManyDestinations(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	r := newRig(t)
	before := heap()
	for i := 1; i <= 30_000; i++ {
		r.s.Dest(uint32(i), fmt.Sprint("kind ", i%40))
	}
	for range 20 {
		for id, d := range r.s.dests {
			d.busy.Add(id)
			d.bad.Add(30_000 - id)
			d.Delivered(time.Duration(id) * time.Millisecond)
		}
		if r.now.Sub(start) == 5*time.Minute {
			for id := range uint32(asked) {
				_, _ = r.s.Of(10_000+id, r.now)
			}
		}
		r.now = r.now.Add(5 * time.Minute)
		r.s.Tick(r.now, none)
	}
	used := heap() - before
	saved := len(r.s.Save())
	t.Logf("%d destinations, %d recorded: %d bytes; saved: %d", len(r.s.dests), len(r.s.own), used, saved)
	if used > 8_000_000 || saved > saveMost || len(r.s.own) != Recorded {
		t.Errorf("%d bytes, %d saved", used, saved)
	}
	runtime.KeepAlive(r)
}

func BenchmarkAttempt(b *testing.B) {
	for _, name := range []string{"recorded", "not recorded"} {
		b.Run(name, func(b *testing.B) {
			s := New()
			d := s.Dest(1, "webhook")
			if name != "recorded" {
				d.own.Store(nil)
			}
			b.ReportAllocs()
			for b.Loop() {
				d.Delivered(20 * time.Millisecond)
			}
		})
	}
}

func BenchmarkTick(b *testing.B) {
	r := newRig(b)
	many(r, 30_000)
	b.ReportAllocs()
	for b.Loop() {
		r.now = r.now.Add(Step)
		r.s.Tick(r.now, none)
	}
}

func BenchmarkSave(b *testing.B) {
	r := newRig(b)
	for range 300 {
		for _, d := range many(r, 1000)[1:] {
			d.Delivered(time.Second)
		}
		r.now = r.now.Add(5 * time.Minute)
		r.s.Tick(r.now, none)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(r.s.Save())))
	}
}

// resign makes the checksum right.
func resign(b []byte) {
	binary.BigEndian.PutUint32(b[1:], crc32.ChecksumIEEE(b[5:]))
}

// Somebody who asks for many destinations does not end the past of the busiest, which
// somebody asked for before.
func TestAskingForManyLeavesTheBusiestAlone(t *testing.T) {
	r := newRig(t)
	dests := many(r, 3000)
	for i := 1; i <= 1000; i++ {
		dests[i].busy.Add(5000)
		dests[2001-i].bad.Add(5000)
	}
	for i := range uint32(asked) {
		_, _ = r.s.Of(2100+i, r.now)
	}
	r.pass(5 * time.Minute)
	was := dests[1].own.Load()
	if _, err := r.s.Of(1, r.now); err != nil || was == nil {
		t.Fatal(err)
	}
	for i := range uint32(300) {
		r.now = r.now.Add(Step)
		if _, err := r.s.Of(2500+i, r.now); err != nil {
			t.Fatal(err)
		}
	}
	if dests[1].own.Load() != was {
		t.Error("one of the busiest has lost its past")
	}
	if len(r.s.own) > Recorded {
		t.Errorf("%d are recorded", len(r.s.own))
	}
}
