package tracing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-51f8da91/fantail/internal/tracing/tracingtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// buffer is a log that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tracer sends spans to endpoint; its log is returned too.
func tracer(t testing.TB, endpoint string, change ...func(*Options)) (*Tracer, *buffer) {
	t.Helper()
	log := &buffer{}
	o := Options{Endpoint: endpoint + "/v1/traces", Service: "fantail", Version: "1.2.3", Sample: 1, Log: slog.New(slog.NewTextHandler(log, nil))}
	for _, c := range change {
		c(&o)
	}
	tr, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Stop(context.Background()) })
	return tr, log
}

// deliver makes the spans of one event that is accepted and tried.
func deliver(tr *Tracer, sent *event.Trace, class string) (*event.Trace, *event.TraceContext) {
	span, goesOn := tr.Accept(sent)
	id := event.ID{1}
	span.One("acme", id, 1, false)
	span.End(202, "")
	e := &event.Event{ID: id, Envelope: event.Envelope{Type: "sleep\xff", UserID: "ann-42"}, Body: []byte(`{"secret":"body"}`), Trace: goesOn}
	attempt := tr.Attempt(e, time.Now())
	passed := attempt.PassOn(e)
	if attempt != nil {
		attempt.Describe(e, About{Developer: "acme", Destination: "app", Kind: "webhook", Delivery: "d1", Number: 2})
	}
	attempt.End(class, 503, "the far side says no")
	return goesOn, passed
}

func TestAttemptsStandBelowTheirAcceptance(t *testing.T) {
	c := tracingtest.New(t)
	tr, _ := tracer(t, c.URL)
	sent := &event.Trace{Sent: event.TraceContext{Parent: sampled, State: "a=1"}}
	goesOn, passed := deliver(tr, sent, "transient")
	tr.Stop(t.Context())
	spans := c.Spans()
	if len(spans) != 2 {
		t.Fatalf("%+v", spans)
	}
	accept, attempt := spans[0], spans[1]
	if accept.Name != "accept" || accept.Kind != "server" || accept.Trace != sampled[3:35] || accept.Parent != sampled[36:52] || accept.Failed {
		t.Errorf("accept: %+v", accept)
	}
	if attempt.Name != "attempt" || attempt.Kind != "client" || attempt.Trace != accept.Trace || attempt.Parent != accept.ID || !attempt.Failed || attempt.Error != "the far side says no" {
		t.Errorf("attempt: %+v", attempt)
	}
	if want := "00-" + accept.Trace + "-" + accept.ID + "-01"; goesOn.Span != want || goesOn.Sent != sent.Sent {
		t.Errorf("the event goes on with %+v", goesOn)
	}
	if want := (event.TraceContext{Parent: "00-" + accept.Trace + "-" + attempt.ID + "-01", State: "a=1"}); passed == nil || *passed != want {
		t.Errorf("passed on: %+v, want %+v", passed, want)
	}
	want := map[string]string{
		"fantail.developer": "acme", "fantail.destination": "app", "fantail.kind": "webhook", "fantail.event": event.ID{1}.String(),
		"fantail.event.type": "sleep\uFFFD", "fantail.delivery": "d1", "fantail.attempt": "2", "fantail.outcome": "transient", "fantail.code": "503",
	}
	if fmt.Sprint(attempt.Attributes) != fmt.Sprint(want) {
		t.Errorf("attributes: %v", attempt.Attributes)
	}
	if r := attempt.Resource; r["service.name"] != "fantail" || r["service.version"] != "1.2.3" {
		t.Errorf("resource: %v", r)
	}
	if all := fmt.Sprint(spans); strings.Contains(all, "ann-42") || strings.Contains(all, "body") {
		t.Errorf("spans tell of the user or the body: %s", all)
	}
}

func TestWhoDecidesWhatIsRecorded(t *testing.T) {
	yes := &event.Trace{Sent: event.TraceContext{Parent: sampled}}
	no := &event.Trace{Sent: event.TraceContext{Parent: strings.TrimSuffix(sampled, "01") + "00"}}
	for _, c := range []struct {
		name   string
		sample float64
		sent   *event.Trace
		spans  int
	}{
		{"the producer wants it", 0, yes, 2},
		{"the producer does not", 1, no, 0},
		{"nobody asks, all", 1, nil, 2},
		{"nobody asks, none", 0, nil, 0},
	} {
		col := tracingtest.New(t)
		tr, _ := tracer(t, col.URL, func(o *Options) { o.Sample = c.sample })
		goesOn, passed := deliver(tr, c.sent, "delivered")
		tr.Stop(t.Context())
		if got := col.Spans(); len(got) != c.spans {
			t.Errorf("%s: %d spans", c.name, len(got))
		}
		if recorded := goesOn != nil && goesOn.Span != ""; recorded != (c.spans > 0) {
			t.Errorf("%s: the event goes on with %+v", c.name, goesOn)
		}
		if (passed != nil) != (c.sent != nil) {
			t.Errorf("%s: passed on: %+v", c.name, passed)
		}
		if c.spans == 0 && c.sent != nil && *passed != c.sent.Sent {
			t.Errorf("%s: what is not recorded was changed to %+v", c.name, passed)
		}
		if c.spans == 0 && c.sent == nil && goesOn != nil {
			t.Errorf("%s: %+v would be stored for nothing", c.name, goesOn)
		}
	}
}

func TestOnlyOurFaultIsAnError(t *testing.T) {
	c := tracingtest.New(t)
	tr, _ := tracer(t, c.URL)
	for status, code := range map[int]string{400: "invalid_json", 503: "unavailable"} {
		span, _ := tr.Accept(nil)
		span.Batch(3, 4)
		span.End(status, code)
	}
	tr.Stop(t.Context())
	for _, s := range c.Spans() {
		if want := map[string]string{"400": "invalid_json", "503": "unavailable"}[s.Attributes["http.response.status_code"]]; s.Attributes["error.type"] != want || s.Failed != (want == "unavailable") || s.Attributes["fantail.accepted"] != "3" || s.Attributes["fantail.refused"] != "4" {
			t.Errorf("%+v", s)
		}
	}
	if n := len(c.Spans()); n != 2 {
		t.Errorf("%d spans", n)
	}
}

func TestEnvironmentDecidesNothing(t *testing.T) {
	other := tracingtest.New(t)
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": other.URL, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": other.URL + "/v1/traces",
		"OTEL_EXPORTER_OTLP_HEADERS": "x-evil=1", "OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
		"OTEL_TRACES_SAMPLER": "always_off", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_SERVICE_NAME": "evil", "OTEL_RESOURCE_ATTRIBUTES": "team=blue",
		"OTEL_BSP_MAX_QUEUE_SIZE": "1", "HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	c := tracingtest.New(t)
	tr, _ := tracer(t, c.URL, func(o *Options) { o.Headers = map[string]secret.Value{"X-Key": secret.New("k")} })
	deliver(tr, nil, "delivered")
	tr.Stop(t.Context())
	spans := c.Spans()
	if len(spans) != 2 || len(other.Headers()) != 0 {
		t.Fatalf("%d spans, and %d requests to the address of the environment", len(spans), len(other.Headers()))
	}
	if s := spans[1]; s.Attributes["fantail.outcome"] != "delivered" || s.Resource["service.name"] != "fantail" || s.Resource["team"] != "blue" {
		t.Errorf("%+v", s)
	}
	if h := c.Headers()[0]; h.Get("X-Evil") != "" || h.Get("X-Key") != "k" || h.Get("Content-Encoding") != "gzip" {
		t.Errorf("headers: %v", h)
	}
}

// TestCollectorThatRepeatsTheRequest: the log shows its answer without the headers.
func TestCollectorThatRepeatsTheRequest(t *testing.T) {
	c := tracingtest.New(t)
	c.Answer(func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		http.Error(w, fmt.Sprintf("no: %q, %s", r.Header["Authorization"], token), http.StatusForbidden)
	})
	tr, log := tracer(t, c.URL, func(o *Options) {
		o.Headers = map[string]secret.Value{"Authorization": secret.New("Bearer hunter2hunter2")}
	})
	deliver(tr, nil, "delivered")
	tr.Stop(t.Context())
	if got := log.String(); !strings.Contains(got, "403") || !strings.Contains(got, "no: ") || !strings.Contains(got, "spans=2") || strings.Contains(got, "hunter2") {
		t.Errorf("the log: %s", got)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := tracingtest.New(t)
	c := tracingtest.New(t)
	c.Answer(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/v1/traces", http.StatusTemporaryRedirect)
	})
	tr, log := tracer(t, c.URL, func(o *Options) { o.Headers = map[string]secret.Value{"X-Key": secret.New("hunter2")} })
	deliver(tr, nil, "delivered")
	tr.Stop(t.Context())
	if n := len(other.Headers()); n != 0 || !strings.Contains(log.String(), "307") {
		t.Errorf("%d requests followed; the log: %s", n, log)
	}
}

// TestSilentCollectorBlocksNobody: it takes the connection and never answers.
func TestSilentCollectorBlocksNobody(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	tr, _ := tracer(t, silent.URL)
	began := time.Now()
	for range 3 * queueSize {
		deliver(tr, nil, "delivered")
	}
	if took := time.Since(began); took > callTimeout { // the first export alone would take that long
		t.Errorf("%v for spans that nobody takes", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began = time.Now()
	tr.Stop(ctx)
	if took := time.Since(began); took > callTimeout {
		t.Errorf("the stop took %v, 50 ms were allowed", took)
	}
}

func TestCollectorThatIsDownStopsNobody(t *testing.T) {
	tr, log := tracer(t, "http://127.0.0.1:1")
	deliver(tr, nil, "delivered")
	tr.Stop(t.Context())
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "refused") {
		t.Errorf("the log: %s", got)
	}
}

// TestLogIsQuiet: the log has one line a minute about a collector that refuses everything.
func TestLogIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &buffer{}
		e, err := newExporter(t.Context(), Options{Endpoint: "http://192.0.2.1/v1/traces", Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		one := tracetest.SpanStubs{{Name: "attempt"}}.Snapshots()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 150 {
			if err := e.ExportSpans(ended, one); err != nil {
				t.Fatal("the SDK would print", err)
			}
			time.Sleep(time.Second)
		}
		e.stop()
		got := log.String()
		if strings.Count(got, "\n") != 4 || strings.Count(got, "spans=60") != 2 || strings.Count(got, "spans=1 ") != 1 || !strings.Contains(got, "spans=29") {
			t.Errorf("the log:\n%s", got)
		}
	})
}
