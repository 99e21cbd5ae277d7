package s3

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// object is one payload as it is stored, before any compression.
type object struct {
	keys []string // to try in order
	meta objectkey.Metadata
	body []byte
}

// objects yields what is stored of e.
func (b *bucket) objects(e *event.Event) iter.Seq[*object] {
	return func(yield func(*object) bool) {
		names := b.layout.Of(e)
		for p := range b.catalogue.Payloads(e) {
			if b.items {
				if item, ok := b.catalogue.Item(e, p); ok {
					p.Body = item
				}
			}
			o := names.Object(p)
			if !yield(&object{o.Keys, o.Meta, p.Body}) {
				return
			}
		}
	}
}

// store stores every object of e, several at once. Those of one first key go
// one after the other, in the order of the event: which of them gets the key
// must not be a matter of luck, and they would lose races to each other.
func (b *bucket) store(ctx context.Context, e *event.Event) (*tally, error) {
	t := &tally{}
	order := fanout.Order[*object]{Width: fanout.Width, Key: func(o *object) string { return o.keys[0] }}
	fanout.Each(b.objects(e), order, func(o *object) (outcome, error) { return b.place(ctx, o) }, t.add)
	return t, t.err
}

// tally counts what became of the objects of one event.
type tally struct {
	count [outcomes]int
	err   error // what says most: a lasting one only if there is no other, a panic only if there is none but those
}

// add tells whether the rest of the event need be tried: not if the bucket has
// failed. An item that it will never take, and one that made us panic, does not
// keep the others out.
func (t *tally) add(_ *object, how outcome, err error) (more bool) {
	switch {
	case err == nil:
		t.count[how]++
	case t.err == nil || alone(t.err) && !rejected(err):
		t.err = err
	}
	return t.err == nil || alone(t.err)
}

// alone tells whether err says nothing of the other objects.
func alone(err error) bool { return rejected(err) || destination.PanicOf(err) != nil }

func rejected(err error) bool {
	class, _ := destination.ClassOf(err)
	return class == destination.Rejected
}

// String is what the log shows of an attempt.
func (t *tally) String() string {
	var parts []string
	for how, n := range t.count {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, outcome(how)))
		}
	}
	return strings.Join(parts, ", ")
}
