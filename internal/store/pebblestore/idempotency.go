package pebblestore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// idempotency knows the keys whose first event is not durable yet. A key is
// claimed before it is looked up, so that of two callers one stores and the
// other waits for what comes of it.
type idempotency struct {
	mu     sync.Mutex
	flying map[idemHash]*claim
	oldest atomic.Uint32 // no stored key lies under an earlier day
}

type bodyHash [16]byte

// first is what is said about the first event with a key.
type first struct {
	id        event.ID
	reference string
	fanout    int
}

// claim is a key in flight. What follows done is set before done is closed.
type claim struct {
	hash idemHash
	body bodyHash
	done chan struct{}

	first first
	ok    bool // first is durable; else whoever waits claims the key
}

func newClaim(e *store.Entry) *claim {
	h := keys.Hash(e.Event.Developer, e.IdempotencyKey)
	b := sha256.Sum256(e.Event.Body)
	return &claim{hash: idemHash(h[:16]), body: bodyHash(b[:16]), done: make(chan struct{})}
}

// appendIdem is the value of a key. It holds all that a duplicate is told, because a key may
// outlive its event.
func appendIdem(b []byte, f *first, body bodyHash) []byte {
	b = append(append(append(b, rowVersion), f.id[:]...), body[:]...)
	return appendText(binary.AppendUvarint(b, uint64(f.fanout)), f.reference)
}

func readIdem(v []byte) (f first, body bodyHash, err error) {
	d := decoder{b: v}
	d.version()
	copy(f.id[:], d.take(16))
	copy(body[:], d.take(16))
	f.fanout = int(d.uint(1<<31 - 1))
	f.reference = d.text()
	return f, body, d.end()
}

// wait is an entry whose key another caller has claimed.
type wait struct {
	at    int
	own   *claim
	first *claim
}

// appendKeyed commits fresh and the entries of keyed that are new, then waits for the keys
// that were in flight. It never waits while it holds claims of its own: two batches that name
// each other's keys would wait for ever.
func (s *Store) appendKeyed(ctx context.Context, now time.Time, batch []*store.Entry, keyed []int, fresh []fresh, out []store.Appended) error {
	for len(keyed) > 0 || len(fresh) > 0 {
		var waits []wait
		var mine []*claim
		for _, i := range keyed {
			c := newClaim(batch[i])
			if w := s.idem.take(c); w != nil {
				waits = append(waits, wait{i, c, w})
				continue
			}
			known, err := s.lookup(now, c)
			if known == nil && err == nil {
				known, err = s.knownEvent(now, batch[i], c)
			}
			if err != nil {
				s.idem.settle(append(mine, c), false)
				return err
			}
			if known == nil {
				mine = append(mine, c)
				fresh = appendFresh(fresh, i, batch[i], c)
				continue
			}
			same := known.body == c.body
			c.first, c.body = known.first, known.body
			s.idem.settle([]*claim{c}, true)
			out[i] = duplicate(c.first, same)
		}
		err := s.commit(ctx, now, fresh, out)
		s.idem.settle(mine, err == nil)
		if err != nil {
			return err
		}
		fresh, keyed = fresh[:0], keyed[:0:0]
		for _, w := range waits {
			<-w.first.done
			if w.first.ok {
				out[w.at] = duplicate(w.first.first, w.first.body == w.own.body)
			} else {
				keyed = append(keyed, w.at)
			}
		}
		if len(keyed) > 0 {
			if err := s.Ready(); err != nil {
				return err
			}
		}
	}
	return nil
}

func duplicate(f first, same bool) store.Appended {
	if !same {
		return store.Appended{Err: store.ErrIdempotencyMismatch}
	}
	return store.Appended{ID: f.id, Reference: f.reference, Fanout: f.fanout, Duplicate: true}
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
	if len(cs) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range cs {
		c.ok = ok
		delete(x.flying, c.hash)
		close(c.done)
	}
}

// lookup finds the stored key of c, newest day first. Bloom filters answer for
// the days that do not have it.
func (s *Store) lookup(now time.Time, c *claim) (*claim, error) {
	var k [1 + 2 + 16]byte
	s.append.mu.Lock()
	newest := max(event.DayOf(now), s.append.ids.Newest().Day())
	s.append.mu.Unlock()
	for day := int(newest); day >= int(s.idem.oldest.Load()); day-- {
		v, err := s.get(idemKey(k[:0], event.Day(day), c.hash))
		if err != nil {
			return nil, fmt.Errorf("look up idempotency key: %w", err)
		}
		if v == nil {
			continue
		}
		f, body, err := readIdem(v)
		if err != nil {
			return nil, fmt.Errorf("look up idempotency key: %w", err)
		}
		return &claim{body: body, first: f}, nil
	}
	return nil, nil
}

// stored notes that a key lies under day.
func (x *idempotency) stored(day event.Day) {
	for {
		old := x.oldest.Load()
		if uint32(day) >= old || x.oldest.CompareAndSwap(old, uint32(day)) {
			return
		}
	}
}

// loadIdempotency finds the oldest day with a key.
func (s *Store) loadIdempotency() error {
	day, err := s.firstDay(kindIdem)
	s.idem.oldest.Store(uint32(day))
	return err
}

// firstDay returns the day of the first key of that kind, 65,535 if there is none.
func (s *Store) firstDay(kind byte) (event.Day, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return 0, err
	}
	day := event.Day(1<<16 - 1)
	if it.First() && len(it.Key()) >= 3 {
		day = event.Day(be.Uint16(it.Key()[1:]))
	}
	return day, it.Close()
}
