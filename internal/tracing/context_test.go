package tracing

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

const sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestReadTakesWhatIsOfTheForm(t *testing.T) {
	long := strings.Repeat("k=v,", 31)
	for _, c := range []struct {
		name   string
		parent []string
		state  []string
		want   event.TraceContext
	}{
		{"sampled", []string{sampled}, nil, event.TraceContext{Parent: sampled}},
		{"not sampled", []string{strings.TrimSuffix(sampled, "01") + "00"}, nil, event.TraceContext{Parent: strings.TrimSuffix(sampled, "01") + "00"}},
		{"random id", []string{strings.TrimSuffix(sampled, "01") + "03"}, nil, event.TraceContext{Parent: strings.TrimSuffix(sampled, "01") + "03"}},
		{"later version", []string{"cc" + sampled[2:] + "-what-ever"}, nil, event.TraceContext{Parent: sampled}},
		{"with a state", []string{sampled}, []string{"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}, event.TraceContext{Parent: sampled, State: "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"}},
		{"state on two lines", []string{sampled}, []string{"a=1", "b=2"}, event.TraceContext{Parent: sampled, State: "a=1,b=2"}},
		{"unreadable state", []string{sampled}, []string{"a=\x00"}, event.TraceContext{Parent: sampled}},
		{"state with a line's end", []string{sampled}, []string{"a=b\r\nX-Evil: 1"}, event.TraceContext{Parent: sampled}},
		{"long state", []string{sampled}, []string{"a=" + strings.Repeat("x", 600)}, event.TraceContext{Parent: sampled}},
		{"state of one key many times", []string{sampled}, []string{long}, event.TraceContext{Parent: sampled}},
		{"none", nil, nil, event.TraceContext{}},
		{"state alone", nil, []string{"a=1"}, event.TraceContext{}},
		{"twice", []string{sampled, sampled}, nil, event.TraceContext{}},
		{"empty", []string{""}, nil, event.TraceContext{}},
		{"upper case", []string{strings.ToUpper(sampled)}, nil, event.TraceContext{}},
		{"zero trace", []string{"00-00000000000000000000000000000000-00f067aa0ba902b7-01"}, nil, event.TraceContext{}},
		{"zero span", []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"}, nil, event.TraceContext{}},
		{"version ff", []string{"ff" + sampled[2:]}, nil, event.TraceContext{}},
		{"too long", []string{sampled + "-00"}, nil, event.TraceContext{}},
		{"cut", []string{sampled[:54]}, nil, event.TraceContext{}},
		{"line's end", []string{sampled + "\r\nX-Evil: 1"}, nil, event.TraceContext{}},
		{"huge", []string{"00-" + strings.Repeat("a", 60_000)}, nil, event.TraceContext{}},
	} {
		h := http.Header{}
		if c.parent != nil {
			h["Traceparent"] = c.parent
		}
		if c.state != nil {
			h["Tracestate"] = c.state
		}
		got := Read(h)
		if got == nil {
			got = &event.Trace{}
		} else if got.Sent.Parent == "" {
			t.Errorf("%s: a trace without a parent", c.name)
		}
		if got.Sent != c.want || got.Span != "" {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// FuzzRead: whatever arrives, what is passed on has the form and can be read back.
func FuzzRead(f *testing.F) {
	f.Add(sampled, "a=1")
	f.Add("01"+sampled[2:]+"-x", "a@b=1, c=2")
	f.Fuzz(func(t *testing.T, parent, state string) {
		got := Read(http.Header{"Traceparent": {parent}, "Tracestate": {state}})
		if got == nil {
			return
		}
		if len(got.Sent.Parent) != len(sampled) || got.Sent.Parent[:3] != "00-" || len(got.Sent.State) > maxState {
			t.Errorf("%q, %q goes on as %+v", parent, state, got.Sent)
		}
		if again := Read(http.Header{"Traceparent": {got.Sent.Parent}, "Tracestate": {got.Sent.State}}); again == nil || again.Sent != got.Sent {
			t.Errorf("%+v reads back as %+v", got, again)
		}
	})
}

// TestOffCostsNothing makes every call that an event causes while tracing is off.
func TestOffCostsNothing(t *testing.T) {
	var off *Tracer
	h := http.Header{"Dev-Id": {"acme"}, "Content-Length": {"2048"}}
	e := &event.Event{}
	start := time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		span, trace := off.Accept(Read(h))
		span.One("acme", e.ID, 3, false)
		span.Batch(1, 0)
		span.End(202, "")
		e.Trace = trace
		attempt := off.Attempt(e, start)
		if attempt.PassOn(e) != nil {
			t.Error("something is passed on")
		}
		attempt.End("delivered", 200, "")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	e.Trace = &event.Trace{Sent: event.TraceContext{Parent: sampled}}
	if n := testing.AllocsPerRun(1000, func() { off.Attempt(e, start).PassOn(e) }); n != 0 {
		t.Errorf("%v allocations to pass on what the producer sent", n)
	}
}

func BenchmarkOff(b *testing.B) {
	var off *Tracer
	h := http.Header{"Dev-Id": {"acme"}, "Content-Length": {"2048"}}
	e := &event.Event{}
	start := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		span, trace := off.Accept(Read(h))
		span.One("acme", e.ID, 3, false)
		span.End(202, "")
		e.Trace = trace
		attempt := off.Attempt(e, start)
		_ = attempt.PassOn(e)
		attempt.End("delivered", 200, "")
	}
}
