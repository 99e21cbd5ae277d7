package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestPanicIsAFailure, in the goroutine of Send or, as an error, in another. The
// text of a panic may be a secret.
func TestPanicIsAFailure(t *testing.T) {
	boom := func() error { panic("hunter2") }
	for answer, panics := range map[string]func() error{
		"destination panicked": boom,
		"<Error>no</Error>":    func() error { return destination.Guard(boom) },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			id, f := r.add("acme", "a")
			f.answer = func(context.Context, destination.Delivery) error { return panics() }
			r.start()
			defer r.close()
			it := r.accept(id)
			settleDown()
			f.set(nil)
			d, as := r.record(it[0])
			if d.State != store.Pending || d.Attempts != 1 || len(as) != 1 || as[0].Answer != answer || as[0].Class != "transient" {
				t.Errorf("%+v %+v", d, as)
			}
			if log := r.log.String(); !strings.Contains(log, "a destination panicked") || !strings.Contains(log, "outcome_test.go") || strings.Contains(log, "hunter2") {
				t.Errorf("log: %s", log)
			}
			pass(time.Minute)
			r.wantState(it[0], store.Delivered)
		})
	}
}

func TestTimeoutIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = hang
		r.start()
		defer r.close()
		it := r.accept(id)
		pass(31 * time.Second)
		if d, as := r.record(it[0]); d.Attempts != 1 || as[0].Took != 30*time.Second || !strings.Contains(as[0].Answer, "no answer within 30s") {
			t.Errorf("%+v %+v", d, as)
		}
	})
}

func TestRejectedIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = func(context.Context, destination.Delivery) error {
			return destination.Reject(errors.New("user_id too long\x1b[31m"))
		}
		r.start()
		defer r.close()
		it := r.accept(id)
		settleDown()
		if d, _ := r.record(it[0]); d.State != store.Dead || d.Reason != `rejected: user_id too long\x1b[31m` {
			t.Errorf("%+v", d)
		}
	})
}

func TestEngineFaultBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = func(context.Context, destination.Delivery) error {
			return fmt.Errorf("put: %w", destination.ErrEngine)
		}
		r.start()
		defer r.close()
		it := r.accept(id)
		pass(10 * time.Minute)
		hits := f.seen()
		if n := len(hits); n < 10 || n > 20 {
			t.Errorf("%d attempts in 10 m", n)
		}
		d, _ := r.record(it[0])
		if d.State != store.Pending || d.Attempts != 0 || hits[len(hits)-1].attempt != 1 {
			t.Errorf("%+v", d)
		}
		f.set(nil)
		pass(time.Minute)
		r.wantState(it[0], store.Delivered)
	})
}
