package policy

import "time"

// Bucket spaces attempts evenly.
type Bucket struct {
	Every  int64 // ns between attempts; 0: no limit
	At     int64 // mono: the next one
	Waited bool  // one waited for it
}

// slack is how late a timer may be without costing throughput.
const slack = int64(10 * time.Millisecond)

// Limit allows so many a second; 0: no limit.
func (b *Bucket) Limit(rate float64) {
	b.Every = 0
	if rate > 0 {
		b.Every = int64(min(float64(time.Second)/rate, float64(24*time.Hour)))
	} else {
		b.At = 0
	}
}

// MarkWaited notes that something waits for the next one, so that Spend makes up for a
// timer that is late.
func (b *Bucket) MarkWaited(mono int64) { b.Waited = b.Waited || b.At > mono }

// Spend takes one.
func (b *Bucket) Spend(mono int64) {
	if b.Every == 0 {
		return
	}
	from := mono
	if b.Waited {
		from = max(b.At, mono-slack)
	}
	b.At, b.Waited = from+b.Every, false
}
