package event

// TraceContext is a place in a trace, as the headers of W3C Trace Context have
// it (https://www.w3.org/TR/trace-context/). A zero one is none.
type TraceContext struct {
	Parent string // traceparent, of version 00
	State  string // tracestate; "" for none
}

// Trace is the trace that an event belongs to.
type Trace struct {
	Sent TraceContext // as the producer sent it; zero when it sent none
	Span string       // traceparent of the span in which the event was accepted; "" when none was recorded
}

// PassOn returns what a receiver that knows W3C Trace Context is told: what the
// producer sent, and nothing when it sent nothing.
func (t *Trace) PassOn() *TraceContext {
	if t == nil || t.Sent.Parent == "" {
		return nil
	}
	return &t.Sent
}
