package tracing

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Accept is the span of a request that hands in events. All methods of a nil Accept do nothing.
type Accept struct{ span trace.Span }

// Accept begins the span of a request that came with sent, which may be nil. It
// returns the trace that the events of the request go on with; the span is nil
// when the producer, or chance, does not want this request recorded.
func (t *Tracer) Accept(sent *event.Trace) (*Accept, *event.Trace) {
	if t == nil {
		return nil, sent
	}
	ctx := context.Background()
	goesOn := &event.Trace{}
	if sent != nil {
		goesOn.Sent = sent.Sent
		ctx = trace.ContextWithRemoteSpanContext(ctx, parse(sent.Sent))
	}
	_, span := t.tracer.Start(ctx, "accept", trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return nil, sent
	}
	goesOn.Span = write(span.SpanContext()).Parent
	return &Accept{span}, goesOn
}

// One records which event the request became.
func (a *Accept) One(developer string, id event.ID, deliveries int, duplicate bool) {
	if a == nil {
		return
	}
	a.span.SetAttributes(attribute.String("fantail.developer", developer), attribute.String("fantail.event", id.String()),
		attribute.Int("fantail.deliveries", deliveries), attribute.Bool("fantail.duplicate", duplicate))
}

// Batch records what became of the lines of a batch.
func (a *Accept) Batch(accepted, refused int) {
	if a == nil {
		return
	}
	a.span.SetAttributes(attribute.Int("fantail.accepted", accepted), attribute.Int("fantail.refused", refused))
}

// End ends the span with the status of the answer and the code of the refusal, "" for none. By
// OpenTelemetry's conventions for HTTP, only a fault of ours (5xx) makes it an error.
func (a *Accept) End(status int, code string) {
	if a == nil {
		return
	}
	a.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if code != "" {
		a.span.SetAttributes(attribute.String("error.type", code))
	}
	if status >= 500 {
		a.span.SetStatus(codes.Error, code)
	}
	a.span.End()
}

// Attempt is the span of an attempt to deliver one event. All methods of a nil Attempt do nothing.
type Attempt struct{ span trace.Span }

// About says what an attempt is for. Only the type comes from a body.
type About struct {
	Developer, Destination, Kind string
	Delivery                     string
	Number                       int // of the attempt, from 1
}

// Attempt begins the span of an attempt that began at start; nil when the
// acceptance of e was not recorded.
func (t *Tracer) Attempt(e *event.Event, start time.Time) *Attempt {
	if t == nil || e.Trace == nil || e.Trace.Span == "" {
		return nil
	}
	parent := trace.ContextWithRemoteSpanContext(context.Background(), parse(event.TraceContext{Parent: e.Trace.Span, State: e.Trace.Sent.State}))
	_, span := t.tracer.Start(parent, "attempt", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(start))
	return &Attempt{span}
}

// Describe records what the attempt is for.
func (a *Attempt) Describe(e *event.Event, about About) {
	a.span.SetAttributes(
		attribute.String("fantail.developer", about.Developer),
		attribute.String("fantail.destination", about.Destination),
		attribute.String("fantail.kind", about.Kind),
		attribute.String("fantail.event", e.ID.String()),
		attribute.String("fantail.event.type", strings.ToValidUTF8(e.Type, "\uFFFD")),
		attribute.String("fantail.delivery", about.Delivery),
		attribute.Int("fantail.attempt", about.Number))
}

// PassOn returns what the far side is told of the trace that e belongs to. With a span, spans of
// the far side stand below it; without one, the far side gets what the producer sent. It returns
// nil when the producer sent nothing: a trace that is ours alone does not concern a developer's
// receiver.
func (a *Attempt) PassOn(e *event.Event) *event.TraceContext {
	sent := e.Trace.PassOn()
	if a == nil || sent == nil {
		return sent
	}
	return &event.TraceContext{Parent: write(a.span.SpanContext()).Parent, State: sent.State}
}

// End ends the span with what the attempt's log has: its class, the far side's code, 0 for none,
// and the text of what went wrong, which must be free of secrets.
func (a *Attempt) End(class string, code int, text string) {
	if a == nil {
		return
	}
	a.span.SetAttributes(attribute.String("fantail.outcome", class))
	if code != 0 {
		a.span.SetAttributes(attribute.Int("fantail.code", code))
	}
	if class != "delivered" {
		a.span.SetStatus(codes.Error, text)
	}
	a.span.End()
}
