package api

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/internal/tracing/tracingtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const sentParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// traceOf is the trace that an event was stored with.
func (r *rig) traceOf(id string) *event.Trace {
	r.t.Helper()
	parsed, err := event.ParseID(id)
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := r.store.Event(r.t.Context(), parsed.Day(), parsed)
	if err != nil {
		r.t.Fatal(err)
	}
	return e.Trace
}

func TestTraceOfTheProducerIsStored(t *testing.T) {
	r := newRig(t, setup{})
	var v struct{ ID string }
	r.do("POST", "/v1/events", sleep, "dev-id: acme", "traceparent: "+sentParent, "tracestate: a=1").into(t, &v)
	if got := r.traceOf(v.ID); got == nil || got.Sent != (event.TraceContext{Parent: sentParent, State: "a=1"}) || got.Span != "" {
		t.Errorf("stored: %+v", got)
	}
	for _, headers := range [][]string{{}, {"traceparent: 00-zero"}, {"traceparent: " + sentParent, "traceparent: " + sentParent}} {
		a := r.do("POST", "/v1/events", sleep, append(headers, "dev-id: acme")...)
		if a.into(t, &v); a.status != 202 || r.traceOf(v.ID) != nil {
			t.Errorf("%q: %s, stored with %+v", headers, a, r.traceOf(v.ID))
		}
	}
	_, all := outcomes(t, r.do("POST", "/v1/events/batch", line(sleep)+"no JSON\n"+line(sleep), "traceparent: "+sentParent).body)
	for _, i := range []int{0, 2} {
		if got := r.traceOf(all[i].ID); got == nil || got.Sent.Parent != sentParent {
			t.Errorf("line %d is stored with %+v", i, got)
		}
	}
}

func TestRequestsAreSpans(t *testing.T) {
	c := tracingtest.New(t)
	tracer, err := tracing.New(t.Context(), tracing.Options{Endpoint: c.URL + "/v1/traces", Service: "fantail", Sample: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, setup{trace: tracer})
	var v struct{ ID string }
	r.do("POST", "/v1/events", sleep, "dev-id: acme", "traceparent: "+sentParent, "Idempotency-Key: k").into(t, &v)
	stored := r.traceOf(v.ID)
	r.do("POST", "/v1/events", sleep, "dev-id: acme", "Idempotency-Key: k")
	r.do("POST", "/v1/events", `{"hunter2":"ann-42`, "dev-id: acme")
	batch := r.do("POST", "/v1/events/batch", line(sleep)+"no JSON\n"+line(sleep))
	_, all := outcomes(t, batch.body)
	r.do("POST", "/v1/events/batch", line(sleep), "Content-Encoding: br")
	r.do("GET", "/v1/events", "")
	tracer.Stop(t.Context())

	spans := c.Named("accept")
	if len(spans) != 5 || len(c.Spans()) != 5 {
		t.Fatalf("%+v", c.Spans())
	}
	one, again, refused, lines, encoded := spans[0], spans[1], spans[2], spans[3], spans[4]
	if stored == nil || stored.Span != "00-"+one.Trace+"-"+one.ID+"-01" || stored.Sent.Parent != sentParent || one.Parent != sentParent[36:52] {
		t.Errorf("stored with %+v, the span is %+v", stored, one)
	}
	for i, c := range []struct {
		span tracingtest.Span
		want string
	}{
		{one, "fantail.deliveries=2 fantail.developer=acme fantail.duplicate=false fantail.event=" + v.ID + " http.response.status_code=202"},
		{again, "fantail.deliveries=2 fantail.developer=acme fantail.duplicate=true fantail.event=" + v.ID + " http.response.status_code=200"},
		{refused, "error.type=invalid_json http.response.status_code=400"},
		{lines, "fantail.accepted=2 fantail.refused=1 http.response.status_code=200"},
		{encoded, "error.type=unsupported_encoding fantail.accepted=0 fantail.refused=0 http.response.status_code=415"},
	} {
		if got := shown(c.span.Attributes); got != c.want {
			t.Errorf("span %d: %s", i, got)
		}
	}
	for _, i := range []int{0, 2} {
		if got := r.traceOf(all[i].ID); got == nil || got.Span != "00-"+lines.Trace+"-"+lines.ID+"-01" || got.PassOn() != nil {
			t.Errorf("line %d is stored with %+v", i, got)
		}
	}
	if text := shown(refused.Attributes) + refused.Error; strings.Contains(text, "ann-42") || strings.Contains(text, "hunter2") {
		t.Errorf("what was refused is shown: %s", text)
	}
}

// shown is attributes in order.
func shown(attributes map[string]string) string {
	var all []string
	for key, value := range attributes {
		all = append(all, key+"="+value)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
