package retry

import (
	"math"
	"slices"
	"testing"
	"time"
)

const (
	s = time.Second
	m = time.Minute
	h = time.Hour
)

func sum(waits []time.Duration) (total time.Duration) {
	for _, w := range waits {
		total += w
	}
	return total
}

func TestExponentialIsTheContractsSchedule(t *testing.T) {
	tests := []struct {
		name    string
		initial time.Duration
		factor  float64
		retries int
		want    []time.Duration
		total   time.Duration
	}{
		{"the default", 30 * s, 3, 8,
			[]time.Duration{30 * s, 90 * s, 4*m + 30*s, 13*m + 30*s, 40*m + 30*s, 2*h + 1*m + 30*s, 6*h + 4*m + 30*s, 18*h + 13*m + 30*s},
			27*h + 20*m},
		{"30 s doubling, 10 retries", 30 * s, 2, 10,
			[]time.Duration{30 * s, 1 * m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, 64 * m, 128 * m, 256 * m},
			8*h + 31*m + 30*s},
		{"one retry", 5 * m, 3, 1, []time.Duration{5 * m}, 5 * m},
		{"a fraction", 2 * s, 1.5, 4, []time.Duration{2 * s, 3 * s, 4500 * time.Millisecond, 6750 * time.Millisecond}, 16250 * time.Millisecond},
		{"factor 1 is a fixed wait", m, 1, 3, []time.Duration{m, m, m}, 3 * m},
		{"a factor below 1 counts as 1", m, 0.5, 3, []time.Duration{m, m, m}, 3 * m},
		{"a factor that is no number", m, math.NaN(), 2, []time.Duration{m, m}, 2 * m},
		{"an endless factor", m, math.Inf(1), 3, []time.Duration{m, maxWait, maxWait}, m + 2*maxWait},
		{"no wait at all", 0, 3, 3, []time.Duration{0, 0, 0}, 0},
		{"a negative wait", -m, 3, 2, []time.Duration{0, 0}, 0},
		{"no retries", 30 * s, 3, 0, []time.Duration{}, 0},
		{"fewer than none", 30 * s, 3, -1, []time.Duration{}, 0},
		{"it stops growing", 5 * 365 * 24 * h, 3, 3, []time.Duration{maxWait / 2, maxWait, maxWait}, maxWait/2 + 2*maxWait},
		{"it starts too high", math.MaxInt64, 3, 2, []time.Duration{maxWait, maxWait}, 2 * maxWait},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Exponential(tt.initial, tt.factor, tt.retries, 0)
			if !slices.Equal(got.Waits, tt.want) {
				t.Errorf("waits %v, want %v", got.Waits, tt.want)
			}
			if got.Horizon() != tt.total || sum(got.Waits) != tt.total {
				t.Errorf("horizon %s, sum %s, want %s", got.Horizon(), sum(got.Waits), tt.total)
			}
		})
	}
}

func TestExponentialNeverOverflows(t *testing.T) {
	for _, factor := range []float64{1, 1.0001, 2, 3, 10, 1e9, 1e300} {
		got := Exponential(30*s, factor, 200, 1)
		if len(got.Waits) != 200 || !slices.IsSorted(got.Waits) || got.Waits[0] != 30*s || got.Waits[199] > maxWait {
			t.Errorf("factor %g: %v", factor, got.Waits)
		}
		if got.Horizon() <= 0 {
			t.Errorf("factor %g: horizon %s", factor, got.Horizon())
		}
	}
}

func TestNextWalksEverySchedule(t *testing.T) {
	list := Schedule{Waits: []time.Duration{5 * m, 30 * m, h, 2 * h, 4 * h}}
	schedules := map[string]Schedule{
		"default":  Exponential(30*s, 3, 8, 0),
		"doubling": Exponential(30*s, 2, 10, 0),
		"list":     list,
		"empty":    {},
	}
	start := time.Date(2026, 7, 1, 9, 12, 33, 0, time.UTC)
	for name, sched := range schedules {
		t.Run(name, func(t *testing.T) {
			now := start
			for n := 1; n <= len(sched.Waits); n++ {
				at, ok := sched.Next(now, n, 0, 0.99)
				if !ok || at.Sub(now) != sched.Waits[n-1] {
					t.Fatalf("after attempt %d: wait %s %t, want %s", n, at.Sub(now), ok, sched.Waits[n-1])
				}
				now = at
			}
			if total := now.Sub(start); total != sched.Horizon() {
				t.Errorf("the last attempt comes after %s, horizon says %s", total, sched.Horizon())
			}
			for _, n := range []int{len(sched.Waits) + 1, len(sched.Waits) + 2, math.MaxInt} {
				if at, ok := sched.Next(now, n, h, 0); ok || !at.IsZero() {
					t.Errorf("after attempt %d: %s, want the end", n, at)
				}
			}
		})
	}
}

func TestNextSpreadsAndListens(t *testing.T) {
	const almost = 1 - 1.0/(1<<53)
	tests := []struct {
		name   string
		wait   time.Duration
		jitter float64
		asked  time.Duration
		chance float64
		want   time.Duration
	}{
		{"lowest chance", 100 * s, .1, 0, 0, 90 * s},
		{"middle chance", 100 * s, .1, 0, .5, 100 * s},
		{"three quarters", 100 * s, .1, 0, .75, 105 * s},
		{"no jitter", 100 * s, 0, 0, 0, 100 * s},
		{"full jitter reaches 0", 100 * s, 1, 0, 0, 0},
		{"more than full never goes back in time", 100 * s, 7, 0, 0, 0},
		{"more than full is full", 100 * s, 7, 0, .75, 150 * s},
		{"negative jitter is none", 100 * s, -1, 0, 0, 100 * s},
		{"jitter that is no number is none", 100 * s, math.NaN(), 0, 0, 100 * s},
		{"asked for less", 100 * s, 0, 10 * s, 0, 100 * s},
		{"asked for a negative time", 100 * s, 0, -h, 0, 100 * s},
		{"asked for more", 100 * s, .1, 10 * m, 0, 10 * m},
		{"asked between the spread wait and the plain one", 100 * s, .1, 95 * s, 0, 95 * s},
		{"asked for more than a day", 100 * s, .1, 25 * h, 0, 25 * h}, // what is believed is not for a schedule to say
		{"asked for less than a long wait", 48 * h, 0, 30 * h, 0, 48 * h},
		{"an endless wait", math.MaxInt64, 1, 0, almost, math.MaxInt64},
		{"a negative wait", -h, .1, 0, 0, 0},
	}
	now := time.Date(2026, 7, 1, 9, 12, 33, 0, time.UTC)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, ok := Schedule{Waits: []time.Duration{tt.wait}, Jitter: tt.jitter}.Next(now, 1, tt.asked, tt.chance)
			if got := at.Sub(now); !ok || got != tt.want {
				t.Errorf("wait %s %t, want %s", got, ok, tt.want)
			}
		})
	}
}

func TestNextTakesAnAttemptBelowOneForTheFirst(t *testing.T) {
	now := time.Unix(0, 0)
	for _, n := range []int{0, -1, math.MinInt} {
		if at, ok := Exponential(m, 3, 2, 0).Next(now, n, 0, 0); !ok || at.Sub(now) != m {
			t.Errorf("attempt %d: %s %t", n, at.Sub(now), ok)
		}
		if _, ok := (Schedule{}).Next(now, n, 0, 0); ok {
			t.Errorf("attempt %d of a schedule without waits is tried again", n)
		}
	}
}

func TestHorizonCountsJitterAndSaturates(t *testing.T) {
	if got, want := Exponential(30*s, 3, 8, .1).Horizon(), (27*h+20*m)*11/10; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := (Schedule{Waits: []time.Duration{math.MaxInt64, 1}}).Horizon(); got != math.MaxInt64 {
		t.Errorf("%s", got)
	}
	if got := (Schedule{}).Horizon(); got != 0 {
		t.Errorf("%s", got)
	}
}

func FuzzNext(f *testing.F) {
	f.Add(int64(30*s), 3.0, 8, .1, int64(0), .5, 1)
	f.Add(int64(math.MaxInt64), 1e300, 40, 2.0, int64(math.MaxInt64), .999, 40)
	f.Fuzz(func(t *testing.T, initial int64, factor float64, retries int, jitter float64, asked int64, chance float64, n int) {
		if !(chance >= 0 && chance < 1) || retries > 100 {
			return
		}
		sched := Exponential(time.Duration(initial), factor, retries, jitter)
		now := time.Unix(1_700_000_000, 0)
		at, ok := sched.Next(now, n, time.Duration(asked), chance)
		if ok != (max(n, 1) <= max(retries, 0)) {
			t.Fatalf("attempt %d of %d retries: %t", n, retries, ok)
		}
		if !ok {
			return
		}
		wait := at.Sub(now)
		if wait < 0 || wait < time.Duration(asked) {
			t.Fatalf("wait %s, asked %s", wait, time.Duration(asked))
		}
		if wait > time.Duration(asked) && wait > sched.Horizon() {
			t.Fatalf("wait %s beyond the horizon %s", wait, sched.Horizon())
		}
	})
}
