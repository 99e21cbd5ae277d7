package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/internal/tracing/tracingtest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const sentParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// told collects what a destination was told of traces.
type told struct {
	mu    sync.Mutex
	trace []*event.TraceContext
	done  chan struct{}
}

func (w *told) take(d destination.Delivery, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, d.Trace)
	w.done <- struct{}{}
	return err
}

// acceptTraced takes an event that goes on with trace.
func (r *rig) acceptTraced(trace *event.Trace, to ...uint32) []store.Item {
	r.t.Helper()
	e := &event.Event{Developer: "acme", Reference: "ref", Envelope: event.Envelope{Type: "sleep", UserID: "ann-42"}, Body: []byte(`{"type":"sleep"}`), Trace: trace}
	done, err := r.store.Append(context.Background(), r.now(), []*store.Entry{{Event: e, To: to}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.s.Offer(e, done[0].Items)
	return done[0].Items
}

func TestProducersTraceGoesOnWithoutTracing(t *testing.T) {
	r := newRig(t)
	w := &told{done: make(chan struct{}, 2)}
	id, f := r.add("acme", "app")
	f.set(func(_ context.Context, d destination.Delivery) error { return w.take(d, nil) })
	r.start()
	defer r.close()
	sent := event.TraceContext{Parent: sentParent, State: "a=1"}
	r.acceptTraced(&event.Trace{Sent: sent, Span: sentParent}, id) // Span: accepted while tracing was on
	<-w.done
	r.acceptTraced(&event.Trace{Span: sentParent}, id)
	<-w.done
	if got := w.trace[0]; got == nil || *got != sent {
		t.Errorf("passed on: %+v", got)
	}
	if got := w.trace[1]; got != nil {
		t.Errorf("nothing was sent, and %+v is passed on", got)
	}
}

// TestEachAttemptIsASpan, also those of a batch, and those of before the restart
// of which nothing but the store is left.
func TestEachAttemptIsASpan(t *testing.T) {
	c := tracingtest.New(t)
	var err error
	r := newRig(t)
	if r.trace, err = tracing.New(t.Context(), tracing.Options{Endpoint: c.URL + "/v1/traces", Service: "fantail", Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	w := &told{done: make(chan struct{}, 100)}
	id, f := r.add("acme", "app", func(s *Settings) { s.Timeout = time.Minute })
	bad, g := r.add("acme", "bad")
	many, b := r.bulk(10)
	b.each = func(_ int, d destination.Delivery) error { return w.take(d, nil) }
	f.set(func(_ context.Context, d destination.Delivery) error { return w.take(d, nil) })
	g.set(func(_ context.Context, d destination.Delivery) error {
		return w.take(d, destination.Throttle(errors.New("slow down"), time.Hour))
	})
	b.set(func(_ context.Context, d destination.Delivery) error { return w.take(d, nil) })
	r.build()
	var all []store.Item
	traced := &event.Trace{Sent: event.TraceContext{Parent: sentParent, State: "a=1"}, Span: "00-4bf92f3577b34da6a3ce929d0e0e4736-53995c3f42cd8ad8-01"}
	for range 12 { // before the start: they are read from the store
		all = append(all, r.acceptTraced(traced, many)...)
	}
	all = append(all, r.acceptTraced(traced, id, bad)...)
	r.acceptTraced(nil, id)
	r.acceptTraced(&event.Trace{Sent: event.TraceContext{Parent: sentParent}}, id) // accepted while tracing was off
	r.apply()
	if err := r.s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 16 {
		<-w.done
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r.s.Stop(ctx)
	r.trace.Stop(t.Context())
	r.close()

	spans := map[string]tracingtest.Span{}
	for _, s := range c.Named("attempt") {
		spans[s.Attributes["fantail.delivery"]] = s
	}
	if len(spans) != len(all) || len(c.Spans()) != len(all) {
		t.Errorf("%d spans of %d deliveries, %d in all", len(spans), len(all), len(c.Spans()))
	}
	for _, it := range all {
		s := spans[it.ID.String()]
		outcome, name := "delivered", map[uint32]string{id: "app", bad: "bad", many: "bulk"}[it.ID.Dest]
		if it.ID.Dest == bad {
			outcome = "throttled"
		}
		if a := s.Attributes; s.Trace != sentParent[3:35] || s.Parent != "53995c3f42cd8ad8" || a["fantail.developer"] != "acme" || a["fantail.destination"] != name ||
			a["fantail.kind"] != "fake" || a["fantail.attempt"] != "1" || a["fantail.outcome"] != outcome || a["fantail.event"] != it.ID.Event.String() || a["fantail.event.type"] != "sleep" {
			t.Errorf("%s: %+v", name, s)
		}
		if failed := outcome != "delivered"; s.Failed != failed || failed && s.Error != farSays {
			t.Errorf("%s: failed %t, %q", name, s.Failed, s.Error)
		}
	}
	own, others := map[string]bool{}, 0
	for _, s := range spans {
		own["00-"+s.Trace+"-"+s.ID+"-01"] = true
	}
	for _, trace := range w.trace {
		switch {
		case trace == nil || trace.Parent == sentParent && trace.State == "":
			others++
		case !own[trace.Parent] || trace.State != "a=1":
			t.Errorf("passed on: %+v", trace)
		}
		if trace != nil {
			delete(own, trace.Parent)
		}
	}
	if others != 2 || len(own) != 0 {
		t.Errorf("%d attempts have no span, and %d spans nobody was told of", others, len(own))
	}
}

// TestTracingThatIsOffAllocatesNothing: the header's text is all that an attempt needs.
func TestTracingThatIsOffAllocatesNothing(t *testing.T) {
	s := New(Options{Store: &costless{}})
	e := &event.Event{ID: event.NewID(time.Now(), 1, 1), Body: []byte("{}")}
	c := &call{attempts: []attempt{{event: e, job: &job{item: store.Item{ID: store.DeliveryID{Day: e.ID.Day(), Event: e.ID, Dest: 1}}}}}}
	id := testing.AllocsPerRun(1000, func() { _ = c.attempts[0].job.item.ID.String() })
	for _, trace := range []*event.Trace{nil, {Sent: event.TraceContext{Parent: sentParent}}} {
		e.Trace = trace
		if n := testing.AllocsPerRun(1000, func() {
			s.request(c, &c.attempts[0], time.Time{})
			c.endSpans()
		}); n != id {
			t.Errorf("%v allocations, %v of them the delivery's id", n, id)
		}
	}
}
