package tracing

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// maxState is how many bytes of a tracestate are passed on: as many as the specification asks
// everybody to carry. It is stored with every event.
const maxState = 512

// Read returns the trace that a producer's headers name; nil when they name none. Headers that do
// not have the form of W3C Trace Context are ignored: an event matters more than its trace.
func Read(h http.Header) *event.Trace {
	if len(h["Traceparent"]) != 1 {
		return nil
	}
	return read(h)
}

// read is a function of its own, so that a request without a trace costs one look into a map.
func read(h http.Header) *event.Trace {
	sent := event.TraceContext{Parent: h["Traceparent"][0]}
	// Several lines of this header are one list.
	if state := strings.Join(h["Tracestate"], ","); len(state) <= maxState {
		sent.State = state
	}
	if sent = write(parse(sent)); sent.Parent == "" {
		return nil
	}
	return &event.Trace{Sent: sent}
}

// parse returns an invalid context for what it cannot read.
func parse(t event.TraceContext) trace.SpanContext {
	c := carrier(t)
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), &c))
}

// write is the inverse of parse. A context comes out as it was, except for spaces in the state and
// the fields of a later version.
func write(sc trace.SpanContext) event.TraceContext {
	var c carrier
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), &c)
	return event.TraceContext(c)
}

// carrier shows a trace context to the propagator as it wants it.
type carrier event.TraceContext

var _ propagation.TextMapCarrier = (*carrier)(nil)

func (c *carrier) field(key string) *string {
	switch key {
	case "traceparent":
		return &c.Parent
	case "tracestate":
		return &c.State
	}
	return new(string)
}

func (c *carrier) Get(key string) string { return *c.field(key) }
func (c *carrier) Set(key, value string) { *c.field(key) = value }
func (c *carrier) Keys() []string        { return propagation.TraceContext{}.Fields() }
