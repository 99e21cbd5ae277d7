package store

import (
	"testing"
	"time"
)

func TestHoursForgetWhatIsOlderThanADay(t *testing.T) {
	var h Hours
	hour := func(n int) int64 { return int64(n)*int64(time.Hour) + int64(59*time.Minute) }
	const first = 495_000
	h.Add(hour(first), 3)
	h.Add(hour(first+1), 4)
	for _, c := range []struct {
		at   int
		want int64
	}{{first, 7}, {first + 1, 7}, {first + 23, 7}, {first + 24, 4}, {first + 25, 0}, {first + 1000, 0}, {0, 7}} {
		if got := h.Sum(hour(c.at)); got != c.want {
			t.Errorf("%d hours later: %d, want %d", c.at-first, got, c.want)
		}
	}
	h.Add(hour(first-5), 1) // the clock was set back
	if got := h.Sum(hour(first + 24)); got != 5 {
		t.Errorf("what was counted under a clock set back: %d, want 5", got)
	}
	h.Add(hour(first+100), 1)
	if got := h.Sum(hour(first + 100)); got != 1 {
		t.Errorf("after a pause of days: %d, want 1", got)
	}
}
