package gcs

import (
	"fmt"
	"iter"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
)

// tolerated is how many objects of an event may fail before no more are begun:
// one that fails alone must not keep the others back, and a bucket that fails for
// all of them is asked no further.
const tolerated = fanout.Width

// sendAll calls send for each of objects and returns the receipt and error of
// the gravest failure, else of the last success. It returns when all that it
// began is done. Objects of one first key go one after the other, in the order
// of the event: which of them gets the key must not be a matter of luck.
func sendAll(objects iter.Seq[object], send func(object) (destination.Receipt, error)) (destination.Receipt, error) {
	var b batch
	order := fanout.Order[object]{Width: fanout.Width, Key: func(o object) string { return o.keys[0] }}
	fanout.Each(objects, order, send, b.note)
	if b.failed > 0 && b.done+b.failed > 1 {
		return b.receipt, fmt.Errorf("%d objects of the event are written, %d failed: %w", b.done, b.failed, b.err)
	}
	return b.receipt, b.err
}

// batch is what became of the objects of one event so far.
type batch struct {
	done, failed int
	receipt      destination.Receipt
	err          error
}

func (b *batch) note(_ object, r destination.Receipt, err error) (more bool) {
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
	return b.failed < tolerated
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
