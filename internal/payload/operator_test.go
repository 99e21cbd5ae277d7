package payload

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// bucket is a store that fails as the test says.
type bucket struct {
	mu     sync.Mutex
	fault  error
	wait   time.Duration
	checks int
	ttl    time.Duration
}

func (b *bucket) call(ctx context.Context) error {
	b.mu.Lock()
	fault, wait := b.fault, b.wait
	b.mu.Unlock()
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fault
}
func (b *bucket) checked() int    { b.mu.Lock(); defer b.mu.Unlock(); return b.checks }
func (b *bucket) set(fault error) { b.mu.Lock(); defer b.mu.Unlock(); b.fault = fault }
func (b *bucket) Put(ctx context.Context, _ string, _ event.Payload) error {
	return b.call(ctx)
}
func (b *bucket) Link(ctx context.Context, _, _ string, ttl time.Duration) (destination.Link, error) {
	b.ttl = ttl
	return destination.Link{URL: "https://bucket.example/x", Expires: time.Now().Add(ttl)}, b.call(ctx)
}
func (b *bucket) Check(ctx context.Context) error {
	b.mu.Lock()
	b.checks++
	b.mu.Unlock()
	return b.call(ctx)
}

type observed struct {
	*Operator
	bucket *bucket
	log    *strings.Builder
}

func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetGauge().GetValue() + d.GetCounter().GetValue()
}

func operator(t *testing.T) observed {
	t.Helper()
	b, log := &bucket{}, &strings.Builder{}
	return observed{NewOperator(b, prometheus.NewPedanticRegistry(), slog.New(slog.NewTextHandler(log, nil))), b, log}
}

func (o observed) wantUp(t *testing.T, up bool) {
	t.Helper()
	want := 0.0
	if up {
		want = 1
	}
	if got := value(t, o.up); got != want {
		t.Errorf("fantail_payload_store_up is %v, want %v", got, want)
	}
	if _, reason := o.Down(); (reason == nil) != up {
		t.Errorf("down because of %v", reason)
	}
}

func TestFaultsOfTheStoreAreTheOperators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operator(t)
		p := some(time.Now(), -1, "body")
		for _, fault := range []error{
			errors.New("put to bucket our-internal-name: key AKIA1234: refused"),
			destination.Misconfigure(errors.New("our-internal-name: no such bucket")),
			destination.Reject(errors.New("our-internal-name: too large")),
			destination.Throttle(errors.New("our-internal-name: slow down"), time.Hour),
		} {
			o.bucket.set(fault)
			err := o.Put(t.Context(), "acme", p)
			_, linkErr := o.Link(t.Context(), "acme", p.ID, time.Hour)
			for _, err := range []error{err, linkErr} {
				if class, _ := destination.ClassOf(err); !errors.Is(err, destination.ErrEngine) || class != destination.Transient {
					t.Errorf("%v is of class %v: it would burn attempts, or hold the destination", err, class)
				}
				if strings.Contains(err.Error(), "our-internal") {
					t.Errorf("a developer would read %q", err)
				}
			}
			o.wantUp(t, false)
		}
		if _, reason := o.Down(); !strings.Contains(reason.Error(), "our-internal-name") || strings.Count(o.log.String(), "our-internal-name") != 1 {
			t.Errorf("the operator reads %v, the log %s", reason, o.log)
		}
		if n := value(t, o.failures.WithLabelValues("put")); n != 4 {
			t.Errorf("%v failures are counted", n)
		}
		o.bucket.set(nil)
		if err := o.Put(t.Context(), "acme", p); err != nil {
			t.Fatal(err)
		}
		o.wantUp(t, true)
		if !strings.Contains(o.log.String(), "works again") {
			t.Errorf("log %s", o.log)
		}
	})
}

func TestAttemptsThatEndSayNothingOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operator(t)
		o.bucket.wait = time.Hour
		p := some(time.Now(), -1, "body")
		short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := o.Put(short, "acme", p); !errors.Is(err, destination.ErrEngine) {
			t.Errorf("%v would burn an attempt", err)
		}
		o.wantUp(t, true)
		stopped, stop := context.WithCancel(t.Context())
		stop()
		if err := o.Put(stopped, "acme", p); !errors.Is(err, destination.ErrEngine) {
			t.Errorf("%v would burn an attempt", err)
		}
		o.wantUp(t, true)
		long, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := o.Put(long, "acme", p); !errors.Is(err, destination.ErrEngine) {
			t.Errorf("%v would burn an attempt", err)
		}
		o.wantUp(t, false)
	})
}

func TestAnInvalidIDSaysNothingOfTheStore(t *testing.T) {
	o := operator(t)
	for _, c := range [][2]string{{"acme", "x"}, {"..", eventID}} {
		_, linkErr := o.Link(t.Context(), c[0], c[1], time.Hour)
		_, hasErr := o.Has(t.Context(), c[0], c[1])
		for _, err := range []error{o.Put(t.Context(), c[0], event.Payload{ID: c[1]}), linkErr, hasErr} {
			if err == nil || errors.Is(err, destination.ErrEngine) {
				t.Errorf("%q: %v", c, err)
			}
		}
	}
	o.wantUp(t, true)
	if _, err := o.Has(t.Context(), "acme", eventID); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a store that cannot tell: %v", err)
	}
}

// The true end of a link is the soonest of what was asked for, a week, and the
// payload's own.
func TestLinksEndWithTheirPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operator(t)
		const day = 24 * time.Hour
		time.Sleep(day - time.Minute) // a minute before midnight
		for _, c := range []struct{ keep, age, ask, want time.Duration }{
			{0, 0, time.Hour, time.Hour},
			{0, 1000 * day, 30 * day, MaxTTL},
			{10 * day, 0, 30 * day, MaxTTL},
			{10 * day, 5 * day, 30 * day, 5*day + time.Minute}, // it lives to the end of its tenth day
			{10 * day, 5 * day, time.Hour, time.Hour},
			{10 * day, 10 * day, time.Hour, time.Minute},
			{10 * day, 11 * day, time.Hour, 0},
			{10 * day, 0, 0, 0},
		} {
			o.SetRetention(c.keep)
			id := some(time.Now().Add(-c.age), -1, "body").ID
			o.bucket.ttl = 0
			link, err := o.Link(t.Context(), "acme", id, c.ask)
			if c.want == 0 {
				if !errors.Is(err, ErrGone) || errors.Is(err, destination.ErrEngine) {
					t.Errorf("%+v: %v, %v", c, link, err)
				}
				continue
			}
			if err != nil || o.bucket.ttl != c.want || !link.Expires.Equal(time.Now().Add(c.want)) {
				t.Errorf("%+v: %v, %v, %v", c, o.bucket.ttl, link, err)
			}
		}
		o.wantUp(t, true)
	})
}

func TestWatchFindsOutThatTheStoreIsDownAndThatItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := operator(t)
		o.bucket.set(errors.New("nobody there"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); o.Watch(ctx) }()
		synctest.Wait()
		o.wantUp(t, false)
		time.Sleep(10 * time.Minute)
		if n := o.bucket.checked(); n < 10 || n > 20 {
			t.Errorf("%d checks in ten minutes", n)
		}
		o.bucket.set(nil)
		time.Sleep(checkMost + time.Second)
		o.wantUp(t, true)
		n := o.bucket.checked()
		time.Sleep(time.Hour)
		if o.bucket.checked() != n {
			t.Error("a store that works is checked on and on")
		}
		o.bucket.set(errors.New("gone again"))
		_ = o.Put(t.Context(), "acme", some(time.Now(), -1, "body"))
		o.wantUp(t, false)
		o.bucket.set(nil)
		time.Sleep(3 * checkFirst)
		o.wantUp(t, true)
		cancel()
		<-done
	})
}
