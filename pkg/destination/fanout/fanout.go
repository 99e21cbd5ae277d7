// Package fanout does the work of many items, a few at a time. A kind starts
// goroutines by it and in no other way: a panic in a goroutine that nobody
// recovers ends the process, and with it everybody's deliveries.
package fanout

import (
	"errors"
	"iter"
	"sync"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Width is how many items of one attempt the kinds of this project do at once.
const Width = 8

// Order says how items are worked on.
type Order[T any] struct {
	// Width is how many at once, at least 1.
	Width int
	// Key, if there is one, names what an item must not share: those of one key
	// are done one after the other, in the order of items.
	Key func(T) string
}

// errUnfinished is the error of work that ended its goroutine instead of
// returning, as a failing test does.
var errUnfinished = errors.New("the work ended without a result")

// Each calls work for every item, in their order, and done with what came of it,
// as soon as it came. It returns when all that it began has ended. When done
// returns false, no more items are begun.
//
// Items and done are called in the goroutine of the caller, done for one item at
// a time, so that neither needs a lock. A panic in work is the error of that item
// alone, a [destination.Panic]; one in items or done is the caller's, who gets it
// when what was begun has ended. Of a single item, no goroutine is made.
func Each[T, R any](items iter.Seq[T], o Order[T], work func(T) (R, error), done func(T, R, error) bool) {
	o.Width = max(o.Width, 1)
	e := each[T, R]{Order: o, work: work, done: done, ended: make(chan result[T, R], o.Width), last: map[string]chan struct{}{}}
	defer e.workers.Wait()
	var next T
	have := false
	for item := range items {
		if have {
			e.begin(next)
		}
		if next, have = item, true; e.stopped {
			break
		}
	}
	if have {
		e.finish(next)
	}
	for e.running > 0 {
		e.settle()
	}
}

// each is a fan-out under way.
type each[T, R any] struct {
	Order[T]
	work    func(T) (R, error)
	done    func(T, R, error) bool
	ended   chan result[T, R] // has room for all that run
	workers sync.WaitGroup
	running int
	last    map[string]chan struct{} // by key: closed when the last item of it so far has ended
	stopped bool
}

type result[T, R any] struct {
	item  T
	value R
	err   error
}

// begin starts the work on an item as soon as there is room.
func (e *each[T, R]) begin(item T) {
	if e.room(); e.stopped {
		return
	}
	before, ended := e.turn(item)
	e.running++
	e.workers.Go(func() {
		r := result[T, R]{item: item, err: errUnfinished}
		defer func() {
			close(ended)
			e.ended <- r
		}()
		<-before
		r = e.do(item)
	})
}

// finish does the last item in the goroutine of the caller.
func (e *each[T, R]) finish(item T) {
	if e.room(); e.stopped {
		return
	}
	before, _ := e.turn(item)
	<-before
	e.report(e.do(item))
}

func (e *each[T, R]) do(item T) (r result[T, R]) {
	r.item = item
	r.err = destination.Guard(func() (err error) { r.value, err = e.work(item); return err })
	return r
}

// room waits until fewer than Width are on their way, and hears of all that ended.
func (e *each[T, R]) room() {
	for e.running >= e.Width || len(e.ended) > 0 {
		e.settle()
	}
}

// free is what an item waits for that has nothing to wait for.
var free = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// turn returns what item waits for, and what the next one of its key then does.
func (e *each[T, R]) turn(item T) (before, ended chan struct{}) {
	before, ended = free, make(chan struct{})
	if e.Key == nil {
		return before, ended
	}
	key := e.Key(item)
	if last := e.last[key]; last != nil {
		before = last
	}
	e.last[key] = ended
	return before, ended
}

// settle waits for one item to end.
func (e *each[T, R]) settle() {
	r := <-e.ended
	e.running--
	e.report(r)
}

func (e *each[T, R]) report(r result[T, R]) {
	if !e.done(r.item, r.value, r.err) {
		e.stopped = true
	}
}
