package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

const (
	// least is what a request counts as at the least: its connection and its
	// goroutine cost as much. It bounds how many requests a token has under way.
	least = 4 << 10
	// first is what a request may hold before any of its body has come.
	first = 32 << 10
	// small is the size up to which a body takes from a budget of its own, so
	// that nobody's slow upload of something large delays ordinary events.
	small = 256 << 10
	// maxWait is how long a request waits for room.
	maxWait = 10 * time.Second
)

// pool bounds the bytes of bodies that are held at a time, of small and of large ones.
type pool struct{ small, large budget }

// of returns the budget of a body that has n bytes so far.
func (p *pool) of(n int64) *budget {
	if n <= small {
		return &p.small
	}
	return &p.large
}

// memory is what bodies may hold: all together, and each token and each developer
// half of it. A batch, the largest request, needs room for its lines twice.
type memory struct {
	whole      pool
	batch      int64         // bytes of the largest batch
	wait       time.Duration // how long a request waits for room
	mu         sync.Mutex
	developers map[string]*developerShare // that have a request under way
}

type developerShare struct {
	pool
	users int // guarded by memory.mu
}

// setup splits total bytes.
func (m *memory) setup(maxBody, total int64) {
	m.batch, m.wait = 2*(maxBody+1), maxWait
	m.whole.small.size = max(total/8, 4*small)
	m.whole.large.size = max(total-total/8, 2*m.batch)
	m.whole.small.free, m.whole.large.free = m.whole.small.size, m.whole.large.size
	m.developers = map[string]*developerShare{}
}

// share returns a pool of half of the whole.
func (m *memory) share() pool {
	s, l := m.whole.small.size/2, m.whole.large.size/2
	return pool{budget{size: s, free: s}, budget{size: l, free: l}}
}

// hold is what one request holds. From the shares it takes what it may come to, in
// three steps and waiting with empty hands, so that requests of one token never
// wait for each other in a circle. From the whole, which is everybody's, it takes
// what has arrived, at most twice that while a buffer grows: nothing is kept from
// others for bytes that may never come.
type hold struct {
	m         *memory
	token     *pool // nil: it has no share of its own
	developer *developerShare
	name      string // of the developer
	claimed   int64  // from each share
	n         int64  // from the whole
}

// hold begins a request of who, for developer unless that is "".
func (m *memory) hold(who *principal, developer string) hold {
	h := hold{m: m, token: who.share, name: developer}
	if developer == "" {
		return h
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.developer = m.developers[developer]; h.developer == nil {
		h.developer = &developerShare{pool: m.share()}
		m.developers[developer] = h.developer
	}
	h.developer.users++
	return h
}

// grow makes it n bytes, of a request that may come to most. After an error the request
// is refused, and its room goes to whoever waits for some.
func (h *hold) grow(ctx context.Context, n, most int64) error {
	n = max(n, least)
	if n > h.claimed {
		if err := h.claim(ctx, n, max(most, n)); err != nil {
			return err
		}
	}
	from, to := h.m.whole.of(h.n), h.m.whole.of(n)
	more, wait := n, h.m.wait
	if h.n > 0 {
		wait = 0 // somebody would wait for what this one holds
	}
	if from == to {
		more -= h.n
	}
	if err := to.take(ctx, more, wait); err != nil {
		return tooMuch(err, 503, "busy", "too many bodies are on their way at a time")
	}
	if from != to {
		from.give(h.n)
	}
	h.n = n
	return nil
}

// all makes it the n bytes of a body that is read from the store. It may be larger than
// today's limit, which was lowered since.
func (h *hold) all(ctx context.Context, n int64) error {
	n = min(n, h.m.batch)
	return h.grow(ctx, n, n)
}

// claim takes from the shares what a request of n bytes so far may come to.
func (h *hold) claim(ctx context.Context, n, most int64) error {
	h.unclaim()
	switch {
	case n <= first:
		n = min(first, most)
	case n <= small:
		n = min(small, most)
	default:
		n = most
	}
	until := time.Now().Add(h.m.wait)
	if h.token != nil {
		if err := h.token.of(n).take(ctx, n, h.m.wait); err != nil {
			return tooMuch(err, 429, "busy_token", "the token has as many bodies on their way as it may have at a time: half of what there is room for")
		}
	}
	if h.developer != nil {
		if err := h.developer.of(n).take(ctx, n, time.Until(until)); err != nil {
			if h.token != nil {
				h.token.of(n).give(n)
			}
			return tooMuch(err, 429, "busy_developer", "the developer has as many bodies on their way as they may have at a time: half of what there is room for")
		}
	}
	h.claimed = n
	return nil
}

func (h *hold) unclaim() {
	if h.claimed == 0 {
		return
	}
	if h.token != nil {
		h.token.of(h.claimed).give(h.claimed)
	}
	if h.developer != nil {
		h.developer.of(h.claimed).give(h.claimed)
	}
	h.claimed = 0
}

// release gives all of it back.
func (h *hold) release() {
	h.unclaim()
	if h.n > 0 {
		h.m.whole.of(h.n).give(h.n)
		h.n = 0
	}
	if h.developer == nil {
		return
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.developer.users--; h.developer.users == 0 {
		delete(h.m.developers, h.name)
	}
	h.developer = nil
}

func tooMuch(err error, status int, code, message string) error {
	if !errors.Is(err, errBusy) {
		return err
	}
	return &ingest.Refusal{Status: status, Code: code, Message: message, RetryAfter: time.Second}
}
