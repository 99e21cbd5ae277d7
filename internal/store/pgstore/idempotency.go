package pgstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// idempotency knows the keys that are in flight in this daemon. A key is claimed before it is
// looked up, so that of two callers one stores and the other waits for the result. Between two
// daemons, the unique index decides which was first.
type idempotency struct {
	mu     sync.Mutex
	flying map[[16]byte]*claim
}

// first is what is said about the first event with a key.
type first struct {
	id        event.ID
	reference string
	fanout    int
}

// claim is a key in flight. What follows done is set before done is closed.
type claim struct {
	hash [16]byte
	body [16]byte
	done chan struct{}

	entry *store.Entry
	named event.ID // the event whose id the key is, if it is one

	first first
	ok    bool // first is durable; else whoever waits claims the key
}

func newClaim(e *store.Entry) *claim {
	h := keys.Hash(e.Event.Developer, e.IdempotencyKey)
	b := sha256.Sum256(e.Event.Body)
	named, _ := event.ParseID(e.IdempotencyKey) // zero: it is none
	return &claim{hash: [16]byte(h[:16]), body: [16]byte(b[:16]), done: make(chan struct{}), entry: e, named: named}
}

// take claims the key of c or returns the claim that holds it.
func (x *idempotency) take(c *claim) *claim {
	x.mu.Lock()
	defer x.mu.Unlock()
	if other := x.flying[c.hash]; other != nil {
		return other
	}
	x.flying[c.hash] = c
	return nil
}

func (x *idempotency) settle(cs []*claim, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range cs {
		c.ok = ok
		delete(x.flying, c.hash)
		close(c.done)
	}
}

// wait is an entry whose key another caller has claimed.
type wait struct {
	at    int
	own   *claim
	first *claim
}

// appendAll commits the new entries of batch, then waits for the keys that were in flight. It
// never waits while it holds claims of its own: two batches that name each other's keys would
// wait for ever.
//
// The answer about a known key waits for a commit too. Its row can be visible and not durable,
// when the wait for the standby was broken off. Our commit comes after it, and is durable no
// earlier.
func (s *Store) appendAll(ctx context.Context, like call, batch []*store.Entry) ([]store.Appended, error) {
	out := make([]store.Appended, len(batch))
	todo := make([]int, len(batch))
	for i := range todo {
		todo[i] = i
	}
	for alone := false; len(todo) > 0; {
		c := &call{now: like.now, as: like.as, claims: like.claims, out: out, alone: alone}
		claims, waits, err := s.claim(ctx, c, batch, todo)
		if err != nil {
			return nil, err
		}
		if len(c.entries) > 0 || c.barrier {
			err = s.commit(ctx, c)
		}
		s.idem.settle(claims, err == nil)
		switch {
		case errors.Is(err, errContended): // nothing of it was stored; entries with keys go alone now
			alone = len(claims) > 0
		case err != nil:
			return nil, err
		default:
			todo = todo[:0:0]
			for _, w := range waits {
				<-w.first.done
				if w.first.ok {
					out[w.at] = duplicate(w.first.first, w.first.body == w.own.body)
				} else {
					todo = append(todo, w.at)
				}
			}
		}
		if len(todo) > 0 {
			if err := s.Ready(); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// claim sorts the entries. Those that are to be stored go into c, those whose key is known are
// answered as duplicates, and those whose key is in flight are returned as waits.
func (s *Store) claim(ctx context.Context, c *call, batch []*store.Entry, todo []int) (claims []*claim, waits []wait, err error) {
	var at []int
	for _, i := range todo {
		if batch[i].IdempotencyKey == "" {
			c.add(i, batch[i], nil)
			continue
		}
		k := newClaim(batch[i])
		if w := s.idem.take(k); w != nil {
			waits = append(waits, wait{i, k, w})
		} else {
			claims, at = append(claims, k), append(at, i)
		}
	}
	known, err := s.lookup(ctx, claims)
	if err != nil {
		s.idem.settle(claims, false)
		return nil, nil, err
	}
	for j, k := range claims {
		if other := known[k.hash]; other != nil {
			same := other.body == k.body
			k.first, k.body = other.first, other.body // who waits for it is told the same
			c.barrier = true
			c.out[at[j]] = duplicate(k.first, same)
		} else {
			c.add(at[j], batch[at[j]], k)
		}
	}
	return claims, waits, nil
}

// duplicate answers a key that is known. Whether the body is the same, the database of the event
// says, if that is another one.
func duplicate(f first, same bool) store.Appended {
	if !same && f.fanout >= 0 {
		return store.Appended{Err: store.ErrIdempotencyMismatch}
	}
	return store.Appended{ID: f.id, Reference: f.reference, Fanout: f.fanout, Duplicate: true}
}

// lookup finds the keys that are stored.
func (s *Store) lookup(ctx context.Context, claims []*claim) (map[[16]byte]*claim, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	hashes := make([][]byte, len(claims))
	for i, c := range claims {
		hashes[i] = c.hash[:]
	}
	known := map[[16]byte]*claim{}
	err := s.reading(ctx, func(q query) error {
		return q.each(sqlKeys, []any{hashes}, func(scan func(...any) error) error {
			var k claim
			var hash, body []byte
			if err := scan(&hash, &body, (*[16]byte)(&k.first.id), &k.first.fanout, text{&k.first.reference}); err != nil {
				return err
			}
			if len(hash) != len(k.hash) || len(body) != len(k.body) {
				return errRow
			}
			k.hash, k.body = [16]byte(hash), [16]byte(body)
			known[k.hash] = &k
			return nil
		})
	})
	if err == nil {
		err = s.lookupEvents(ctx, claims, known)
	}
	if err != nil {
		return nil, fmt.Errorf("look up idempotency keys: %w", err)
	}
	return known, nil
}
