package objectkey

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
)

// tolerated is how many objects of an event may fail before no more are begun:
// one that fails alone must not keep the others back, and a bucket that fails for
// all of them is asked no further.
const tolerated = fanout.Width

// PlaceAll stores the objects of one event with place, several at once, and
// returns what became of them, with the receipt and error of the gravest failure,
// else of the last success. It returns when all that it began is done. Objects of
// one first key go one after the other, in the order of the event: which of them
// gets the key must not be a matter of luck, and they would lose races to each
// other.
func PlaceAll(ctx context.Context, objects iter.Seq[Object], place func(Object) (destination.Receipt, Outcome, error)) (destination.Receipt, error) {
	var t tally
	order := fanout.Order[Object]{Width: fanout.Width, Key: func(o Object) string { return o.Keys[0] }}
	fanout.Each(objects, order, func(o Object) (placed, error) {
		if err := ctx.Err(); err != nil {
			return placed{}, fmt.Errorf("store %s: %w", o.Keys[0], err)
		}
		r, how, err := place(o)
		return placed{r, how}, err
	}, t.add)
	return t.end()
}

type placed struct {
	receipt destination.Receipt
	how     Outcome
}

// tally is what became of the objects of one event so far.
type tally struct {
	count        [outcomes]int
	done, failed int
	receipt      destination.Receipt
	err          error
}

func (t *tally) add(_ Object, p placed, err error) (more bool) {
	switch {
	case err == nil:
		t.done++
		t.count[p.how]++
		if t.failed == 0 {
			t.receipt = p.receipt
		}
	case t.failed == 0 || graver(err, t.err):
		t.receipt, t.err = p.receipt, err
		fallthrough
	default:
		t.failed++
	}
	return t.failed < tolerated
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

func (t *tally) end() (destination.Receipt, error) {
	for how, n := range t.count {
		if Outcome(how).unguarded() {
			t.receipt.Unguarded += n
		}
	}
	switch {
	case t.failed == 0:
		t.receipt.Answer = t.String()
	case t.done+t.failed > 1:
		t.err = fmt.Errorf("%d objects of the event are stored, %d failed: %w", t.done, t.failed, t.err)
	}
	return t.receipt, t.err
}

// String is what the log shows of an attempt.
func (t *tally) String() string {
	var parts []string
	for how, n := range t.count {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, Outcome(how)))
		}
	}
	return strings.Join(parts, ", ")
}
