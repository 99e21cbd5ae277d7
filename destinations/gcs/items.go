package gcs

import (
	"fmt"
	"iter"
	"sync"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// parallel is how many objects of an event are written at once. It is also how
// many may fail before no more are begun: one that fails alone must not keep
// the others back, and a bucket that fails for all of them is asked no further.
const parallel = 8

// sendAll calls send for each of objects and returns the receipt and error of
// the gravest failure, else of the last success. It returns when all that it
// began is done. Objects of one first key go one after the other, in the order
// of the event: which of them gets the key must not be a matter of luck.
func sendAll(objects iter.Seq[object], send func(object) (destination.Receipt, error)) (destination.Receipt, error) {
	next, stop := iter.Pull(objects)
	defer stop()
	first, _ := next()
	o, more := next()
	if !more { // nearly always: no goroutine
		return send(first)
	}
	b := batch{send: send, slots: make(chan struct{}, parallel), last: map[string]chan struct{}{}}
	b.start(first)
	for ; more && b.healthy(); o, more = next() {
		b.start(o)
	}
	b.running.Wait()
	if b.panicked != nil {
		panic(b.panicked) // in the goroutine of the caller, who expects it there
	}
	if b.failed > 0 {
		return b.receipt, fmt.Errorf("%d objects of the event are written, %d failed: %w", b.done, b.failed, b.err)
	}
	return b.receipt, nil
}

// batch is a sendAll under way.
type batch struct {
	send    func(object) (destination.Receipt, error)
	slots   chan struct{}
	last    map[string]chan struct{} // by first key: closed when the last one so far has ended
	running sync.WaitGroup

	mu           sync.Mutex
	done, failed int
	receipt      destination.Receipt
	err          error
	panicked     any
}

// start sends o as soon as fewer than parallel are on their way.
func (b *batch) start(o object) {
	b.slots <- struct{}{}
	before, ended := b.last[o.keys[0]], make(chan struct{})
	b.last[o.keys[0]] = ended
	b.running.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				b.mu.Lock()
				b.panicked = v
				b.mu.Unlock()
			}
			close(ended)
			<-b.slots
		}()
		if before != nil {
			<-before
		}
		r, err := b.send(o)
		b.note(r, err)
	})
}

func (b *batch) healthy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed < parallel && b.panicked == nil
}

func (b *batch) note(r destination.Receipt, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.done++
		if b.failed == 0 {
			b.receipt = r
		}
	case b.failed == 0 || graver(err, b.err):
		b.receipt, b.err = r, err
		fallthrough
	default:
		b.failed++
	}
}

// graver orders failures by what must happen first: what holds the destination
// goes before what waits, and what may still succeed before what never will, or
// the rest of the event would be given up with it.
func graver(a, b error) bool {
	order := [...]int{destination.Misconfigured: 3, destination.Throttled: 2, destination.Transient: 1, destination.Rejected: 0}
	classA, waitA := destination.ClassOf(a)
	classB, waitB := destination.ClassOf(b)
	if classA == classB {
		return waitA > waitB
	}
	return order[classA] > order[classB]
}
