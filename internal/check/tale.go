package check

import (
	"log/slog"
	"sync"
	"time"
)

// singly is how many faults of a round have a line of their own in the log.
const singly = 5

// tale logs the faults that a round of checks finds. The first few have a line each. All others
// share one, at the end of the round or after a pass: thousands that fail at a start must not bury
// the rest of the log.
type tale struct {
	log *slog.Logger

	mu    sync.Mutex
	told  int
	more  int       // not told yet
	since time.Time // when the first of them was found
}

func (t *tale) fault(message string, about ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told < singly {
		t.told++
		t.log.Warn(message, about...)
		return
	}
	if t.more == 0 {
		t.since = time.Now()
	}
	if t.more++; time.Since(t.since) >= pass {
		t.sum()
	}
}

// end tells what is not told yet.
func (t *tale) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum()
}

func (t *tale) sum() {
	if t.more > 0 {
		t.log.Warn("the checks of more destinations found faults: see fantail check, or the destinations in the console", "destinations", t.more)
	}
	t.more = 0
}
