package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestARetryByHandIsARoundOfItsOwn: destinations are told what was started again
// by hand from what an answer was lost of, over a restart too.
func TestARetryByHandIsARoundOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		var seen []string
		var down atomic.Bool
		down.Store(true)
		f.answer = func(_ context.Context, d destination.Delivery) error {
			seen = append(seen, fmt.Sprint(d.Round, ".", d.Attempt))
			if down.Load() {
				return errors.New("the answer was lost")
			}
			return nil
		}
		r.start()
		it := r.accept(id)[0]
		pass(time.Minute) // the schedule's first wait is 30 s
		down.Store(false)
		r.move(store.Retry, it) // brought forward: it has not ended
		settleDown()
		r.wantState(it, store.Delivered)
		down.Store(true)
		r.move(store.Retry, it)
		settleDown()
		r.close()
		r.open()
		r.targets[id].Current.Destination = &far{name: "a", rig: r, answer: f.answer}
		r.start()
		defer r.close()
		down.Store(false)
		pass(time.Minute)
		r.wantState(it, store.Delivered)
		if got := fmt.Sprint(seen); got != "[0.1 0.2 0.1 1.1 1.2]" {
			t.Errorf("rounds and attempts are %s", got)
		}
	})
}
