package api

import (
	"sync"
	"time"
)

const (
	freeTries    = 10               // log-ins of a network that may fail before the next has to wait
	longestWait  = 10 * time.Second // so that nobody locks out everybody behind one address
	forgiveAfter = 10 * time.Minute
	mostTriers   = 4096 // networks that are told apart
)

// tries counts failed log-ins by network, and slows them down.
type tries struct {
	mu sync.Mutex
	of map[string]*trier
}

type trier struct {
	failed int
	last   time.Time
	until  time.Time
}

// elsewhere is what networks count as for which there is no room.
const elsewhere = "elsewhere"

// wait is how long the next log-in of a network has to wait.
func (t *tries) wait(now time.Time, network string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.of[network]
	if f == nil && len(t.of) >= mostTriers {
		f = t.of[elsewhere]
	}
	if f == nil {
		return 0
	}
	return f.until.Sub(now)
}

// failed counts one that failed.
func (t *tries) failed(now time.Time, network string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[string]*trier{}
	}
	f := t.of[network]
	if f == nil && len(t.of) >= mostTriers {
		for name, other := range t.of {
			if now.Sub(other.last) > forgiveAfter {
				delete(t.of, name)
			}
		}
		if len(t.of) >= mostTriers {
			network = elsewhere
			f = t.of[network]
		}
	}
	if f == nil || now.Sub(f.last) > forgiveAfter {
		f = &trier{}
		t.of[network] = f
	}
	f.failed++
	f.last = now
	if over := f.failed - freeTries; over > 0 {
		f.until = now.Add(min(time.Second<<min(over-1, 10), longestWait))
	}
}
