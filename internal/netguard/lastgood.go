package netguard

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// lastGoodFor is how long an address comes first. Use does not prolong it: once the address that
	// had failed is back, connections are spread again as the name's owner means them to be.
	lastGoodFor = 10 * time.Minute
	// lastGoodNames bounds how many names are remembered.
	lastGoodNames = 4096
)

// lastGood remembers, for host:port, which address answered when the first one did not. It
// affects only the order: an address is tried only if a fresh answer has it and it is permitted
// now. Somebody who fills it with names of their own costs each name that is forgotten one
// connectDelay.
type lastGood struct {
	mu sync.Mutex
	// Names are put into recent and found in both. A full recent becomes older,
	// so that the least recently used half is forgotten.
	recent, older map[string]good
}

type good struct {
	addr  netip.Addr
	until time.Time
}

// get returns the zero Addr when nothing is known of name.
func (l *lastGood) get(name string) netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	is, ok := l.recent[name]
	if !ok {
		if is, ok = l.older[name]; ok {
			l.put(name, is)
		}
	}
	if !time.Now().Before(is.until) {
		return netip.Addr{}
	}
	return is.addr
}

func (l *lastGood) set(name string, a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(name, good{a, time.Now().Add(lastGoodFor)})
}

func (l *lastGood) put(name string, is good) {
	if _, known := l.recent[name]; !known && len(l.recent) == lastGoodNames/2 {
		l.recent, l.older = nil, l.recent
	}
	if l.recent == nil {
		l.recent = map[string]good{}
	}
	l.recent[name] = is
}
