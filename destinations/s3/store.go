package s3

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// width is how many objects of one event are stored at once.
const width = 8

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
	var (
		t      = &tally{}
		all    sync.WaitGroup
		slots  = make(chan struct{}, width)
		before = map[string]chan struct{}{} // by first key: closed when the last one of it so far has ended
	)
	for o := range b.objects(e) {
		slots <- struct{}{}
		if t.stopped() {
			break
		}
		previous, ended := before[o.keys[0]], make(chan struct{})
		before[o.keys[0]] = ended
		all.Go(func() {
			defer func() { close(ended); <-slots }()
			if previous != nil {
				<-previous
			}
			how, err := b.place(ctx, o)
			t.add(how, err)
		})
	}
	all.Wait()
	return t, t.err
}

// tally counts what became of the objects of one event.
type tally struct {
	mu    sync.Mutex
	count [outcomes]int
	err   error // the first; a lasting one only if there is no other
}

func (t *tally) add(how outcome, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.count[how]++
	case t.err == nil || rejected(t.err) && !rejected(err):
		t.err = err
	}
}

// stopped tells whether the rest of the event need not be tried: the bucket has
// failed. An item that it will never take does not keep the others out.
func (t *tally) stopped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err != nil && !rejected(t.err)
}

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
